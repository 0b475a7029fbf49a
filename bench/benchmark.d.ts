/** As much of benchmark.js 2.1 as is used here. */
declare module 'benchmark' {
  class Suite {
    add(name: string, run: () => unknown, options?: { maxTime?: number; minSamples?: number }): this;
    on(event: 'cycle', listener: (event: { target: { name: string; hz: number; stats: { rme: number } } }) => void): this;
    run(options?: { async?: boolean }): this;
  }
  const Benchmark: { Suite: typeof Suite };
  export default Benchmark;
}
