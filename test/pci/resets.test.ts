import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { machineWith, portConfig, Probe } from '../helpers/made-up';

const COMMAND = 0x04, PMCSR = 0x44, EXPRESS = 0x80, DEVCTL = EXPRESS + 8, LNKCTL = EXPRESS + 0x10;
const BARS_MOVED = 0x1058;

async function inUse(bdf = '00:04.0', devices = [{ model: 'probe', bdf: '00:04.0' }]): Promise<Probe> {
  const probe = new Probe(await machineWith(devices), bdf);
  probe.setConfig(COMMAND, 2, 0x0407);
  probe.setConfig(0x0c, 1, 16);
  probe.setRegister(0x10, 0x1234);
  probe.setConfig(DEVCTL, 2, 0x28ff);
  return probe;
}

function asAfterReset(probe: Probe): void {
  assert.is(probe.config(COMMAND, 2), 0);
  assert.is(probe.config(0x0c, 1), 0);
  assert.equal([probe.config(0x10), probe.config(0x14), probe.config(0x18), probe.config(0x1c)], [0, 1, 0xc, 0]);
  assert.is(probe.config(PMCSR, 2), 0);
  assert.is(probe.register(0x10), 7);
  assert.is(probe.dma(), 1);
}

test('a function-level reset by the host', async () => {
  const probe = await inUse();
  probe.exports.functionReset(probe.fn);
  asAfterReset(probe);
  assert.is(probe.machine.engine.word(BARS_MOVED), 1 << probe.fn);
  assert.is(probe.config(0), 0x77771af4);
});

test('Initiate Function Level Reset, whatever the width, and it reads as 0', async () => {
  for (const [off, width, value] of [[DEVCTL, 2, 0xa810], [DEVCTL, 4, 0xa810], [DEVCTL + 1, 1, 0x80]] as const) {
    const probe = await inUse();
    probe.setConfig(off, width, value);
    asAfterReset(probe);
    assert.is(probe.config(DEVCTL, 2) & 0x8000, 0);
  }
});

test('it keeps payload size and link control', async () => {
  const probe = await inUse('01:00.0', [{ model: 'root-port', bdf: '00:01.0' }, { model: 'probe', bdf: '01:00.0' }]);
  probe.setConfig(LNKCTL, 2, 0x0043);
  probe.setConfig(DEVCTL, 2, 0xa8ff);
  assert.is(probe.config(DEVCTL, 2), 0x28f0 & 0x00e0 | 0x2810);
  assert.is(probe.config(LNKCTL, 2), 0x0043);
});

test('other bits of the register do not reset', async () => {
  const probe = await inUse();
  probe.setConfig(DEVCTL, 1, 0x80);
  probe.setConfig(DEVCTL + 2, 2, 0xffff);
  probe.setConfig(EXPRESS + 4, 4, 0xffffffff);
  assert.is(probe.register(0x10), 0x1234);
});

test('D3hot answers config cycles only, and coming back resets', async () => {
  const probe = await inUse();
  const bar = probe.config(0x10);
  probe.setConfig(PMCSR, 2, 3);
  assert.is(probe.config(0x10), bar);
  assert.is(probe.dma(), 1);
  assert.is(portConfig(probe.machine, 0, 4, 0, 0), 0x77771af4);
  probe.setConfig(PMCSR, 2, 0);
  asAfterReset(probe);
});

test('D1 and D2, which it does not have, are not entered', async () => {
  const probe = await inUse();
  for (const state of [1, 2]) {
    probe.setConfig(PMCSR, 2, state);
    assert.is(probe.config(PMCSR, 2), 0);
    assert.is(probe.dma(), 0);
  }
  probe.setConfig(PMCSR, 2, 3);
  probe.setConfig(PMCSR, 1, 1);
  assert.is(probe.config(PMCSR, 2), 3);
});

test('with No_Soft_Reset coming back from D3hot keeps everything', async () => {
  const machine = await machineWith([{ model: 'root-port', bdf: '00:01.0' }, { model: 'probe', bdf: '01:00.0' }]);
  const port = new Probe(machine, '00:01.0');
  const before = [0x04, 0x18, 0x1c, 0x20, 0x24].map((off) => port.config(off));
  port.setConfig(0x4c, 2, 3);
  port.setConfig(0x4c, 2, 0);
  assert.equal([0x04, 0x18, 0x1c, 0x20, 0x24].map((off) => port.config(off)), before);
});

test('a bridge that comes back from D3hot resets what is behind it', async () => {
  const probe = await inUse('01:03.0', [{ model: 'plain-bridge', bdf: '00:01.0' }, { model: 'probe', bdf: '01:03.0' }]);
  const bridge = new Probe(probe.machine, '00:01.0');
  bridge.setConfig(PMCSR, 2, 3);
  bridge.setConfig(PMCSR, 2, 0);
  asAfterReset(probe);
  assert.is(bridge.config(0x18), 0);
});

test('a bus reset by the host leaves the bridge as it is', async () => {
  const probe = await inUse('01:03.0', [{ model: 'plain-bridge', bdf: '00:01.0' }, { model: 'probe', bdf: '01:03.0' }]);
  const bridge = new Probe(probe.machine, '00:01.0');
  probe.exports.busReset(bridge.fn);
  asAfterReset(probe);
  assert.is(bridge.config(0x18), 0x00010100);
  assert.is(portConfig(probe.machine, 1, 3, 0, 0), 0x77771af4);
  // of what is no bridge it is nothing
  probe.setConfig(COMMAND, 2, 6);
  probe.exports.busReset(probe.fn);
  probe.exports.busReset(0);
  probe.exports.busReset(99);
  assert.is(probe.config(COMMAND, 2), 6);
});

test('a system reset: functions, bridges, queues, config address, IOMMU; memory stays', async () => {
  const machine = await machineWith([{ model: 'root-port', bdf: '00:01.0' }, { model: 'probe', bdf: '01:00.0' },
    { model: 'edu', bdf: '00:02.0' }],
    { iommu: 'vtd', owner: 'xen' });
  const { engine } = machine;
  const probe = new Probe(machine, '01:00.0');
  const edu = new Probe(machine, '00:02.0');
  engine.frame(5)[0] = 0x77;
  const gsts = (): number => engine.exports.registerRead(0, 0, 0x1c, 4) >>> 0;
  assert.is(gsts() >>> 31, 1);
  edu.setRegister(0x04, 5);
  edu.setConfig(COMMAND, 2, 0x0006);
  edu.exports.functionIntx(edu.fn, 1);
  const line = edu.config(0x3c, 1);
  assert.is(engine.exports.intxLine(line), 1);
  engine.exports.portWrite(0xcf8, 4, 0x80001000);
  engine.exports.systemReset();
  assert.is(gsts(), 0);
  assert.is(engine.exports.registerRead(0, 0, 0x88, 4), 0, 'queue head');
  assert.equal([edu.register(0x04), edu.config(COMMAND, 2), edu.config(0x10)], [0, 0, 0]);
  assert.is(engine.exports.intxLine(line), 0);
  assert.is(engine.exports.portRead(0xcf8, 4), 0);
  assert.is(new Probe(machine, '00:01.0').config(0x18), 0);
  assert.is(probe.config(0x10), 0);
  assert.is(engine.frame(5)[0], 0x77);
  assert.is(engine.pollMessage(), undefined);
  assert.is(engine.exports.service(0, 1000), 0);
});

test('a device given back to its owner finds its BARs where they were', async () => {
  const machine = await machineWith([{ model: 'probe', bdf: '00:04.0' }], { owner: 'xen' });
  const probe = new Probe(machine, '00:04.0');
  const bars = [0x10, 0x14, 0x18, 0x1c, 0x3c].map((off) => probe.config(off));
  const domain = machine.createDomain({ name: 'guest', memory: '1MiB' });
  machine.assign('00:04.0', domain, 'none');
  probe.setConfig(COMMAND, 2, 7);
  probe.setRegister(0x10, 0x1234);
  machine.unassign('00:04.0', domain);
  assert.equal([0x10, 0x14, 0x18, 0x1c, 0x3c].map((off) => probe.config(off)), bars);
  // as firmware had left it: decode and SERR on, Bus Master off
  assert.equal([probe.config(COMMAND, 2), probe.register(0x10)], [0x103, 7]);
});

test.run();
