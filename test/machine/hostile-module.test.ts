// A user's module that speaks past its API: messages of its own making.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ModuleHost } from '../../src/machine/module-host';
import { type XlMachine, xlMachine } from '../helpers/xl-machine';

const test = suite('a hostile module');

/** A machine with a domain whose module sends these messages and then waits; the answers. */
async function withModule(messages: readonly unknown[]): Promise<{ one: XlMachine; answers: string[] }> {
  const answers: string[] = [];
  let at = 0;
  const modules: ModuleHost = {
    messageMax: 1 << 18,
    start: () => ({
      next: () => ({ call: JSON.stringify(messages[at++] ?? ['wait', 1e9]) }),
      answer: (text) => { answers.push(text); },
      end: () => undefined,
    }),
  };
  const one = await xlMachine({}, 'linux', { modules });
  const files = new Map([['a', 'name = "m"\nmemory = 4\nkernel = "x.mjs"\non_crash = "preserve"'], ['x.mjs', '']]);
  assert.is(one.machine.xl(['create', '-q', 'a'], files).code, 0);
  one.machine.run(1e7);
  return { one, answers };
}

const OBJECT = { toString: 1, valueOf: 1 };

test('a line that is no text is refused, and the module goes on', async () => {
  const { answers } = await withModule([['log', OBJECT], ['now']]);
  assert.match(answers[0] as string, 'BAD_CALL');
  assert.match(answers[1] as string, 'value');
});

test('an error that is no text crashes the domain as any other', async () => {
  const { one } = await withModule([['threw', OBJECT]]);
  assert.is(one.machine.hypervisor.domain(1).shutdown, 'crash');
});

test('ports that no domain can have are not listened to', async () => {
  const { answers } = await withModule([['wait', 0, [4096]], ['wait', 0, [4095]]]);
  assert.match(answers[0] as string, 'the port must be a whole number from 1 to 4095');
  assert.match(answers[1] as string, 'value');
});

test.run();
