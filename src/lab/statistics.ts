/** Quartiles by linear interpolation between order statistics (type 7 of Hyndman and Fan). */
export function quartiles(samples: readonly number[]): { low: number; median: number; high: number } {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => {
    const position = share * (sorted.length - 1);
    const below = sorted[Math.floor(position)] ?? NaN;
    const above = sorted[Math.ceil(position)] ?? NaN;
    return below + (above - below) * (position - Math.floor(position));
  };
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}
