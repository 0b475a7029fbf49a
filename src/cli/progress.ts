import cliProgress from 'cli-progress';

export interface Progress {
  update(progress: { done: number; total: number; what: string }): void;
  stop(): void;
}

/** A bar on standard error, gone when stopped; nothing at all if it is not wanted there. */
export function progressOn(stream: NodeJS.WritableStream, wanted: boolean): Progress {
  if (!wanted) return { update: () => undefined, stop: () => undefined };
  const bar = new cliProgress.SingleBar({
    stream, format: '{bar} {value}/{total} {what}', barsize: 24, clearOnComplete: true, hideCursor: true,
  }, cliProgress.Presets.shades_classic);
  let started = false;
  return {
    update({ done, total, what }) {
      if (!started) bar.start(total, done, { what });
      else bar.setTotal(total);
      bar.update(done, { what });
      started = true;
    },
    stop() {
      if (started) bar.stop();
    },
  };
}
