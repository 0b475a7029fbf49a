/** A set of numbers as sorted, disjoint, inclusive ranges: what Xen keeps for I/O memory, ports and interrupts. */
export class RangeSet {
  #ranges: Array<[number, number]>;

  constructor(ranges: ReadonlyArray<readonly [number, number]> = []) {
    this.#ranges = ranges.map(([first, last]) => [first, last]);
  }

  get ranges(): ReadonlyArray<readonly [number, number]> {
    return this.#ranges;
  }

  add(first: number, last: number): void {
    const merged: Array<[number, number]> = [];
    let [low, high] = [first, last];
    for (const [a, b] of this.#ranges) {
      if (b < low - 1 || a > high + 1) merged.push([a, b]);
      else [low, high] = [Math.min(a, low), Math.max(b, high)];
    }
    merged.push([low, high]);
    this.#ranges = merged.sort((x, y) => x[0] - y[0]);
  }

  remove(first: number, last: number): void {
    this.#ranges = this.#ranges.flatMap(([a, b]): Array<[number, number]> => {
      if (b < first || a > last) return [[a, b]];
      const rest: Array<[number, number]> = [];
      if (a < first) rest.push([a, first - 1]);
      if (b > last) rest.push([last + 1, b]);
      return rest;
    });
  }

  has(first: number, last: number): boolean {
    return this.#ranges.some(([a, b]) => a <= first && last <= b);
  }
}
