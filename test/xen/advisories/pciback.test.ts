// What advisories on pciback, on its config space and on its shared page teach (xen-passthrough.md 8), those on QEMU's
// part of it too, where the lesson is the same: one test for each, with an attack and what must still work. Which guard
// each stands for is in scripts/mutants-advisories.mjs.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PciCap } from '../../../assembly/spec/pci';
import type { Capability } from '../../../src/pci/capabilities/capability';
import { msiCapability } from '../../../src/pci/capabilities/msi';
import { field } from '../../../src/pci/fields';
import type { FrontLink } from '../../../src/xen/pciback/front-link';
import { OpServer } from '../../../src/xen/pciback/op-server';
import type { PcibackDevice } from '../../../src/xen/pciback/seized-device';
import { PciPage } from '../../../src/xen/pciif';
import { E1000E, EDU, type FakeDefinition, type FakePciback, OBSERVED, PAIR_0, WIDE, fakePciback } from '../../helpers/fake-pciback';
import { PciSplit } from '../../helpers/pci-split';

const [DENIED, OP_FAILED] = [-3, -5];
const [ENXIO, ENOSPC, EALREADY] = [-6, -28, -114];

const test = suite('advisories: pciback');

/** PMCSR that keeps whatever is written to it; PME# can be turned on. */
const POWER: Capability = {
  name: 'power management', id: PciCap.PM, off: 0xc8, size: 8,
  fields: () => [field('PMC', 2, 2, '', { value: 0xf803 }), field('PMCSR', 4, 2, '', { value: 8, writable: 0xffff })],
};
const NOISY = 0x0048;
/** Maskable MSI, and a PMCSR of which every bit can be written. */
const noisy: FakeDefinition = {
  routing: NOISY, gsi: 16, irq: 0x10, addresses: [0xfe700000],
  config: {
    vendorId: 0x1af4, deviceId: 0x7777, classCode: 0xff0000, revision: 1, subsystemVendorId: 0x1af4, subsystemId: 1, interruptPin: 1,
    bars: [{ kind: 'memory32', size: 0x1000 }],
    capabilities: [POWER, msiCapability({ off: 0x50, vectors: 8, wide: true, masking: true })],
    own: [field('scratch', 0xe0, 4, '', { writable: -1 }), field('scratch', 0x40, 4, '', { writable: -1 })],
  },
};

const backend = (): FakePciback => fakePciback({}, [...OBSERVED, noisy]);

/** Offsets in struct xen_pci_sharedinfo. */
const AT = { flags: 0, cmd: 4, err: 8, devfn: 20, offset: 24, size: 28, value: 32, msix: 40 };
const ACTIVE = 1;

interface Op {
  cmd: number;
  offset?: number;
  size?: number;
  value?: number;
  entries?: number[];
}

function put(view: DataView, { cmd, offset = 0, size = 0, value = 0, entries = [] }: Op): void {
  for (let off = 4; off < 552; off += 4) view.setUint32(off, 0, true);
  view.setUint32(AT.cmd, cmd, true);
  view.setInt32(AT.offset, offset, true);
  view.setInt32(AT.size, size, true);
  view.setUint32(AT.value, value, true);
  entries.forEach((entry, i) => view.setUint32(AT.msix + 4 * i, entry << 16, true));
  view.setUint32(AT.flags, ACTIVE, true);
}

interface Served {
  view: DataView;
  ask(op: Op): { err: number; value: number };
}

/** The op server of a device's guest, whose page is here; `found` runs when the device has been looked up. */
function serve(device: PcibackDevice, { found = () => undefined, notified = () => undefined }: { found?: () => void; notified?: () => void } = {}):
Served & { server: OpServer } {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  const link = { open: true, page: new PciPage(() => bytes), notify: notified } as unknown as FrontLink;
  const server = new OpServer(link, { find: () => {
    found();
    return device;
  } });
  return { server, view, ask: (op) => {
    put(view, op);
    server.handle();
    return { err: view.getInt32(AT.err, true), value: view.getUint32(AT.value, true) };
  } };
}

test('XSA-43: failures that a guest can cause again and again fill no log', () => {
  const back = backend();
  const device = back.take(E1000E);
  const { ask } = serve(device);
  back.physdev.refuse = 'ENODEV';
  back.log.length = 0;
  for (let i = 0; i < 500; i++) {
    assert.is(ask({ cmd: 2 }).err, OP_FAILED);
    assert.is(ask({ cmd: 4, value: 1, entries: [0] }).err, -19);
  }
  assert.is(back.log.length, 10);
  // the next guest's first failures are told again
  back.stub.give(device);
  back.take(E1000E, 2);
  for (let i = 0; i < 500; i++) ask({ cmd: 2 });
  assert.is(back.log.filter((line) => line.includes('guest 2')).length, 10);
});

test('XSA-120: decode of the hardware stays on, whatever the guest writes, and is on when it is handed over', () => {
  for (const routing of [E1000E, EDU, WIDE, PAIR_0]) {
    const back = backend();
    const hardware = back.host.at(routing);
    const bits = routing === E1000E ? 3 : 2;
    // an earlier driver has left it off
    hardware.write(0x04, 2, 0);
    const device = back.seize(routing);
    assert.is(hardware.read(0x04, 2) & 3, bits, 'when it is seized');
    back.take(routing);
    for (const [off, size] of [[4, 1], [4, 2], [4, 4], [5, 1], [6, 2], [0, 4]] as const) {
      for (const value of [0, 0xffffffff, 0x0400, 0x0007, 0x0004, 0]) {
        device.configWrite(off, size, value);
        assert.is(hardware.read(0x04, 2) & 3, bits, `${value.toString(16)} at ${off}/${size}`);
      }
    }
    device.configWrite(4, 2, 0);
    assert.is(device.configRead(4, 2).value & 3, 0, 'the guest sees its own');
    device.configWrite(4, 2, 7);
    assert.equal([device.configRead(4, 2).value & 7, hardware.read(0x04, 2) & 7], [7, bits | 4]);
    back.stub.give(device);
    assert.is(hardware.read(0x04, 2) & 7, bits, 'and when it is given back');
  }
});

test('XSA-124: trust is in one device, given by the host, and ends with the guest it was given for', () => {
  const back = backend();
  const [device, other] = [back.take(NOISY, 1), back.take(E1000E, 1)];
  device.ownPermissive = true;
  device.interruptControl = true;
  device.virtual.addQuirk(0x44, 4, 0);
  const write = (one: PcibackDevice, off: number): number => {
    one.configWrite(off, 4, 0x5a5a5a5a);
    return back.host.at(one.routing).read(off, 4);
  };
  assert.equal([write(device, 0xe0), write(other, 0x40)], [0x5a5a5a5a, 0], 'this one, and not another');
  back.stub.give(device);
  back.take(NOISY, 2);
  assert.equal([device.ownPermissive, device.interruptControl, device.fields.some(({ name }) => name === 'quirk')], [false, false, false]);
  back.host.at(NOISY).write(0xe0, 4, 0);
  assert.is(write(device, 0xe0), 0);
  assert.is(device.configWrite(0x52, 2, 0x0181).err, DENIED);
});

test('XSA-126: the filter is the same for whom the host trusts with the rest of config space', () => {
  const back = backend();
  for (const routing of [E1000E, NOISY, PAIR_0]) {
    const device = back.take(routing);
    device.ownPermissive = true;
    device.interruptControl = true;
    const hardware = back.host.at(routing);
    const before = hardware.read(4, 2) & 0x0143;
    for (const [off, size] of [[4, 1], [4, 2], [4, 4], [5, 1], [0, 4]] as const) {
      for (const value of [0, 0xffffffff, 0]) {
        device.configWrite(off, size, value);
        assert.is(hardware.read(4, 2) & 0x0143, before, `decode, PARITY and SERR after ${value.toString(16)} at ${off}/${size}`);
      }
    }
    for (const off of [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30]) {
      const bar = hardware.read(off, 4);
      for (const value of [0, 0xffffffff, 0xfee00000]) device.configWrite(off, 4, value);
      assert.is(hardware.read(off, 4), bar, `BAR at ${off.toString(16)}`);
    }
    device.configWrite(4, 2, 6);
    assert.is(hardware.read(4, 2) & 4, 4, 'Bus Master is the guest\'s');
  }
});

/** Bits of the hardware that a guest without trust may change, by byte: Command, cache line, latency, BIST; PMCSR. */
const GUEST_BITS: Readonly<Record<number, number>> = { 0x04: 0xbc, 0x05: 0x02, 0x0c: 0xff, 0x0d: 0xff, 0x0f: 0xff };
const POWER_BITS: Readonly<Record<number, number>> = { 0xcc: 0x03, 0xcd: 0x9e };

test('XSA-128: a write changes the bits that it may and no others, whatever width and place', () => {
  for (const [routing, more] of [[E1000E, POWER_BITS], [NOISY, POWER_BITS], [EDU, {}]] as const) {
    const back = backend();
    const device = back.take(routing);
    const { bytes } = back.host.at(routing);
    const saved = Uint8Array.from(bytes);
    const allowed: Readonly<Record<number, number>> = { ...GUEST_BITS, ...more };
    for (let off = 0; off < 0x100; off++) {
      for (const size of [1, 2, 4]) {
        for (const value of [0xffffffff, 0, 0x5aa5c33c]) {
          device.configWrite(off, size, value);
          bytes.forEach((byte, at) => {
            const changed = (byte ^ (saved[at] as number)) & ~(allowed[at] ?? 0);
            assert.ok(changed === 0, `${value.toString(16)} at ${off.toString(16)}/${size} changed ${at.toString(16)}`);
          });
          bytes.set(saved);
        }
      }
    }
    device.configWrite(0x0c, 1, 0x10);
    assert.is(bytes[0x0c], 0x10);
  }
});

test('XSA-130: a write that is dropped is told once for each guest, and what fails no more than a few times', () => {
  const back = backend();
  const device = back.take(E1000E);
  back.log.length = 0;
  for (let i = 0; i < 200; i++) for (const off of [0x40, 0xfc, 0xe8]) device.configWrite(off, 2, i);
  assert.is(back.log.filter((line) => line.includes('read-only configuration space field')).length, 1);
  for (let i = 0; i < 200; i++) device.enableMsix([9]);
  assert.ok(back.log.length < 20, `${back.log.length} lines`);
});

test('XSA-131: a register that is not known is the host\'s: a write to it is success, and nothing', () => {
  const back = backend();
  const device = back.take(NOISY);
  const hardware = back.host.at(NOISY);
  const unknown = [0x40, 0xe0, 0x54, 0x58, 0x5c, 0x60, 0x64];
  for (const off of unknown) {
    const before = hardware.read(off, 4);
    assert.equal(device.configWrite(off, 4, 0x12345678), { err: 0, value: 0 });
    assert.is(hardware.read(off, 4), before, off.toString(16));
  }
  assert.is(device.configWrite(0x52, 2, 0x0181).err, DENIED, 'MSI control');
  device.ownPermissive = true;
  device.configWrite(0xe0, 4, 0x12345678);
  assert.is(hardware.read(0xe0, 4), 0x12345678, 'unless the host says so');
});

test('XSA-155: a request is read once: what the guest makes of the page after that changes nothing', () => {
  const back = backend();
  const device = back.take(E1000E);
  let later: Op | undefined;
  const served: Served = serve(device, { found: () => { if (later !== undefined) put(served.view, later); } });
  const { ask } = served;
  // at every moment from the look-up on it is another request, for other entries
  later = { cmd: 4, value: 128, entries: Array.from({ length: 128 }, () => 0x7ff) };
  assert.is(ask({ cmd: 4, value: 3, entries: [0, 2, 4] }).err, 0);
  assert.equal(back.physdev.calls.filter((call) => call.startsWith('map')).map((call) => Number(/entry (\d+)/.exec(call)?.[1])), [0, 2, 4]);
  later = undefined;
  ask({ cmd: 5 });
  later = { cmd: 1, offset: 4, size: 2, value: 0xffff };
  assert.equal(ask({ cmd: 0, offset: 0, size: 4 }), { err: 0, value: 0x10d38086 });
  assert.is(back.host.at(E1000E).read(4, 2) & 4, 0, 'no Bus Master');
});

test('XSA-157: an operation on messages asks first in which state the device is', () => {
  const back = backend();
  const device = back.take(E1000E);
  const { ask } = serve(device);
  const hardware = back.host.at(E1000E);
  const controls = (): number[] => [hardware.read(0xd2, 2) & 1, hardware.read(0xa2, 2) >> 15];
  const maps = (): number => back.physdev.calls.filter((call) => call.startsWith('map')).length;
  // off when nothing is on, twice
  for (const cmd of [3, 5, 3, 5]) assert.is(ask({ cmd }).err, 0);
  assert.equal([controls(), maps()], [[0, 0], 0]);
  assert.is(ask({ cmd: 2 }).err, 0);
  assert.is(ask({ cmd: 2 }).err, OP_FAILED, 'on already');
  assert.is(ask({ cmd: 4, value: 1, entries: [0] }).err, ENXIO, 'the other kind is on');
  assert.equal([controls(), maps()], [[1, 0], 1]);
  ask({ cmd: 3 });
  assert.is(ask({ cmd: 4, value: 2, entries: [0, 1] }).err, 0);
  assert.is(ask({ cmd: 4, value: 2, entries: [2, 3] }).err, EALREADY);
  assert.is(ask({ cmd: 2 }).err, OP_FAILED);
  assert.equal([controls(), maps()], [[0, 1], 3]);
  ask({ cmd: 5 });
  // its table cannot be reached
  hardware.write(4, 2, 0);
  assert.is(ask({ cmd: 4, value: 1, entries: [0] }).err, ENXIO);
  hardware.write(4, 2, 3);
  assert.equal([controls(), maps()], [[0, 0], 3]);
  assert.is(ask({ cmd: 4, value: 1, entries: [0] }).err, 0);
});

test('XSA-331: an event of a channel that was given up meanwhile is not told', async () => {
  const split = await PciSplit.create();
  const { dom0, scheduler } = split;
  const { events } = split.machine.hypervisor;
  const told: string[] = [];
  const ports = [0, 1].map(() => events.bindIpi(0, 0)) as [number, number];
  // each gives the other up
  ports.forEach((port, i) => dom0.onEvent(port, () => {
    told.push(`${i}`);
    const other = ports[1 - i] as number;
    dom0.offEvent(other);
    events.close(0, other);
  }));
  for (const port of ports) events.send(0, port);
  scheduler.settle();
  assert.is(told.length, 1);
  const again = events.bindIpi(0, 0);
  dom0.onEvent(again, () => told.push('again'));
  scheduler.settle();
  assert.is(told.length, 1, 'the port came again with nothing pending');
  events.send(0, again);
  scheduler.settle();
  assert.equal(told.slice(1), ['again']);
});

test('XSA-332 (page): a page that always wants something more is served a few times for each event', () => {
  const back = backend();
  const device = back.take(EDU);
  let asked = 0;
  const greedy: Served & { server: OpServer } = serve(device, { notified: () => {
    if (asked++ < 1000) put(greedy.view, { cmd: 0, offset: 0, size: 4 });
  } });
  greedy.ask({ cmd: 0, offset: 0, size: 4 });
  assert.is(greedy.server.served, 8);
  greedy.server.handle();
  assert.is(greedy.server.served, 16, 'the next event goes on');
});

test('XSA-395: the first error of several is the one that is told', () => {
  const back = backend();
  const device = back.take(E1000E);
  // D1, which it does not have, and behind it registers that take no write: one access for all of them
  assert.is(device.configWrite(0xcc, 2, 1).err, DENIED);
  assert.is(device.configWrite(0xcc, 4, 1).err, DENIED);
  assert.is(device.configWrite(0xcc, 4, 0).err, 0);
  back.physdev.left = 2;
  assert.is(device.enableMsix([0, 1, 2, 3]).err, ENOSPC);
});

test('XSA-458: a failed operation on several messages undoes each that it had done, once', () => {
  const back = backend();
  const device = back.take(E1000E);
  const hardware = back.host.at(E1000E);
  const before = [0x04, 0xa2, 0xd2].map((off) => hardware.read(off, 2));
  for (let done = 0; done < 4; done++) {
    back.physdev.calls.length = 0;
    back.physdev.left = done;
    assert.is(device.enableMsix([0, 1, 2, 3]).err, ENOSPC);
    const unmapped = back.physdev.calls.filter((call) => call.startsWith('unmap'));
    assert.equal([unmapped.length, new Set(unmapped).size], [done, done]);
    assert.equal([0x04, 0xa2, 0xd2].map((off) => hardware.read(off, 2)), before);
  }
  back.physdev.left = Infinity;
  assert.is(device.enableMsix([0, 1, 2, 3]).pirqs.length, 4);
});

test.run();
