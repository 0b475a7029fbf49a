/** `portcullis explain`: why an assignment or an access is let through or refused; the machine answers. */

import type { ControlAnswer } from '../../index';
import { ask } from '../control/client';
import type { Location } from '../control/location';
import { EXIT } from '../exit';
import type { ExitCode } from '../exit';

const JSON_OPTION = '--json';

/** 1 when something is refused. */
export async function runExplain(where: Location, args: readonly string[], out: (text: string) => Promise<void>): Promise<ExitCode> {
  const asked = args.filter((arg) => arg !== JSON_OPTION);
  const { text, document, ok } = await ask(where, 'explain', { args: asked }) as ControlAnswer;
  await out(asked.length < args.length ? `${JSON.stringify(document, null, 2)}\n` : text);
  return ok ? EXIT.done : EXIT.failed;
}
