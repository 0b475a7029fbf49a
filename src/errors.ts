/** Every error that a user can cause: `code` is stable and for programs, `message` is for people. */
export class PortcullisError extends Error {
  readonly code: string;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, fields: Record<string, unknown> = {}) {
    super(message);
    this.name = 'PortcullisError';
    this.code = code;
    this.fields = fields;
  }
}
