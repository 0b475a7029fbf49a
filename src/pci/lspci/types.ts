/** What is listed, and how much of it. */

export type Verbosity = 0 | 1 | 2 | 3;
export type Hex = 0 | 1 | 2 | 3 | 4;

export interface ListedFunction {
  readonly routing: number;
  readonly config: { readonly size: number; read(off: number, width: 4): { readonly code: number; readonly value: number } };
  /** Vendor and device in words. */
  readonly name?: string | undefined;
  /** Driver that has it. */
  readonly driver?: string | undefined;
  /** Number that its kernel has for the interrupt; by default what the register says. */
  readonly irq?: number | undefined;
  /** Bytes of BAR 0 to 5 and of the ROM. */
  readonly sizes?: readonly number[] | undefined;
}

export interface ListingOptions {
  readonly verbose: Verbosity;
  readonly hex: Hex;
}

/** What a capability is, and more about it. */
export interface Described {
  readonly title: string;
  readonly more: readonly string[];
}
