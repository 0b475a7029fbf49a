import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defineDevice, Machine, msiCapability, msixCapability, PortcullisError } from '../../../src/index';
import type { DefinedDevice, DeviceFailure, RegisterDevice, ServiceContext } from '../../../src/index';

const BDF = '0000:00:05.0';
const LINE = 21;
const BUSY = 8;

const CONFIG = {
  vendorId: 0x1234, deviceId: 0x0001, classCode: 0xff0000, revision: 1, interruptPin: 1,
  bars: [{ kind: 'memory32', size: 0x1000 }],
  capabilities: [msiCapability({ off: 0x40, vectors: 1, wide: true })],
} satisfies Parameters<typeof defineDevice>[0]['config'];

type Names = 'DATA' | 'CALL' | 'NOTE';

interface Hooks {
  read?: (device: RegisterDevice<{ steps: number }, Names>) => number;
  write?: (device: RegisterDevice<{ steps: number }, Names>, value: number) => void;
  service?: (context: ServiceContext<{ steps: number }, Names>) => void;
  deadline?: (context: ServiceContext<{ steps: number }, Names>) => void;
}

/** A device whose CALL register, service and deadline do what a test wants. */
function probe(hooks: Hooks, model = 'probe'): DefinedDevice {
  return defineDevice({
    model, title: 'probe', config: CONFIG, state: { steps: 0 },
    registers: [{
      bar: 0, size: 0x1000, constant: 0, rows: [
        { name: 'DATA', off: 0, reset: 0x1234, writeMask: 0xffffffff, widths: [1, 2, 4] },
        { name: 'CALL', off: 4, writeMask: 0xff, host: true },
        { name: 'NOTE', off: 8, w1c: 0xff, reset: 0xff },
      ],
    }],
    handlers: {
      onRead: (device) => hooks.read?.(device) ?? 0x77,
      onWrite: (device, _register, value) => hooks.write?.(device, value),
      service: (context) => {
        context.state.steps++;
        hooks.service?.(context);
      },
      deadline: (context) => hooks.deadline?.(context),
    },
  });
}

interface Rig {
  machine: Machine;
  fn: number;
  read: (off: number, width?: number) => number;
  write: (off: number, value: number, width?: number) => void;
}

async function rigOf(definition: DefinedDevice, onDeviceFailed?: (failure: DeviceFailure) => void): Promise<Rig> {
  const machine = await Machine.create({ memory: '16MiB', devices: [{ model: definition.model, bdf: BDF }] },
    { devices: [definition], ...(onDeviceFailed && { onDeviceFailed }) });
  const fn = machine.functionOf(BDF);
  machine.engine.exports.configWrite(fn, 4, 2, 6);
  return {
    machine, fn,
    read: (off, width = 4) => machine.engine.exports.registerRead(fn, 0, off, width) >>> 0,
    write: (off, value, width = 4) => machine.engine.exports.registerWrite(fn, 0, off, width, value, 0),
  };
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    return (error as PortcullisError).code;
  }
  return undefined;
}

/** Where two slices differ. */
function changes(before: Uint8Array, after: Uint8Array): number[] {
  const found: number[] = [];
  before.forEach((byte, off) => { if (byte !== after[off]) found.push(off); });
  return found;
}

test('registers without host are data, and never call the device', async () => {
  let calls = 0;
  const { read, write } = await rigOf(probe({ read: () => ++calls, write: () => calls++ }));
  write(0, 0xab, 1);
  write(2, 0xcdef, 2);
  assert.is(read(0), 0xcdef12ab);
  write(8, 0x0f);
  assert.is(read(8), 0xf0);
  assert.is(read(0x10), 0, 'the constant');
  assert.is(calls, 0);
  assert.is(read(4), 1);
});

test('a narrow or misaligned access to a register of the host does not call it', async () => {
  let calls = 0;
  const { machine, read, write } = await rigOf(probe({ read: () => ++calls, write: () => calls++ }));
  for (const [off, width] of [[4, 1], [4, 2], [6, 2], [5, 4], [0, 8]] as const) {
    assert.is(read(off, width), 0xffffffff);
    assert.is(machine.engine.status, 5);
    write(off, 0, width);
    assert.is(machine.engine.status, 5);
  }
  assert.is(calls, 0);
});

test('within a register handler the engine answers BUSY and nothing changes', async () => {
  const answers: Record<string, unknown> = {};
  let machine: Machine;
  let fn = 0;
  const intrude = (): void => {
    const { engine, hypervisor } = machine;
    answers.registerRead = engine.exports.registerRead(fn, 0, 0, 4);
    answers.status = engine.status;
    engine.exports.registerWrite(fn, 0, 0, 4, 0xdead, 0);
    engine.exports.configWrite(fn, 4, 2, 0);
    answers.guestStore = (engine.exports.guestStore(0, 0x1000, 0, 4, 1, 0), engine.status);
    answers.frameAssign = engine.exports.frameAssign(600, 0, 0);
    answers.dma = engine.exports.functionDmaWrite(fn, 0, 0, 4, engine.host.staging);
    answers.exportService = engine.exports.service(0, 100);
    answers.service = engine.service(0, 100);
    answers.message = engine.pollMessage();
    answers.framePtr = engine.exports.framePtr(1);
    for (const work of [() => machine.run(5), () => machine.createDomain({ name: 'x', memory: '1MiB' }),
      () => machine.removeDevice(BDF), () => machine.assign(BDF, machine.dom0, 'none'), () => machine.saveDevices(),
      () => engine.takeDirtyFrames(),
      () => hypervisor.iomemPermission(0, 1, 1, true), () => hypervisor.deliverInterrupts()]) {
      assert.is(codeOf(work), 'BUSY', String(work));
    }
  };
  const rig = await rigOf(probe({
    read: () => {
      intrude();
      return 0x1234567;
    },
    write: intrude,
  }));
  ({ machine, fn } = rig);
  rig.read(0);
  const before = machine.engine.slice();
  const expected = {
    registerRead: -1, status: BUSY, guestStore: BUSY, frameAssign: BUSY, dma: BUSY, exportService: BUSY, service: BUSY,
    message: undefined, framePtr: 0,
  };
  assert.is(rig.read(4), 0x1234567);
  assert.equal(answers, expected);
  assert.is(machine.engine.status, 0, 'the guest\'s own access was done');
  assert.equal(changes(before, machine.engine.slice()), []);
  rig.write(4, 0);
  assert.equal(changes(before, machine.engine.slice()), []);
  assert.equal(machine.failures, []);
});

test('a context kept from a step is closed in a handler and after the step', async () => {
  let kept: ServiceContext<{ steps: number }, Names> | undefined;
  const seen: unknown[] = [];
  const tryAll = (): void => {
    seen.push(kept?.dmaRead(0, 4).status, kept?.dmaWrite(0, [1]), kept?.sendMsi());
  };
  const { machine, write } = await rigOf(probe({
    service: (context) => { kept = context; },
    write: (device) => (kept ? tryAll() : device.requestService()),
  }));
  write(4, 0);
  machine.run();
  tryAll();
  write(4, 0);
  assert.equal(seen, ['busy', 'busy', false, 'busy', 'busy', false]);
  assert.is(machine.engine.counters().dmaReads, 0);
});

test('a handler drives INTx, schedules and asks for service', async () => {
  const calls: string[] = [];
  const { machine, write } = await rigOf(probe({
    write: (device, value) => {
      if (value === 1) device.intx(true);
      if (value === 2) device.intx(false);
      if (value === 3) device.requestService();
      if (value === 4) device.schedule(device.now + 1000);
      if (value === 5) device.schedule(undefined);
    },
    service: ({ now }) => calls.push(`service ${now}`),
    deadline: ({ now }) => calls.push(`deadline ${now}`),
  }));
  const line = (): number => machine.engine.exports.intxLine(LINE);
  write(4, 1);
  assert.is(line(), 1);
  write(4, 2);
  assert.is(line(), 0);
  machine.run(10);
  assert.equal(calls, ['service 0'], 'Bus Master came on');
  write(4, 3);
  machine.run(10);
  assert.equal(calls.slice(1), ['service 10']);
  write(4, 4);
  assert.is(machine.engine.exports.nextDeadline(), 1020);
  machine.run(5000);
  assert.is(calls.at(-1), 'deadline 1020', 'at its time, not at the end');
  write(4, 4);
  write(4, 5);
  machine.run(5000);
  assert.is(calls.filter((call) => call.startsWith('deadline')).length, 1);
});

test('a periodic timer comes at each of its times', async () => {
  const times: number[] = [];
  const { machine, write } = await rigOf(probe({
    write: (device) => device.schedule(device.now + 100),
    deadline: (context) => {
      times.push(context.now);
      context.schedule(context.now + 100);
    },
  }));
  write(4, 0);
  machine.run(450);
  assert.equal(times, [100, 200, 300, 400]);
});

const faults: Array<[string, Hooks, (rig: Rig) => void]> = [
  ['onWrite of CALL', { write: (device) => {
    device.intx(true);
    device.schedule(10);
    device.requestService();
    throw new Error('oops');
  } }, (rig) => rig.write(4, 1)],
  ['onRead of CALL', { read: () => { throw new Error('oops'); } }, (rig) => assert.is(rig.read(4), 0xffffffff)],
  ['service', { write: (device) => device.requestService(), service: (context) => {
    context.intx(true);
    throw new Error('oops');
  } }, (rig) => {
    rig.write(4, 1);
    rig.machine.run();
  }],
  ['deadline', { write: (device) => device.schedule(5), deadline: () => { throw new Error('oops'); } }, (rig) => {
    rig.write(4, 1);
    rig.machine.run(10);
  }],
];

for (const [doing, hooks, provoke] of faults) {
  test(`a throw in ${doing} marks the device failed, and the machine goes on`, async () => {
    const heard: DeviceFailure[] = [];
    const rig = await rigOf(probe(hooks), (failure) => heard.push(failure));
    rig.machine.engine.exports.functionIntx(rig.fn, 1);
    provoke(rig);
    const { machine } = rig;
    const { exports } = machine.engine;
    assert.is(machine.failures.length, 1);
    const [failure] = machine.failures;
    assert.equal(heard, [failure]);
    assert.is(failure?.bdf, BDF);
    assert.is(failure?.error.code, 'DEVICE_FAILED');
    assert.is(failure?.error.message, `probe at ${BDF} has failed in ${doing}: oops`);
    assert.is((failure?.error.cause as Error).message, 'oops');
    assert.is(machine.hostDevice(BDF).failure, failure);
    for (const [off, width] of [[0, 4], [0, 1], [4, 4], [8, 4], [0x10, 2]] as const) {
      assert.is(rig.read(off, width), 2 ** (8 * width) - 1);
      rig.write(off, 0, width);
    }
    assert.is(exports.intxLine(LINE), 0);
    assert.is(exports.nextDeadline(), -1);
    exports.requestService(rig.fn);
    assert.is(machine.engine.service(100, 100), 0);
    exports.functionReset(rig.fn);
    assert.is(rig.read(0), 0xffffffff, 'for good');
    assert.is(exports.configRead(rig.fn, 0, 4), 0x00011234, 'config space is the bus\'s');
    machine.removeDevice(BDF);
    assert.is(machine.failures.length, 1, 'on record');
  });
}

test('what is no number, a promise and a wrong length are failures too, with a reason', async () => {
  const request: Hooks['write'] = (device) => device.requestService();
  const reasons: Array<[RegExp, Hooks]> = [
    [/a read of CALL gave NaN/, { read: () => Number.NaN }],
    [/handlers are synchronous/, { read: (async () => 1) as unknown as () => number }],
    [/handlers are synchronous/, { write: async () => { /* later */ }, read: () => 1 }],
    [/DMA of 70000 bytes/, { write: request, service: (context) => void context.dmaRead(0, 70000) }],
    [/-1 is no bus address/, { write: request, service: (context) => void context.dmaRead(-1, 4) }],
    [/schedule\(0.5\)/, { read: (device) => (device.schedule(0.5), 1) }],
    [/no register NONE/, { read: (device) => device.get('NONE' as Names) }],
  ];
  for (const [reason, hooks] of reasons) {
    const { machine, read, write } = await rigOf(probe(hooks));
    read(4);
    write(4, 0);
    machine.run();
    assert.match(machine.failures[0]?.error.message ?? '', reason);
  }
});

test('a hook that throws does no harm', async () => {
  const { machine, read } = await rigOf(probe({ read: () => { throw new Error('oops'); } }), () => {
    throw new Error('hook');
  });
  assert.is(read(4), 0xffffffff);
  assert.is(machine.failures.length, 1);
});

test('a device that asks for work for ever is stopped, and the machine comes back', async () => {
  const { machine, write } = await rigOf(probe({
    write: (device) => device.requestService(), service: (context) => context.requestService(),
  }));
  write(4, 0);
  machine.run();
  assert.match(machine.failures[0]?.error.message ?? '', /asked for 1000000 steps at one instant/);
});

test('devices take turns, one step each, in the order of their slots, whatever the budget', async () => {
  for (const budget of [1, 2, 7, 0x7fffffff]) {
    const order: string[] = [];
    const devices = ['a', 'b'].map((name) => probe({
      write: (device) => device.requestService(),
      service: (context) => {
        order.push(name);
        context.dmaRead(0x400000, 8192);
        if (context.state.steps < 3) context.requestService();
      },
    }, `probe-${name}`));
    const placed = [{ model: 'probe-a', bdf: '00:05.0' }, { model: 'probe-b', bdf: '00:06.0' }];
    const machine = await Machine.create({ memory: '16MiB', devices: placed }, { devices });
    for (const bdf of ['00:06.0', '00:05.0']) {
      machine.engine.exports.configWrite(machine.functionOf(bdf), 4, 2, 6);
      machine.engine.exports.registerWrite(machine.functionOf(bdf), 0, 4, 4, 0, 0);
    }
    let calls = 0;
    while (machine.engine.service(0, budget) === 1) calls++;
    assert.equal(order, ['a', 'b', 'a', 'b', 'a', 'b'], `budget ${budget}`);
    assert.ok(budget > 7 ? calls === 0 : calls >= 12 / budget - 1, `budget ${budget}: ${calls} calls`);
    assert.is(machine.engine.counters().dmaReads, 6);
  }
});

test('another device\'s DMA writes a register of the host, and reads ones from it', async () => {
  const values: number[] = [];
  const definition = probe({ write: (_device, value) => values.push(value), read: () => 5 });
  const devices = [{ model: 'probe', bdf: BDF }, { model: 'edu', bdf: '0000:00:06.0' }];
  const machine = await Machine.create({ memory: '16MiB', devices }, { devices: [definition] });
  const { engine } = machine;
  const edu = machine.functionOf('0000:00:06.0');
  engine.exports.configWrite(edu, 4, 2, 6);
  engine.setWord(engine.host.staging, 0x99);
  assert.is(engine.exports.functionDmaWrite(edu, machine.barAddress(BDF, 0) + 4, 0, 4, engine.host.staging), 0);
  assert.equal(values, [], 'posted');
  engine.service(0, 100);
  assert.equal(values, [0x99]);
  engine.exports.functionDmaRead(edu, machine.barAddress(BDF, 0) + 4, 0, 4, engine.host.staging);
  assert.is(engine.word(engine.host.staging), 0xffffffff);
  assert.is(engine.counters().peerUnsupported, 1);
});

test('MSI-X: several vectors in one step, after the bytes that they report; a masked one waits', async () => {
  const definition = defineDevice({
    model: 'vectors', title: 'vectors', state: {},
    config: {
      vendorId: 0x1234, deviceId: 2, classCode: 0xff0000, revision: 1, interruptPin: 0,
      bars: [{ kind: 'memory32', size: 0x2000 }],
      capabilities: [msixCapability({
        off: 0x40, vectors: 4, table: { bar: 0, off: 0x1000 }, pending: { bar: 0, off: 0x1800 },
      })],
    },
    registers: [{ bar: 0, size: 0x2000, rows: [{ name: 'GO', off: 0, host: 'write' }] }],
    handlers: {
      onWrite: (device) => device.requestService(),
      service: (context) => {
        context.dmaWrite(0x400000, [1, 2, 3, 4]);
        for (const vector of [3, 0, 2]) context.sendMsi(vector);
      },
    },
  });
  const { machine, fn, write, read } = await rigOf(definition);
  const { engine } = machine;
  for (let i = 0; i < 4; i++) {
    [0xfee00000, 0, 0x50 + i, i === 2 ? 1 : 0].forEach((dword, at) => write(0x1000 + 16 * i + 4 * at, dword));
  }
  const vectors = (): number[] => {
    const found: number[] = [];
    for (let one = engine.pollMessage(); one; one = engine.pollMessage()) found.push(one.vector);
    return found;
  };
  write(0, 0);
  engine.service(0, 1000);
  assert.equal(vectors(), [], 'off');
  engine.exports.configWrite(fn, 0x42, 2, 0x8000);
  write(0, 0);
  engine.service(0, 1000);
  assert.equal(vectors(), [0x50, 0x53]);
  assert.is(read(0x1800), 0b100, 'pending');
  write(0x1000 + 16 * 2 + 12, 0);
  engine.service(0, 1000);
  assert.equal(vectors(), [0x52]);
});

test('DMA that has to wait: its handler is called again, and its interrupts wait', async () => {
  const calls: string[] = [];
  const machine = await Machine.create({ memory: '16MiB', devices: [{ model: 'probe', bdf: BDF }] }, { devices: [probe({
    write: (device) => {
      device.schedule(device.now + 10);
      device.requestService();
    },
    service: (context) => {
      context.intx(true);
      calls.push(`service ${context.dmaRead(0x40000000, 4).status}`);
    },
    deadline: (context) => void calls.push(`deadline ${context.dmaWrite(0x40000000, [1, 2])}`),
  })] });
  const { engine } = machine;
  engine.windows.map({ kind: 'message', firstMfn: 0x40000, frames: 1 });
  const fn = machine.functionOf(BDF);
  const answer = (): void => {
    const [request] = engine.windows.poll();
    assert.ok(request && engine.windows.answer(request, true));
  };
  engine.exports.configWrite(fn, 4, 2, 6);
  engine.exports.registerWrite(fn, 0, 4, 4, 0, 0);
  assert.is(engine.service(10, 1000), 2);
  assert.is(engine.service(10, 1000), 2);
  assert.equal(calls, ['service pending'], 'not again before there is an answer');
  assert.is(engine.exports.intxLine(LINE), 0);
  answer();
  assert.is(engine.service(10, 1000), 2);
  assert.is(engine.exports.intxLine(LINE), 1);
  assert.equal(calls.slice(1), ['service ok', 'deadline pending']);
  machine.hostDevice(BDF).requestService();
  answer();
  assert.is(engine.service(10, 1000), 2);
  assert.equal(calls.slice(3), ['deadline ok', 'service pending'], 'what waited is finished first');
  answer();
  assert.is(engine.service(10, 1000), 0);
  assert.is(engine.exports.nextDeadline(), -1);
});

test('equal seeds give equal runs; another seed or address other numbers', async () => {
  const run = async (seed: number, bdf = BDF): Promise<number[]> => {
    const machine = await Machine.create({ memory: '16MiB', seed, devices: [{ model: 'probe', bdf }] },
      { devices: [probe({ read: (device) => device.random.next() })] });
    return [1, 2, 3].map(() => machine.engine.exports.registerRead(machine.functionOf(bdf), 0, 4, 4));
  };
  assert.equal(await run(3), await run(3));
  assert.not.equal(await run(3), await run(4));
  assert.not.equal(await run(3), await run(3, '0000:00:06.0'));
});

test('save and load: state, randomness and failure; a wrong one changes nothing', async () => {
  const definition = probe({
    read: (device) => device.random.next(), write: (device, value) => {
      if (value === 0xbad) throw new Error('oops');
      device.state.steps = value;
    },
  });
  const one = await rigOf(definition);
  one.write(4, 42);
  one.read(4);
  const saved = one.machine.saveDevices();
  assert.equal(JSON.parse(JSON.stringify(saved)), saved);
  const next = one.read(4);
  const two = await rigOf(definition);
  two.machine.loadDevices(saved);
  assert.equal(two.machine.hostDevice(BDF).state, { steps: 42 });
  assert.is(two.read(4), next);
  const device = saved[BDF] as NonNullable<typeof saved[string]>;
  for (const wrong of [{}, { [BDF]: { ...device, model: 'other' } }, { [BDF]: { ...device, version: 2 } },
    { [BDF]: { ...device, random: [1] } }, { ...saved, '0000:00:09.0': device }]) {
    assert.is(codeOf(() => two.machine.loadDevices(wrong)), 'DEVICE_STATE');
  }
  assert.equal(two.machine.hostDevice(BDF).state, { steps: 42 });
  one.write(4, 0xbad);
  two.machine.loadDevices(one.machine.saveDevices());
  assert.is(codeOf(() => two.machine.loadDevices(saved)), 'DEVICE_STATE', 'memory first');
  assert.is(two.read(0), 0xffffffff);
  assert.match(two.machine.hostDevice(BDF).failure?.error.message ?? '', /oops/);
});

test('state that is no plain data is refused, at the definition and when it is saved', async () => {
  const { machine, write } = await rigOf(probe({
    write: (device) => void Object.assign(device.state, { map: new Map() }),
  }));
  write(4, 0);
  assert.is(codeOf(() => machine.saveDevices()), 'NOT_PLAIN');
  const circle: { self?: unknown } = {};
  circle.self = circle;
  for (const state of [{ at: new Date() }, { big: 1n }, { f: () => 1 }, { x: Number.NaN }, circle, { u: undefined }]) {
    const define = (): unknown => defineDevice({
      model: 'x', title: 'x', config: CONFIG, registers: [], state, handlers: {},
    });
    assert.is(codeOf(define), 'NOT_PLAIN');
  }
});

test('a reset gives registers and state their initial values and tells the device', async () => {
  const seen: unknown[] = [];
  const definition = defineDevice({
    model: 'resets', title: 'resets', config: CONFIG, state: { serial: 0, boots: 0 },
    registers: [{ bar: 0, size: 0x1000, rows: [{ name: 'SERIAL', off: 0, writeMask: 0xffff, host: 'write' }] }],
    handlers: {
      onWrite: (device, _register, value) => { device.state.serial = value; device.intx(true); },
      reset: (device, kind, before) => {
        device.state.boots = before.boots + 1;
        device.set('SERIAL', 0xb007);
        seen.push([kind, before.serial, device.state.serial]);
      },
    },
  });
  const rig = await rigOf(definition);
  rig.write(0, 77);
  assert.is(rig.machine.engine.exports.intxLine(LINE), 1);
  rig.machine.engine.exports.functionReset(rig.fn);
  assert.is(rig.machine.engine.exports.intxLine(LINE), 0);
  assert.is(rig.read(0), 0xb007);
  rig.machine.engine.exports.systemReset();
  assert.equal(seen, [['power-on', 0, 0], ['function', 77, 0], ['bus', 0, 0]]);
  assert.equal(rig.machine.hostDevice(BDF).state, { serial: 0, boots: 3 });
});

test('a device in TypeScript is a citizen: named in descriptions, plugged out, in unknown-model errors', async () => {
  const definition = probe({});
  const { machine } = await rigOf(definition);
  assert.match(machine.lspci(), /^00:05\.0 probe/m);
  machine.removeDevice(BDF);
  assert.is(codeOf(() => machine.hostDevice(BDF)), 'NO_DEVICE');
  const failure = await Machine.create({ devices: [{ model: 'nope', bdf: BDF }] }, { devices: [definition] })
    .catch((error: Error) => error);
  assert.match((failure as Error).message, /there is no device model "nope"; there are edu, e1000.*, probe, dump$/);
  for (const devices of [[definition, definition], [{ ...definition, model: 'edu' }]]) {
    const error = await Machine.create({}, { devices }).catch((one: PortcullisError) => one);
    assert.is((error as PortcullisError).code, 'DEVICE_DEFINITION');
  }
});

test('a hostile guest: any access, any config write, and the machine comes back with no failure', async () => {
  const { eduTwin } = await import('../../helpers/edu-twin');
  const { Random } = await import('../../../src/engine/index');
  const devices = [{ model: 'edu-twin', bdf: BDF }];
  const machine = await Machine.create({ memory: '16MiB', devices }, { devices: [eduTwin] });
  const { engine } = machine;
  const fn = machine.functionOf(BDF);
  const random = new Random(99);
  for (let i = 0; i < 20_000; i++) {
    const value = random.below(3) ? random.next() : random.below(8);
    const width = [1, 2, 4, 8][random.below(4)] as number;
    const [bar, off] = [random.below(7), random.below(4) ? random.below(0xa0) : random.next()];
    if (random.below(10) === 0) engine.exports.configWrite(fn, random.below(256), Math.min(width, 4), value);
    else if (random.below(2)) engine.exports.registerWrite(fn, bar, off, width, value, random.next());
    else engine.exports.registerRead(fn, bar, off, width);
    if (random.below(50) === 0) machine.run(random.below(200_000_000));
  }
  assert.equal(machine.failures, []);
});

test.run();
