/** Lines that are kept; the oldest go first. */
const LINES = 1024;
/** Lines about one thing that a guest can bring about again and again, in each span of virtual time. */
const BURST = 10;
const SPAN_NS = 5e9;

/** The hypervisor's own log, as `xl dmesg` shows it: bounded, and what guests cause is bounded by rate as well. */
export class Console {
  readonly lines: string[] = [];
  readonly #bursts = new Map<string, { since: number; count: number }>();

  print(text: string): void {
    this.lines.push(`(XEN) ${text}`);
    if (this.lines.length > LINES) this.lines.shift();
  }

  /** Whether another message of this kind may be printed at `now` (ns); the last one that may be says so. */
  allows(kind: string, now: number): boolean {
    const burst = this.#bursts.get(kind);
    if (burst === undefined || now - burst.since >= SPAN_NS) {
      this.#bursts.set(kind, { since: now, count: 1 });
      return true;
    }
    burst.count++;
    if (burst.count === BURST + 1) this.print(`${kind}: more of these are not printed for a while`);
    return burst.count <= BURST;
  }
}
