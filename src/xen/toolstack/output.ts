/** What a command writes, and how. */

export class Output {
  #stdout = '';
  #stderr = '';

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** A line of the command's own answer. */
  print(line: string): void {
    this.#stdout += `${line}\n`;
  }

  /** A line on stderr as xl itself writes it. */
  complain(line: string): void {
    this.#stderr += `${line}\n`;
  }

  /** The three below are the library's log. */
  error(text: string): void {
    this.complain(`libxl: error: ${text}`);
  }

  warn(text: string): void {
    this.complain(`libxl: warning: ${text}`);
  }

  info(text: string): void {
    this.complain(`libxl: info: ${text}`);
  }
}
