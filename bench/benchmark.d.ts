/** As much of benchmark.js 2.1 as is used here. */
declare module 'benchmark' {
  interface Cycle {
    name: string;
    hz: number;
    stats: { rme: number };
  }
  class Suite {
    add(name: string, run: () => unknown, options?: { maxTime?: number; minSamples?: number }): this;
    on(event: 'cycle', listener: (event: { target: Cycle }) => void): this;
    run(options?: { async?: boolean }): this;
  }
  const Benchmark: { Suite: typeof Suite };
  export default Benchmark;
}
