// Numbers for interrupts, messages and MSI-X: xen-passthrough.md 7.5.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DOM_IO, EDU, EXPRESS, NIC, OTHER, type ControlPlane, controlPlane } from '../../helpers/control-plane';
import { Physdev } from '../../../src/xen/hypervisor/physdev';
import { codeOf } from '../../helpers/guest-machine';

// of the 82574L: PM at c8, MSI at d0, MSI-X at a0 with five vectors, its table in BAR 3; of edu: MSI at 40
const [MSIX_CONTROL, COMMAND] = [0xa2, 4];

const lines = suite('INTx lines by number');

lines('the first domain names GSIs its own way; a guest gets its number, and the right is to the host interrupt', async () => {
  const { physdev, hypervisor, guest, machine } = await controlPlane();
  // dom0 has GSI 22 as Linux interrupt 21
  assert.is(physdev.mapPirq({ domid: 0, type: 'gsi', index: 22, pirq: 21 }), 21);
  assert.is(physdev.mapPirq({ domid: guest.domid, type: 'gsi', index: 21, pirq: 21 }), 21);
  assert.equal(guest.irq.ranges, [[22, 22]]);
  const [far, near] = [hypervisor.events.bindPirq(guest.domid, 21, 1), hypervisor.events.bindPirq(0, 21, 1)];
  // edu asserts its line: interrupt status at 0x60
  const fn = machine.functionOf('0000:00:06.0');
  machine.engine.exports.registerWrite(fn, 0, 0x60, 4, 1, 0);
  machine.run();
  const take = (slot: number, port: number): boolean => machine.engine.exports.eventTake(slot, port) === 1;
  assert.equal([take(guest.slot, far), take(0, near)], [true, true]);
  new Physdev(hypervisor, guest.domid).eoi(21);
  assert.equal([take(guest.slot, far), take(0, near)], [false, false], 'not before both have ended it');
  physdev.eoi(21);
  machine.run();
  assert.equal([take(guest.slot, far), take(0, near)], [true, true], 'still asserted: it comes again');
  assert.equal(physdev.irqStatusQuery(21), { needsEoi: true, shared: true });
  physdev.unmapPirq(guest.domid, 21);
  assert.equal(guest.irq.ranges, []);
  assert.is(codeOf(() => new Physdev(hypervisor, guest.domid).eoi(21)), 'EINVAL');
  physdev.eoi(21);
  machine.run();
  assert.equal([take(guest.slot, far), take(0, near)], [false, true]);
  assert.is(codeOf(() => hypervisor.events.bindPirq(guest.domid, 21, 1)), 'EPERM');
});

lines('checks, and what they leave', async () => {
  const { physdev, domctl, hypervisor, guest, plain, refused } = await controlPlane();
  const [id, of] = [guest.domid, new Physdev(hypervisor, guest.domid)];
  const gsi = (index: number, pirq: number, domid = id): number => physdev.mapPirq({ domid, type: 'gsi', index, pirq });
  assert.is(gsi(20, -1), 16, 'the lowest free number from 16 on');
  assert.is(gsi(20, -1), 16, 'mapped already: the same number');
  assert.is(gsi(20, 16), 16);
  assert.is(gsi(21, -1), 17);
  const cases: Array<[what: string, call: () => unknown, code: string]> = [
    ['a guest', () => of.mapPirq({ domid: id, type: 'gsi', index: 20, pirq: 20 }), 'EPERM'],
    ['a guest, unmap', () => of.unmapPirq(id, 16), 'EPERM'],
    ['no such domain', () => gsi(20, 20, 77), 'ESRCH'],
    ['index negative', () => gsi(-1, -1), 'EINVAL'],
    ['index no GSI (XSA-16)', () => gsi(24, -1), 'EINVAL'],
    ['index huge', () => gsi(0x7fffffff, -1), 'EINVAL'],
    ['index no whole number', () => gsi(20.5, -1), 'EINVAL'],
    ['the timer, which dom0 has not', () => gsi(0, -1), 'EPERM'],
    ['number beyond the domain\'s 56', () => gsi(22, 56), 'EINVAL'],
    ['number below -1', () => gsi(22, -2), 'EINVAL'],
    ['the line has another number', () => gsi(20, 30), 'EEXIST'],
    ['the number is another line', () => gsi(22, 17), 'EBUSY'],
    ['unmap what is not mapped', () => physdev.unmapPirq(id, 18), 'EINVAL'],
    ['unmap beyond', () => physdev.unmapPirq(id, 99), 'EINVAL'],
    ['bind without a right', () => hypervisor.events.bindPirq(plain.domid, 20, 1), 'EPERM'],
    ['bind what is not mapped', () => hypervisor.events.bindPirq(id, 20, 1), 'EPERM'],
    ['bind beyond the domain\'s numbers', () => hypervisor.events.bindPirq(id, 56, 1), 'EINVAL'],
    ['status beyond', () => of.irqStatusQuery(56), 'EINVAL'],
    ['type', () => physdev.mapPirq({ domid: id, type: 'isa' as 'gsi', index: 1, pirq: 1 }), 'EINVAL'],
  ];
  for (const [what, call, code] of cases) refused(call, code, what);
  domctl.irqPermission(id, 20, false);
  refused(() => hypervisor.events.bindPirq(id, 16, 1), 'EPERM', 'mapped, and the right taken');
  // bound alone: nobody else, and the other way round
  hypervisor.events.bindPirq(id, 17, 0);
  gsi(21, 21, plain.domid);
  refused(() => hypervisor.events.bindPirq(plain.domid, 21, 1), 'EBUSY');
  refused(() => hypervisor.events.bindPirq(id, 17, 0), 'EEXIST');
});

lines('numbers run out', async () => {
  const { physdev, guest, refused } = await controlPlane();
  for (let gsi = 1; gsi < 24; gsi++) physdev.mapPirq({ domid: guest.domid, type: 'gsi', index: gsi, pirq: -1 });
  assert.equal(guest.pirqs.get(38), 23);
  physdev.unmapPirq(guest.domid, 20);
  assert.is(physdev.mapPirq({ domid: guest.domid, type: 'gsi', index: 5, pirq: -1 }), 20, 'the gap');
  refused(() => physdev.mapPirq({ domid: guest.domid, type: 'gsi', index: 5, pirq: 21 }), 'EEXIST');
});

lines.run();

const messages = suite('messages');

/** Raises edu's interrupt. */
function raise({ machine }: ControlPlane): void {
  machine.engine.exports.registerWrite(machine.functionOf('0000:00:06.0'), 0, 0x60, 4, 1, 0);
  machine.run();
  machine.engine.exports.registerWrite(machine.functionOf('0000:00:06.0'), 0, 0x64, 4, 1, 0);
}

messages('MSI: host interrupt and number as observed (38, 55), address and data written, delivery, and everything back', async () => {
  const plane = await controlPlane({ msiIrqBase: 38 });
  const { physdev, hypervisor, domctl, guest, config, configWrite, machine } = plane;
  domctl.assignDevice(guest.domid, EDU);
  const before = machine.digest();
  const pirq = physdev.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing: EDU });
  assert.is(pirq, 55);
  assert.equal(guest.irq.ranges, [[38, 38]]);
  assert.is(config(EDU, 0x44, 4) & 0xfff00010, 0xfee00010 | 0, 'a remappable address');
  assert.is(config(EDU, 0x42, 2) & 1, 0, 'dom0 enables it');
  configWrite(EDU, 0x42, 2, config(EDU, 0x42, 2) | 1);
  configWrite(EDU, COMMAND, 2, 6);
  const port = hypervisor.events.bindPirq(guest.domid, pirq, 0);
  raise(plane);
  assert.is(machine.engine.exports.eventTake(guest.slot, port), 1);
  physdev.unmapPirq(guest.domid, pirq);
  assert.equal(guest.irq.ranges, []);
  raise(plane);
  assert.is(machine.engine.exports.eventTake(guest.slot, port), 0);
  hypervisor.events.close(guest.domid, port);
  configWrite(EDU, 0x42, 2, config(EDU, 0x42, 2) & ~1);
  for (const section of ['rights', 'interrupts', 'events', 'pools'] as const) {
    assert.equal(machine.digest()[section], before[section], section);
  }
});

messages('without interrupt remapping, or without an IOMMU, the message says its vector itself', async () => {
  for (const plane of [await controlPlane({ commandLine: 'iommu=no-intremap' }), await controlPlane({}, 'none')]) {
    const { physdev, hypervisor, config, configWrite, machine } = plane;
    const pirq = physdev.mapPirq({ domid: 0, type: 'msi', index: -1, pirq: -1, routing: EDU });
    assert.is(config(EDU, 0x44, 4), 0xfee00000);
    configWrite(EDU, 0x42, 2, config(EDU, 0x42, 2) | 1);
    configWrite(EDU, COMMAND, 2, 6);
    const port = hypervisor.events.bindPirq(0, pirq, 0);
    raise(plane);
    assert.is(machine.engine.exports.eventTake(0, port), 1);
  }
});

messages('checks, and what they leave', async () => {
  const { physdev, domctl, hypervisor, guest, plain, refused, configWrite, config } = await controlPlane();
  const id = guest.domid;
  domctl.assignDevice(DOM_IO, EXPRESS);
  const of = new Physdev(hypervisor, id);
  const msi = (routing: number, more: { domid?: number; entry?: number; tableBase?: number; pirq?: number } = {}): number =>
    physdev.mapPirq({ domid: id, type: 'msi', index: -1, pirq: -1, routing, ...more });
  const msix = (entry: number, more: { domid?: number; pirq?: number } = {}): number => msi(EXPRESS, { entry, tableBase: 0xfebf0000, ...more });
  refused(() => of.prepareMsix(EXPRESS), 'EPERM', 'prepare_msix by a guest (XSA-87)');
  refused(() => of.releaseMsix(EXPRESS), 'EPERM', 'release_msix by a guest (XSA-87)');
  refused(() => of.restoreMsi(EXPRESS), 'EPERM');
  refused(() => of.deviceAdd(0x80, 9), 'EPERM');
  refused(() => of.deviceRemove(EXPRESS), 'EPERM');
  refused(() => of.deviceReset(EXPRESS), 'EPERM');
  refused(() => physdev.prepareMsix(0x99), 'ENODEV', 'no such device');
  refused(() => physdev.prepareMsix(EDU), 'ENODEV', 'no MSI-X');
  refused(() => physdev.releaseMsix(EDU), 'ENODEV');
  refused(() => physdev.deviceRemove(0x99), 'ENODEV');
  refused(() => msi(EDU), 'ENODEV', 'dom0\'s device for a guest');
  refused(() => msi(EXPRESS), 'ENODEV', 'a device in quarantine for a guest');
  refused(() => msi(EXPRESS, { domid: 0 }), 'ENODEV', 'a device in quarantine for dom0');
  refused(() => msi(0x99), 'ENODEV');
  const decode = config(EXPRESS, COMMAND, 2);
  configWrite(EXPRESS, COMMAND, 2, 0);
  refused(() => physdev.prepareMsix(EXPRESS), 'ENXIO', 'memory decode off');
  domctl.assignDevice(id, EXPRESS);
  refused(() => msix(0), 'ENXIO', 'memory decode off');
  configWrite(EXPRESS, COMMAND, 2, decode | 2);
  refused(() => msix(0), 'ENODATA', 'never recorded (XSA-337)');
  refused(() => physdev.prepareMsix(EXPRESS), 'ENODATA', 'a guest has it: its registers are not asked');
  domctl.deassignDevice(id, EXPRESS);
  configWrite(EXPRESS, COMMAND, 2, decode | 2);
  physdev.prepareMsix(EXPRESS);
  domctl.assignDevice(id, EXPRESS);
  refused(() => msix(5), 'EINVAL', 'the table has five entries');
  refused(() => msix(-1), 'EINVAL');
  refused(() => msix(0, { domid: plain.domid }), 'ENODEV');
  refused(() => msix(0, { pirq: 56 }), 'EINVAL');
  assert.equal([msix(0), msix(1), msix(4)], [55, 54, 53]);
  refused(() => msix(1), 'EEXIST');
  refused(() => msix(2, { pirq: 54 }), 'EBUSY', 'the number is another\'s');
  refused(() => msi(EXPRESS), 'EBUSY', 'MSI beside MSI-X');
  refused(() => physdev.prepareMsix(EXPRESS), 'EBUSY', 'entries in use');
  refused(() => physdev.releaseMsix(EXPRESS), 'EBUSY', 'entries in use');
  domctl.assignDevice(id, EDU);
  const pirq = msi(EDU);
  refused(() => msi(EDU), 'EEXIST');
  refused(() => msi(NIC, { domid: 0 }), 'ENODEV', 'no MSI capability');
  physdev.unmapPirq(id, pirq);
  refused(() => physdev.unmapPirq(id, pirq), 'EINVAL');
  for (const one of [55, 54, 53]) physdev.unmapPirq(id, one);
  physdev.releaseMsix(EXPRESS);
  physdev.releaseMsix(EXPRESS);
});

messages('MSI-X: entries written and masked until bound, and masked again after; restored after a reset', async () => {
  const { physdev, domctl, hypervisor, guest, machine, configWrite, config } = await controlPlane();
  configWrite(EXPRESS, COMMAND, 2, 6);
  physdev.prepareMsix(EXPRESS);
  domctl.assignDevice(guest.domid, EXPRESS);
  const fn = machine.functionOf('0000:00:05.0');
  const entry = (n: number): number[] => [0, 4, 8, 12].map((off) => machine.engine.exports.registerRead(fn, 3, n * 16 + off, 4) >>> 0);
  const pirq = physdev.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing: EXPRESS, entry: 2, tableBase: 1 });
  const [address] = entry(2) as [number];
  assert.is((address & 0xfff00010) >>> 0, 0xfee00010);
  assert.equal(entry(2), [address, 0, 0, 1], 'masked');
  const port = hypervisor.events.bindPirq(guest.domid, pirq, 0);
  assert.equal(entry(2), [address, 0, 0, 0], 'bound');
  machine.engine.exports.functionReset(fn);
  for (const [i, off] of [0x10, 0x14, 0x18, 0x1c].entries()) configWrite(EXPRESS, off, 4, machine.barAddress('0000:00:05.0', i));
  assert.is(codeOf(() => physdev.deviceReset(EXPRESS)), 'ENXIO');
  configWrite(EXPRESS, COMMAND, 2, 6);
  physdev.deviceReset(EXPRESS);
  assert.equal(entry(2), [address, 0, 0, 0], 'restored');
  hypervisor.events.close(guest.domid, port);
  assert.equal(entry(2), [address, 0, 0, 1], 'masked again');
  const again = hypervisor.events.bindPirq(guest.domid, pirq, 0);
  physdev.unmapPirq(guest.domid, pirq);
  assert.is(entry(2)[3], 1);
  assert.is(hypervisor.events.status(guest.domid, 0x7ff0, again).status, 'pirq', 'the port stays the guest\'s to close');
  assert.is(config(EXPRESS, MSIX_CONTROL, 2) & 0xc000, 0);
});

messages('a vector table can be read and not written: the mapping is made read-only and nothing is said', async () => {
  const { physdev, domctl, hypervisor, guest, machine, barFrame, configWrite } = await controlPlane();
  const frame = barFrame(EXPRESS, 3);
  configWrite(EXPRESS, COMMAND, 2, 6);
  domctl.iomemPermission(guest.domid, frame, 4, true);
  const writable = (): boolean => {
    hypervisor.updateVaMapping(guest.domid, 0x90000, frame, true);
    return (machine.engine.exports.guestMapGet(guest.slot, 0x90000) >>> 29 & 1) === 1;
  };
  assert.is(writable(), true);
  physdev.prepareMsix(EXPRESS);
  assert.is(writable(), false);
  const { exports } = machine.engine;
  const before = exports.guestLoad(guest.slot, 0x90000000, 0, 4);
  exports.guestStore(guest.slot, 0x90000000, 0, 4, 0x12345678, 0);
  assert.is(machine.engine.status, 1, 'the fault is the guest\'s');
  assert.is(exports.guestLoad(guest.slot, 0x90000000, 0, 4), before);
  physdev.releaseMsix(EXPRESS);
  assert.is(writable(), true);
  domctl.assignDevice(guest.domid, EXPRESS);
  const pirq = physdev.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing: EXPRESS, entry: 0, tableBase: 1 });
  assert.is(writable(), false, 'in use');
  physdev.unmapPirq(guest.domid, pirq);
  assert.is(writable(), true);
});

messages('the first domain\'s own messages; a device that changes hands loses them', async () => {
  const { physdev, domctl, hypervisor, machine } = await controlPlane();
  const pirq = physdev.mapPirq({ domid: 0, type: 'msi', index: -1, pirq: -1, routing: EDU });
  assert.is(pirq, 255);
  assert.is(hypervisor.domain(0).irq.has(32, 32), true);
  domctl.assignDevice(DOM_IO, EDU);
  assert.equal(hypervisor.messages.list(), []);
  assert.is(hypervisor.domain(0).irq.has(32, 32), false);
  assert.is(hypervisor.iommu?.save().interruptOwners.length, 0);
  assert.is(machine.digest().interrupts.entries['domain 0 interrupt 255'], undefined);
});

messages('a device removed takes its right, messages and record along', async () => {
  const { physdev, domctl, hypervisor, machine, guest } = await controlPlane();
  domctl.assignDevice(guest.domid, OTHER);
  physdev.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing: OTHER });
  machine.removeDevice('0000:00:07.0');
  assert.equal(guest.irq.ranges, []);
  assert.is(codeOf(() => hypervisor.ownerOf(OTHER)), 'ENODEV');
  machine.addDevice({ model: 'edu', bdf: '0000:00:07.0' });
  assert.is(hypervisor.ownerOf(OTHER), 0, 'a device that comes is the first domain\'s');
});

messages.run();
