/** What a command writes, and how. */

/** Characters of a line of complaint, and such lines, at most: both may be as long as what somebody has typed. */
const LINE_MAX = 1000;
const LINES_MAX = 200;

export class Output {
  #stdout = '';
  #stderr = '';
  #complaints = 0;

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
    this.#complaints++;
    if (this.#complaints > LINES_MAX) return;
    if (this.#complaints === LINES_MAX) line = 'more is not shown';
    this.#stderr += line.length > LINE_MAX ? `${line.slice(0, LINE_MAX)}…\n` : `${line}\n`;
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
