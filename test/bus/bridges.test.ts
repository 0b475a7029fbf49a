import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Machine } from '../../src/index';
import { machineWith, portConfig, Probe } from '../helpers/made-up';

// registers of a type 1 header
const COMMAND = 0x04, SECONDARY = 0x19, SUBORDINATE = 0x1a, IO_BASE = 0x1c, IO_LIMIT = 0x1d, MEMORY_BASE = 0x20,
  MEMORY_LIMIT = 0x22,
  PREFETCH_BASE = 0x24, PREFETCH_LIMIT = 0x26, PREFETCH_BASE_HI = 0x28, PREFETCH_LIMIT_HI = 0x2c, CONTROL = 0x3e;
const IO = 1, MEMORY = 2, MASTER = 4;

const port = { model: 'root-port', bdf: '00:0b.0' };
const behind = { model: 'probe', bdf: '01:00.0' };

async function pair(): Promise<{ machine: Machine; bridge: Probe; probe: Probe }> {
  const machine = await machineWith([port, behind]);
  return { machine, bridge: new Probe(machine, '00:0b.0'), probe: new Probe(machine, '01:00.0') };
}

/** Whether a load of the first domain at the machine address of the probe's scratch register gets there. */
function decoded(machine: Machine, probe: Probe, address = (probe.config(0x10) & ~0xf) >>> 0): boolean {
  const guest = machine.guest(machine.dom0);
  machine.hypervisor.iomemPermission(0, Math.floor(address / 4096), 4, true);
  probe.setRegister(0x10, 0x5eed);
  return guest.load(guest.ioremap(address, 0x4000) + 0x10, 4) === 0x5eed;
}

function portsDecoded(machine: Machine, probe: Probe): boolean {
  probe.setRegister(4, 0x50d5, 1);
  return machine.engine.exports.portRead((probe.config(0x14) & ~3) + 4, 4) === 0x50d5;
}

test('without the bridge\'s memory bit nothing behind it is decoded', async () => {
  const { machine, bridge, probe } = await pair();
  assert.ok(decoded(machine, probe));
  bridge.setConfig(COMMAND, 2, IO | MASTER);
  assert.not.ok(decoded(machine, probe));
  assert.ok(portsDecoded(machine, probe));
  bridge.setConfig(COMMAND, 2, IO | MEMORY);
  assert.ok(decoded(machine, probe));
});

test('without the bridge\'s I/O bit no port behind it is decoded', async () => {
  const { machine, bridge, probe } = await pair();
  assert.ok(portsDecoded(machine, probe));
  bridge.setConfig(COMMAND, 2, MEMORY);
  assert.not.ok(portsDecoded(machine, probe));
  assert.ok(decoded(machine, probe));
});

test('a BAR outside the window, or across its end, is not decoded', async () => {
  const { machine, bridge, probe } = await pair();
  const address = (probe.config(0x10) & ~0xf) >>> 0;
  const base = bridge.config(MEMORY_BASE, 2);
  assert.is(base, address >>> 16 & 0xfff0);
  bridge.setConfig(MEMORY_BASE, 2, base + 0x10);
  bridge.setConfig(MEMORY_LIMIT, 2, base + 0x10);
  assert.not.ok(decoded(machine, probe));
  bridge.setConfig(MEMORY_BASE, 2, base);
  assert.ok(decoded(machine, probe));
  // base above limit: no window
  bridge.setConfig(MEMORY_LIMIT, 2, base - 0x10);
  assert.not.ok(decoded(machine, probe));
  // a window of 1 MiB, a BAR that begins inside and is moved to the next one
  bridge.setConfig(MEMORY_LIMIT, 2, base);
  probe.setConfig(0x10, 4, address + 0x100000);
  assert.not.ok(decoded(machine, probe));
  probe.setConfig(0x10, 4, address + 0x100000 - 0x4000);
  assert.ok(decoded(machine, probe));
});

test('a BAR as large as two windows is not decoded in part', async () => {
  const { machine, bridge, probe } = await pair();
  const wide = (probe.config(0x18) & ~0xf) >>> 0;
  machine.hypervisor.iomemPermission(0, wide / 4096, 256, true);
  const guest = machine.guest(machine.dom0);
  const va = guest.ioremap(wide, 4096);
  assert.is(guest.load(va, 4), 0);
  bridge.setConfig(PREFETCH_BASE, 2, (wide >>> 16 & 0xfff0) + 0x10);
  assert.is(guest.load(va, 4) >>> 0, 0xffffffff);
  // the other window serves a prefetchable BAR as well
  bridge.setConfig(MEMORY_LIMIT, 2, 0xffff);
  bridge.setConfig(MEMORY_BASE, 2, 0xf000);
  assert.is(guest.load(va, 4), 0);
});

test('the prefetchable window has 64 bits', async () => {
  const { machine, bridge, probe } = await pair();
  probe.setConfig(0x18, 4, 0);
  probe.setConfig(0x1c, 4, 0x12);
  bridge.setConfig(PREFETCH_BASE, 2, 0);
  bridge.setConfig(PREFETCH_LIMIT, 2, 0);
  bridge.setConfig(PREFETCH_BASE_HI, 4, 0x12);
  bridge.setConfig(PREFETCH_LIMIT_HI, 4, 0x11);
  const guest = machine.guest(machine.dom0);
  machine.hypervisor.iomemPermission(0, 0x1200000, 256, true);
  const va = guest.ioremap(0x1200000000, 4096);
  assert.is(guest.load(va, 4) >>> 0, 0xffffffff);
  bridge.setConfig(PREFETCH_LIMIT_HI, 4, 0x12);
  assert.is(guest.load(va, 4), 0);
});

test('an I/O window of 4 KiB, closed when its base is above its limit', async () => {
  const { machine, bridge, probe } = await pair();
  const base = bridge.config(IO_BASE, 1);
  bridge.setConfig(IO_BASE, 1, base + 0x10);
  assert.not.ok(portsDecoded(machine, probe));
  bridge.setConfig(IO_LIMIT, 1, base + 0x10);
  assert.not.ok(portsDecoded(machine, probe));
  bridge.setConfig(IO_BASE, 1, base);
  assert.ok(portsDecoded(machine, probe));
});

test('DMA and messages need Bus Master of the function and of every bridge above it', async () => {
  const machine = await machineWith([
    { model: 'plain-bridge', bdf: '00:01.0' }, { model: 'plain-bridge', bdf: '01:02.0' },
    { model: 'probe', bdf: '02:03.0' },
  ]);
  const outer = new Probe(machine, '00:01.0');
  const inner = new Probe(machine, '01:02.0');
  const probe = new Probe(machine, '02:03.0');
  assert.is(probe.dma(), 1);
  probe.setConfig(COMMAND, 2, MEMORY | MASTER);
  assert.is(probe.dma(), 0);
  for (const bridge of [outer, inner]) {
    bridge.setConfig(COMMAND, 2, IO | MEMORY);
    assert.is(probe.dma(), 1);
    bridge.setConfig(COMMAND, 2, IO | MEMORY | MASTER);
    assert.is(probe.dma(), 0);
  }
  outer.setConfig(COMMAND, 2, IO | MEMORY);
  probe.setConfig(0x54, 4, 0xfee00000);
  probe.setConfig(0x5c, 2, 0x40);
  probe.setConfig(0x52, 2, 1);
  assert.ok(probe.message(0));
  assert.equal(probe.vectors(), []);
  // its own bits are as software left them
  assert.is(probe.config(COMMAND, 2), MEMORY | MASTER);
});

test('a bridge that is not in D0 cuts off what is behind it', async () => {
  const { machine, bridge, probe } = await pair();
  probe.setConfig(COMMAND, 2, IO | MEMORY | MASTER);
  machine.engine.exports.functionIntx(probe.fn, 1);
  assert.is(machine.engine.exports.intxLine(19), 1);
  bridge.setConfig(0x4c, 2, 3);
  assert.is(portConfig(machine, 1, 0, 0, 0), 0xffffffff);
  assert.is(portConfig(machine, 0, 11, 0, 0), 0x000c1b36, 'the bridge itself answers');
  assert.not.ok(decoded(machine, probe));
  assert.is(probe.dma(), 1);
  assert.is(machine.engine.exports.intxLine(19), 0);
  bridge.setConfig(0x4c, 2, 0);
  assert.is(portConfig(machine, 1, 0, 0, 0), 0x77771af4);
  assert.is(probe.dma(), 0);
  assert.is(machine.engine.exports.intxLine(19), 1);
});

test('bus numbers that lead nowhere hide what is behind, and nothing else', async () => {
  const { machine, bridge, probe } = await pair();
  const seen = (bus: number): boolean => portConfig(machine, bus, 0, 0, 0) === 0x77771af4;
  assert.ok(seen(1));
  for (const [secondary, subordinate] of [[0, 0], [0, 255], [5, 4], [255, 0]] as const) {
    bridge.setConfig(SECONDARY, 1, secondary);
    bridge.setConfig(SUBORDINATE, 1, subordinate);
    for (const bus of [1, secondary, subordinate]) assert.not.ok(seen(bus), `${secondary} ${subordinate} ${bus}`);
    assert.is(portConfig(machine, 0, 0, 0, 0), 0x29c08086);
  }
  // a new number is where it is now, and what its DMA is known by
  bridge.setConfig(SUBORDINATE, 1, 0x42);
  bridge.setConfig(SECONDARY, 1, 0x42);
  assert.ok(seen(0x42));
  assert.not.ok(seen(1));
  probe.setConfig(COMMAND, 2, MEMORY | MASTER);
  probe.setConfig(0x54, 4, 0xfee00000);
  probe.setConfig(0x52, 2, 1);
  probe.message(0);
  assert.is(machine.engine.pollMessage()?.requester, 0x4200);
});

test('an inner bridge is reached only within the numbers of the outer one', async () => {
  const machine = await machineWith([
    { model: 'plain-bridge', bdf: '00:01.0' }, { model: 'plain-bridge', bdf: '01:02.0' },
    { model: 'probe', bdf: '02:03.0' },
  ]);
  const [outer, inner] = ['00:01.0', '01:02.0'].map((bdf) => new Probe(machine, bdf)) as [Probe, Probe];
  const seen = (bus: number): boolean => portConfig(machine, bus, 3, 0, 0) === 0x77771af4;
  assert.equal([outer.config(0x18), inner.config(0x18)], [0x00020100, 0x00020201]);
  assert.ok(seen(2));
  outer.setConfig(SUBORDINATE, 1, 1);
  assert.not.ok(seen(2));
  outer.setConfig(SUBORDINATE, 1, 9);
  inner.setConfig(SECONDARY, 1, 1);
  assert.not.ok(seen(1), 'its own bus');
  inner.setConfig(SUBORDINATE, 1, 9);
  inner.setConfig(SECONDARY, 1, 9);
  assert.ok(seen(9));
});

test('secondary bus reset resets and hides all that is behind', async () => {
  const machine = await machineWith([
    { model: 'plain-bridge', bdf: '00:01.0' }, { model: 'plain-bridge', bdf: '01:02.0' },
    { model: 'probe', bdf: '02:03.0' },
    { model: 'probe', bdf: '00:02.0' },
  ]);
  const outer = new Probe(machine, '00:01.0');
  const inner = new Probe(machine, '01:02.0');
  const probe = new Probe(machine, '02:03.0');
  const beside = new Probe(machine, '00:02.0');
  for (const one of [probe, beside]) {
    one.setConfig(COMMAND, 2, MEMORY | MASTER);
    one.setRegister(0x10, 0x1234);
  }
  const windows = outer.config(MEMORY_BASE);
  outer.setConfig(CONTROL, 2, 0x40);
  assert.is(portConfig(machine, 1, 2, 0, 0), 0xffffffff);
  assert.is(probe.dma(), 1);
  assert.is(machine.engine.word(0x1058) & (1 << probe.fn), 1 << probe.fn, 'its BARs are reported as moved');
  outer.setConfig(CONTROL, 2, 0);
  assert.is(outer.config(MEMORY_BASE), windows);
  assert.is(inner.config(0x18), 0);
  assert.is(probe.config(COMMAND, 2), 0);
  assert.is(probe.config(0x10), 0);
  assert.is(probe.register(0x10), 7);
  assert.is(portConfig(machine, 1, 2, 0, 0), 0x77781af4, 'on the bus again');
  assert.equal([beside.register(0x10), beside.dma()], [0x1234, 0]);
});

test('INTx is turned by the device number at each bridge', async () => {
  // (device + pin - 1) mod 4 at each bridge, then line 16 + (device + pin - 1) mod 8 on the root bus
  const machine = await machineWith([
    { model: 'plain-bridge', bdf: '00:01.0' }, { model: 'plain-bridge', bdf: '01:02.0' },
    { model: 'probe', bdf: '02:03.0' },
    { model: 'probe', bdf: '01:01.0' }, { model: 'probe', bdf: '00:05.0' },
  ]);
  // 02:03.0 INTA -> INTD at 01:02.0 -> device 2, INTD: INTB at 00:01.0 -> 16 + 1 + 1
  for (const [bdf, line] of [['00:05.0', 21], ['01:01.0', 18], ['02:03.0', 18]] as const) {
    const probe = new Probe(machine, bdf);
    assert.is(probe.config(0x3c, 1), line, bdf);
    machine.engine.exports.functionIntx(probe.fn, 1);
    assert.is(machine.engine.exports.intxLine(line), 1, bdf);
    machine.engine.exports.functionIntx(probe.fn, 0);
    assert.is(machine.engine.exports.intxLine(line), 0, bdf);
  }
});

test('firmware numbers buses depth first, and windows hold what is behind', async () => {
  const machine = await machineWith([
    { model: 'plain-bridge', bdf: '00:03.0' }, { model: 'plain-bridge', bdf: '00:02.0' },
    { model: 'plain-bridge', bdf: '01:04.0' },
    { model: 'probe', bdf: '02:00.0' }, { model: 'probe', bdf: '02:01.0' }, { model: 'probe', bdf: '03:00.0' },
  ]);
  const numbers = ['00:02.0', '01:04.0', '00:03.0'].map((bdf) => new Probe(machine, bdf).config(0x18));
  assert.equal(numbers, [0x00020100, 0x00020201, 0x00030300]);
  for (const bdf of ['02:00.0', '02:01.0', '03:00.0']) {
    const probe = new Probe(machine, bdf);
    assert.ok(decoded(machine, probe), bdf);
    assert.ok(portsDecoded(machine, probe), bdf);
  }
  const outer = new Probe(machine, '00:02.0');
  assert.is((outer.config(MEMORY_LIMIT, 2) - outer.config(MEMORY_BASE, 2)) >> 4, 0, '32 KiB in a window of 1 MiB');
  assert.is((outer.config(PREFETCH_LIMIT, 2) - outer.config(PREFETCH_BASE, 2)) >> 4, 1, '2 MiB');
  assert.is(outer.config(IO_LIMIT, 1) - outer.config(IO_BASE, 1), 0, '4 KiB');
});

test('a bridge with nothing behind it forwards nothing', async () => {
  const machine = await machineWith([port]);
  const bridge = new Probe(machine, '00:0b.0');
  assert.ok(bridge.config(MEMORY_BASE, 2) > bridge.config(MEMORY_LIMIT, 2));
  assert.ok(bridge.config(IO_BASE, 1) > bridge.config(IO_LIMIT, 1));
  assert.ok(bridge.config(PREFETCH_BASE_HI) > bridge.config(PREFETCH_LIMIT_HI));
});

test('what is behind a bridge is removed before it', async () => {
  const { machine } = await pair();
  assert.throws(() => machine.removeDevice('00:0b.0'),
    /0000:00:0b.0 leads to 0000:01:00.0; remove what is behind a bridge first/);
  machine.removeDevice('01:00.0');
  machine.removeDevice('00:0b.0');
  assert.is(portConfig(machine, 0, 11, 0, 0), 0xffffffff);
});

test('nonsense in every register of a bridge ends, and power-on values bring all back', async () => {
  const machine = await machineWith([
    { model: 'plain-bridge', bdf: '00:01.0' }, { model: 'plain-bridge', bdf: '01:02.0' },
    { model: 'probe', bdf: '02:03.0' },
    { model: 'plain-bridge', bdf: '00:02.0' }, { model: 'probe', bdf: '03:00.0' },
  ]);
  const all = ['00:01.0', '01:02.0', '02:03.0', '00:02.0', '03:00.0'].map((bdf) => new Probe(machine, bdf));
  const before = all.map((one) => Array.from({ length: 16 }, (_, i) => one.config(4 * i)));
  const pages = machine.engine.word(0x1214);
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor(seed / 2 ** 32 * below);
  };
  for (let i = 0; i < 20000; i++) {
    const one = all[random(all.length)] as Probe;
    const width = [1, 2, 4][random(3)] as 1 | 2 | 4;
    one.setConfig(random(0x50) & -width, width, random(2) === 0 ? random(2 ** 32) : 0xffffffff);
    if (i % 64 === 0) portConfig(machine, random(256), random(32), random(8), 0);
  }
  machine.engine.exports.systemReset();
  all.forEach((one, index) => before[index]?.forEach((value, i) => one.setConfig(4 * i, 4, value)));
  all.forEach((one, index) => assert.equal(Array.from({ length: 16 }, (_, i) => one.config(4 * i)), before[index]));
  assert.is(machine.engine.word(0x1214), pages, 'no page of the decode tree is lost');
  assert.ok(decoded(machine, all[2] as Probe));
  assert.ok(decoded(machine, all[4] as Probe));
});

test.run();
