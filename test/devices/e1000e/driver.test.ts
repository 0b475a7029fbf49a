// The driver in a guest: brings the device up, and forwards with every byte compared.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ForwardRun } from '../../../assembly/spec/driver';
import { E1000eDriver } from '../../../src/drivers/e1000e';
import { E1000Driver } from '../../../src/drivers/e1000';
import { generateStore } from '../../../src/devices/links/store';
import { Machine } from '../../../src/machine/machine';
import type { DomainGuest } from '../../../src/machine/guest';
import { codeOf } from '../../helpers/guest-machine';

const NIC = '0000:01:00.0';
const POLICIES = {
  none: { iommu: 'none', translation: 'none', mode: 'direct' },
  static: { iommu: 'vtd', translation: 'own-frames', mode: 'direct' },
  strict: { iommu: 'vtd', translation: 'guest-mapped', mode: 'strict' },
  lazy: { iommu: 'vtd', translation: 'guest-mapped', mode: 'lazy' },
} as const;
const ICS = 0xc8, IMS = 0xd0, RXQ0 = 0x100000, TXQ0 = 0x400000, OTHER = 0x1000000, LSC = 4;

interface Rig {
  machine: Machine;
  guest: DomainGuest;
  driver: E1000eDriver;
  run: number;
}

/** A guest that has the NIC behind a root port, on a link with imix frames. */
async function rig(policy: keyof typeof POLICIES, options: { throttle?: number; budget?: number } = {}): Promise<Rig> {
  const { iommu, translation, mode } = POLICIES[policy];
  const machine = await Machine.create({
    memory: '64MiB', dom0: { memory: '8MiB' }, iommu,
    devices: [
      { model: 'root-port', bdf: '00:0b.0' }, { model: 'e1000e', bdf: NIC }, { model: 'e1000', bdf: '00:05.0' },
    ],
  });
  const domain = machine.createDomain({ name: 'guest', memory: '16MiB' });
  machine.assign(NIC, domain, translation);
  const guest = machine.guest(domain);
  const link = machine.link(NIC);
  link.plugStore(generateStore('imix', 'imix', 64, 5), true);
  link.rateMbps = 1000;
  const { engine } = machine;
  const driver = new E1000eDriver(guest, machine.routingOf(NIC), {
    dma: { mode }, ...(options.throttle !== undefined && { throttle: options.throttle }),
  });
  const run = engine.heap.take(ForwardRun.SIZE, 'a forwarding run');
  engine.stateBytes(run, ForwardRun.SIZE).fill(0);
  for (const [word, value] of [[ForwardRun.DRIVER, driver.off], [ForwardRun.FUNCTION, machine.functionOf(NIC)],
    [ForwardRun.LINK, link.off], [ForwardRun.BATCH, 16], [ForwardRun.ARRIVALS, 7],
    [ForwardRun.BUDGET, options.budget ?? 0]] as const) engine.setWord(run + word, value);
  engine.exports.forwardStart(run);
  return { machine, guest, driver, run };
}

for (const policy of Object.keys(POLICIES) as Array<keyof typeof POLICIES>) {
  test(`it forwards under ${policy}, and every byte is right in the guest and at the sink`, async () => {
    const { machine, driver, run } = await rig(policy);
    const { engine } = machine;
    assert.is(engine.exports.forwardRun(run, 3000), 3000);
    assert.is(engine.word64(run + ForwardRun.RECEIVED), 3000);
    assert.is(engine.word64(run + ForwardRun.SENT), 3000);
    assert.is(engine.word64(run + ForwardRun.RECEIVED_MISMATCHES), 0);
    const { checked, mismatches } = machine.link(NIC).status();
    assert.equal([checked, mismatches], [3000, 0]);
    const counters = engine.counters();
    assert.ok(counters.driverInterrupts > 200, `${counters.driverInterrupts} interrupts`);
    assert.ok(counters.messagesSent >= counters.driverInterrupts);
    assert.is(counters.faults, 0);
    assert.equal([...driver.mac], [0x02, 0x00, 0x5e, 0x10, 0x01, 0x00]);
  });
}

test('a byte that flips on the wire is found', async () => {
  const { machine, run } = await rig('strict');
  machine.link(NIC).corrupt(40, 30);
  machine.engine.exports.forwardRun(run, 100);
  assert.is(machine.engine.word64(run + ForwardRun.RECEIVED_MISMATCHES), 1);
  assert.is(machine.link(NIC).status().firstMismatch, 40);
});

test('what a run leaves does not depend on the budget of its calls', async () => {
  const after = async (budget: number): Promise<unknown> => {
    const { machine, run } = await rig('strict', { budget, throttle: 40 });
    machine.engine.exports.forwardRun(run, 500);
    let hash = 7;
    for (let mfn = 0; mfn < machine.engine.frames; mfn += 1) {
      for (const byte of machine.engine.frame(mfn).subarray(0, 256)) hash = Math.imul(hash, 31) + byte | 0;
    }
    return [hash, machine.engine.counters(), machine.link(NIC).status()];
  };
  const whole = await after(0);
  for (const budget of [1, 7, 1000]) assert.equal(await after(budget), whole, `budget ${budget}`);
});

test('throttled vectors: fewer interrupts, the same packets', async () => {
  const interrupts = async (throttle: number): Promise<number> => {
    const { machine, run } = await rig('static', { throttle });
    assert.is(machine.engine.exports.forwardRun(run, 500), 500);
    return machine.engine.counters().driverInterrupts;
  };
  assert.ok(await interrupts(2000) < await interrupts(0));
});

test('three vectors of MSI-X arrive as three events, remapped; an acknowledged cause comes again', async () => {
  const { machine, guest, driver } = await rig('strict');
  const [receive, transmit, other] = driver.events.map(({ port }) => port) as [number, number, number];
  const seen = (): boolean[] => {
    machine.run();
    return [receive, transmit, other].map((port) => guest.takeEvent(port));
  };
  seen();
  driver.write(IMS, RXQ0 | TXQ0 | OTHER | LSC);
  assert.equal(seen(), [false, false, false]);
  driver.write(ICS, RXQ0);
  assert.equal(seen(), [true, false, false]);
  driver.write(ICS, RXQ0);
  assert.equal(seen(), [false, false, false], 'masked by the device itself');
  driver.write(IMS, RXQ0);
  assert.equal(seen(), [true, false, false]);
  driver.write(ICS, TXQ0);
  assert.equal(seen(), [false, true, false]);
  machine.link(NIC).up = false;
  assert.equal(seen(), [false, false, true]);
  assert.is(machine.engine.counters().messagesBlocked, 0);
});

test('a vector that the guest writes into the table itself is blocked by remapping', async () => {
  const { machine, driver, guest } = await rig('strict');
  const table = guest.ioremap(machine.barAddress(NIC, 3), 0x4000);
  guest.store(table, 4, 0xfee00000);
  guest.store(table + 8, 4, 0x31);
  driver.write(IMS, RXQ0);
  driver.write(ICS, RXQ0);
  machine.run();
  assert.is(machine.engine.counters().messagesBlocked, 1);
  assert.not(guest.takeEvent(driver.events[0]!.port));
});

test('enableMsix: as many vectors as there are, for a device of the domain that decodes its memory', async () => {
  const { machine, guest } = await rig('none');
  const routing = machine.routingOf(NIC);
  assert.is(codeOf(() => guest.enableMsix(routing, 6)), 'EINVAL');
  assert.is(codeOf(() => guest.enableMsix(routing, 0)), 'EINVAL');
  assert.is(codeOf(() => guest.enableMsix(machine.routingOf('00:05.0'), 1)), 'ENODEV');
  assert.is(guest.enableMsix(routing, 5).length, 5);
  guest.config(routing).write(4, 2, 0);
  assert.is(codeOf(() => guest.enableMsix(routing, 1)), 'EINVAL');
  machine.assign('00:05.0', guest.domain, 'none');
  assert.is(codeOf(() => guest.enableMsix(machine.routingOf('00:05.0'), 1)), 'ENODEV', 'no such capability');
});

test('each driver knows its own device', async () => {
  const { machine, guest } = await rig('none');
  machine.assign('00:05.0', guest.domain, 'none');
  const dma = { mode: 'direct' } as const;
  assert.is(codeOf(() => new E1000eDriver(guest, machine.routingOf('00:05.0'), { dma })), 'DRIVER_PROBE');
  assert.is(codeOf(() => new E1000Driver(guest, machine.routingOf(NIC), { dma })), 'DRIVER_PROBE');
});

test('a snapshot from the middle of a run goes on elsewhere', async () => {
  const { machine, driver, run } = await rig('strict');
  machine.engine.exports.forwardRun(run, 300);
  machine.link(NIC).offer(5);
  const saved = machine.save();
  const copy = await Machine.restore({ ...saved, document: JSON.parse(JSON.stringify(saved.document)) });
  const again = new E1000eDriver(copy.guest(copy.hypervisor.domain(1)), copy.routingOf(NIC), { resume: driver.save() });
  assert.equal(again.save(), driver.save());
  const results = [machine, copy].map((one) => {
    one.engine.exports.forwardRun(run, 300);
    return [one.engine.counters(), one.link(NIC).status(), one.engine.word64(run + ForwardRun.RECEIVED_MISMATCHES)];
  });
  assert.equal(results[1], results[0]);
  assert.is(copy.link(NIC).status().mismatches, 0);
});

test.run();
