// Requests to a running machine: their order, their time, what is refused.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CONTROL_METHODS, type MachineControl } from '../../src/machine/control';
import { PortcullisError } from '../../src/errors';
import { XenstoreClient } from '../../src/xen/xenstore/client';
import type { Task } from '../../src/xen/schedule/scheduler';
import { fakeControl, SECOND } from '../helpers/fake-control';

async function refusal(control: MachineControl, method: string, params?: unknown): Promise<PortcullisError> {
  try {
    await control.request(method, params).result;
  } catch (error) {
    if (error instanceof PortcullisError) return error;
    throw error;
  }
  throw new Error(`${method} was not refused`);
}

const xl = async (control: MachineControl, ...args: string[]): Promise<string> =>
  (await control.request('xl', { args }).result as { stdout: string }).stdout;

test('requests are served one at a time, in the order of their arrival', async () => {
  const { control, parts } = fakeControl();
  const ended: string[] = [];
  const ask = async (...args: string[]): Promise<void> => {
    await xl(control, ...args);
    ended.push(args.join(' '));
  };
  await Promise.all([ask('wait', '10'), ask('echo', 'a'), ask('wait', '5'), ask('echo', 'b')]);
  assert.equal(ended, ['wait 10', 'echo a', 'wait 5', 'echo b']);
  assert.is(parts.scheduler.now, 15 * SECOND);
  assert.is(control.served, 4);
  await control.close();
});

test('two machines that are asked the same in the same order have equal events', async () => {
  const run = async (): Promise<unknown> => {
    const { control } = fakeControl();
    for (const args of [['wait', '3'], ['echo', 'a'], ['wait', '10'], ['echo']]) await xl(control, ...args);
    await control.close();
    return control.events;
  };
  const events = await run() as Array<{ at: number }>;
  assert.equal(events.map(({ at }) => at / SECOND), [0, 3, 3, 13]);
  assert.equal(await run(), events);
});

test('fast: a wait of ten seconds takes none, and who uses the store meanwhile is heard', async () => {
  const { control, store } = fakeControl();
  const before = performance.now();
  assert.is(await xl(control, 'watch'), 'false\n');
  assert.ok(performance.now() - before < 5000);
  const waiting = xl(control, 'watch');
  setImmediate(() => new XenstoreClient(store, 0).write('/go', ''));
  assert.is(await waiting, 'true\n');
  await control.close();
});

function* busy(): Task {
  for (;;) yield { timeout: 1000 };
}

test('real: the machine\'s clock goes with the wall, and an event ends a wait before its time', async () => {
  // A wall that goes as the test says.
  let wall = 0;
  const due: Array<{ at: number; told: () => void }> = [];
  const around = {
    wall: () => wall,
    later: (ms: number, told: () => void) => {
      const one = { at: wall + ms, told };
      due.push(one);
      return () => { due.splice(due.indexOf(one), 1); };
    },
  };
  const { control, parts } = fakeControl({ time: 'real', around });
  const turn = async (ms: number): Promise<void> => {
    wall += ms;
    for (let i = 0; i < 50; i++) {
      for (const one of due.filter(({ at }) => at <= wall)) {
        due.splice(due.indexOf(one), 1);
        one.told();
      }
      await Promise.resolve();
      await new Promise((resolve) => { setImmediate(resolve); });
    }
  };
  let answer = '';
  void xl(control, 'wait', '2').then((text) => { answer = text; });
  await turn(0);
  // Not a whole number of nanoseconds at once.
  for (let i = 0; i < 19; i++) await turn(100 + (i % 2 === 0 ? 1e-7 : -1e-7));
  assert.is(answer, '');
  await turn(100);
  assert.is(answer, '2\n');
  // Nobody asks: the clock goes on.
  const clock = async (): Promise<number> => {
    const asked = control.request('status').result;
    await turn(0);
    return (await asked as { now: number }).now / SECOND;
  };
  for (let i = 0; i < 10; i++) await turn(100);
  assert.is(await clock(), 3);
  // A machine that has much to do is behind the wall, and does not run after it.
  parts.scheduler.spawn('busy', 7, busy());
  await turn(60_000);
  assert.ok(await clock() < 4);
  const closed = control.close();
  await turn(0);
  await closed;
});

test('what cannot come is not waited for', async () => {
  const { control } = fakeControl();
  assert.is((await refusal(control, 'xl', { args: ['forever'] })).code, 'STALLED');
  assert.is((await refusal(control, 'xl', { args: ['endless'] })).code, 'TOO_LONG');
  assert.is(await xl(control, 'echo', 'still here'), 'still here\n');
  await control.close();
});

test('a request that nobody waits for any more is given up after a minute of the machine\'s time', async () => {
  const { control, parts } = fakeControl();
  const pending = control.request('xl', { args: ['endless'] });
  pending.abandon();
  await pending.result.catch((error: PortcullisError) => assert.is(error.code, 'TOO_LONG'));
  assert.ok(parts.scheduler.now <= 62 * SECOND);
  assert.equal(parts.scheduler.jobs(), []);
  await control.close();
});

test('an error inside is the request\'s, and the next one is served', async () => {
  const { control } = fakeControl();
  await control.request('xl', { args: ['bug'] }).result.then(() => assert.unreachable(), (error: Error) => {
    assert.instance(error, RangeError);
  });
  assert.is(await xl(control, 'echo', 'on'), 'on\n');
  await control.close();
});

test('a queue that is full refuses, a machine that has been stopped too', async () => {
  const { control } = fakeControl();
  const all = Array.from({ length: 300 }, () => control.request('status').result.then(() => 'served', (error: PortcullisError) => error.code));
  const ends = await Promise.all(all);
  assert.is(ends.filter((end) => end === 'served').length, 256);
  assert.is(ends.filter((end) => end === 'BUSY').length, 44);
  const running = refusal(control, 'xl', { args: ['endless'] });
  const waits = refusal(control, 'status');
  const closed = control.close();
  assert.equal([(await running).code, (await waits).code], ['STOPPED', 'STOPPED']);
  await closed;
  assert.is((await refusal(control, 'status')).code, 'STOPPED');
});

test('methods and parameters', async () => {
  const { control, files } = fakeControl();
  assert.equal(CONTROL_METHODS, ['xl', 'sysfs.ls', 'sysfs.cat', 'sysfs.write', 'sysfs.readlink', 'lspci', 'setpci', 'explain', 'dmesg',
    'digest', 'status']);
  const path = '/sys/bus/pci/devices/0000:00:04.0/irq';
  assert.is(await control.request('sysfs.cat', { path }).result, '20\n');
  assert.equal(await control.request('sysfs.ls', { path: '/sys/bus/pci/devices/0000:00:04.0' }).result, ['irq']);
  assert.is(await control.request('sysfs.write', { path: '/x', text: '1' }).result, null);
  assert.is(files.get('/x'), '1');
  assert.equal(await control.request('digest').result, { files: 2 });
  assert.equal(await control.request('status').result, { name: 'fake', now: 0 });
  assert.match((await control.request('lspci').result as { text: string }).text,
    '00:04.0 Ethernet controller [0200]: Intel Corporation 82574L [8086:10d3]\n');
  assert.equal(await control.request('lspci', { slot: '05' }).result, { text: '' });
  const table: Array<[method: string, params: unknown, code: string, words: string]> = [
    ['nothing', {}, 'UNKNOWN_METHOD', 'there is no method "nothing"'], ['constructor', {}, 'UNKNOWN_METHOD', 'no method'],
    ['xl', {}, 'BAD_PARAMS', '"args" must be a list'], ['xl', { args: [1] }, 'BAD_PARAMS', '"args"'],
    ['xl', { args: [], files: { a: 1 } }, 'BAD_PARAMS', '"files"'], ['xl', [], 'BAD_PARAMS', '"params" must be an object'],
    ['xl', { args: [], cwd: '/' }, 'BAD_PARAMS', 'xl has no parameter "cwd"'],
    ['xl', { args: new Array(1025).fill('') }, 'BAD_PARAMS', 'at most 1024'],
    ['sysfs.cat', {}, 'BAD_PARAMS', '"path" must be a string'], ['sysfs.cat', { path: '/no' }, 'ENOENT', '/no'],
    ['lspci', { verbose: 4 }, 'BAD_PARAMS', '"verbose" must be a number from 0 to 3'], ['lspci', { hex: -1 }, 'BAD_PARAMS', '"hex"'],
    ['lspci', { slot: 'zz' }, 'BAD_SLOT', 'device must be 0 to 1f'], ['lspci', { domain: 'no' }, 'NO_DOMAIN', '"no"'],
    ['setpci', { operations: ['4.w'] }, 'BAD_PARAMS', '"slot"'], ['setpci', { slot: '4', operations: [] }, 'BAD_PARAMS', '"operations"'],
    ['setpci', { slot: '4', operations: ['zz'] }, 'BAD_REGISTER', 'zz'], ['setpci', { slot: '5', operations: ['4.w'] }, 'NO_DEVICE', 'at 5'],
  ];
  for (const [method, params, code, words] of table) {
    const error = await refusal(control, method, params);
    assert.is(error.code, code, `${method} ${JSON.stringify(params)}: ${error.message}`);
    assert.match(error.message, words);
  }
  // Refused before they came to the machine, or by it: nothing but what was asked of it is an event.
  assert.ok(control.events.every(({ method }) => CONTROL_METHODS.includes(method)));
  await control.close();
});

test.run();
