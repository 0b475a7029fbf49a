/** The command `portcullis`, built into build/cli.js. */

import { writeOut } from './files';
import { run } from './program';
import { progressOn } from './progress';

const { stdin, stdout, stderr, env } = process;

// A reader of standard error that goes away changes nothing.
stderr.on('error', () => undefined);

process.exitCode = await run(process.argv.slice(2), {
  // The bundle lies in build/.
  capture: new URL('../assets/traffic.pcap.gz', import.meta.url),
  out: (text) => writeOut(stdout, text),
  outBytes: (bytes) => writeOut(stdout, bytes),
  err: (text) => { stderr.write(text); },
  colour: stdout.isTTY === true && !env['NO_COLOR'],
  progress: (wanted) => progressOn(stderr, wanted && stderr.isTTY === true),
  env,
  input: async () => new TextDecoder().decode(Buffer.concat(await stdin.toArray())),
  debug: Boolean(env['PORTCULLIS_DEBUG']),
  stop: () => new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  }),
});
