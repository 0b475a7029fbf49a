/** `portcullis dmesg`: the log of the first domain's kernel. */

import { ask } from '../control/client';
import type { Location } from '../control/location';
import { EXIT } from '../exit';
import type { ExitCode } from '../exit';

export async function runDmesg(where: Location, out: (text: string) => Promise<void>): Promise<ExitCode> {
  const { text } = await ask(where, 'dmesg', {}) as { text: string };
  await out(text);
  return EXIT.done;
}
