// Event channels against public/event_channel.h and the 2-level ABI of public/xen.h: pending bits at 2048 of the shared
// info page, masks at 2560, a vcpu_info of 64 bytes each from 0 on with the upcall at 0 and the selector at 8.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { difference } from '../../../src/machine/digest';
import { Machine } from '../../../src/machine/machine';
import type { Domain } from '../../../src/xen/hypervisor/domain';
import { type XenDomains, errnoOf, hexBytes, hexText, page, xenDomains } from '../../helpers/xen-domains';

const SELF = 0x7ff0;
const [EPERM, ENOENT, ESRCH, EACCES, EBUSY, EEXIST, EINVAL, ENOSPC, ENOSYS] = [1, 2, 3, 13, 16, 17, 22, 28, 38];

interface Bits {
  pending: boolean;
  masked: boolean;
  /** Selector bit of the port's word, and upcall, of a vCPU. */
  selected: boolean;
  upcall: number;
}

function bits({ machine }: XenDomains, domain: Domain, port: number, vcpu = 0): Bits {
  const info = page(machine, domain, 0);
  const bit = (at: number, n: number): boolean => (info.getUint8(at + (n >> 3)) >> (n & 7) & 1) === 1;
  return {
    pending: bit(2048, port), masked: bit(2560, port), selected: bit(vcpu * 64 + 8, port >> 6),
    upcall: info.getUint8(vcpu * 64),
  };
}

/** What a guest's upcall does: clears the upcall, the selector and the port. */
function handled({ machine }: XenDomains, domain: Domain, vcpu = 0): void {
  const info = page(machine, domain, 0);
  info.setUint8(vcpu * 64, 0);
  info.setBigUint64(vcpu * 64 + 8, 0n, true);
  for (let word = 0; word < 64; word++) info.setBigUint64(2048 + word * 8, 0n, true);
}

function mask({ machine }: XenDomains, domain: Domain, port: number, on: boolean): void {
  const info = page(machine, domain, 0);
  const at = 2560 + (port >> 3);
  info.setUint8(at, on ? info.getUint8(at) | 1 << (port & 7) : info.getUint8(at) & ~(1 << (port & 7)));
}

/** A channel between a and b: a's port and b's. */
function channel({ hypervisor: { events }, a, b }: XenDomains): [number, number] {
  const port = events.allocUnbound(a.domid, { remoteDom: b.domid });
  return [port, events.bindInterdomain(b.domid, a.domid, port)];
}

const binding = suite('binding event channels');

binding('structures as on the wire: alloc_unbound, bind_interdomain, status, send, close', async () => {
  const xen = await xenDomains();
  const { hypervisor: { events }, a, b } = xen;
  for (let i = 1; i < 5; i++) events.allocUnbound(b.domid, { remoteDom: 0 });
  for (let i = 1; i < 9; i++) events.allocUnbound(a.domid, { remoteDom: 0 });
  const alloc = hexBytes('f07f 0200 00000000');
  assert.is(events.op(a.domid, 6, alloc), 0);
  assert.is(hexText(alloc), 'f07f020009000000', 'the lowest free port');
  const bind = hexBytes('01000000 09000000 00000000');
  assert.is(events.op(b.domid, 0, bind), 0);
  assert.is(hexText(bind), '010000000900000005000000');
  const status = hexBytes('f07f0000 05000000 00000000 00000000 00000000 00000000');
  assert.is(events.op(b.domid, 5, status), 0);
  assert.is(hexText(status), 'f07f00000500000002000000000000000100000009000000');
  assert.is(events.op(b.domid, 4, hexBytes('05000000')), 0);
  assert.is(bits(xen, a, 9).pending, true);
  assert.is(events.op(b.domid, 3, hexBytes('05000000')), 0);
  assert.is(events.op(b.domid, 3, hexBytes('05000000')), -EINVAL);
  for (const cmd of [11, 12, 13, 14, 99]) assert.is(events.op(b.domid, cmd, new Uint8Array(24)), -ENOSYS, String(cmd));
});

binding('only the domain that was named may bind, once, and the new port is pending at once', async () => {
  const xen = await xenDomains();
  const { hypervisor: { events }, a, b, hvm } = xen;
  const port = events.allocUnbound(a.domid, { remoteDom: b.domid });
  assert.is(port, 1, 'port 0 is never handed out');
  assert.is(errnoOf(() => events.bindInterdomain(hvm.domid, a.domid, port)), EINVAL);
  for (const bad of [0, 2, 1024, 4096, 0xffffffff]) {
    assert.is(errnoOf(() => events.bindInterdomain(b.domid, a.domid, bad)), EINVAL, String(bad));
  }
  assert.is(errnoOf(() => events.bindInterdomain(b.domid, 77, port)), ESRCH);
  const far = events.bindInterdomain(b.domid, a.domid, port);
  assert.equal(bits(xen, b, far), { pending: true, masked: false, selected: true, upcall: 1 });
  assert.is(bits(xen, a, port).pending, false);
  assert.is(errnoOf(() => events.bindInterdomain(b.domid, a.domid, port)), EINVAL, 'bound already');
  assert.equal(events.status(a.domid, SELF, port), { status: 'interdomain', vcpu: 0, dom: b.domid, port: far });
});

binding('for another domain: the control domain alone; the remote one need not exist', async () => {
  const { hypervisor: { events }, a, b } = await xenDomains();
  assert.is(errnoOf(() => events.allocUnbound(a.domid, { dom: b.domid, remoteDom: SELF })), EPERM);
  assert.is(errnoOf(() => events.allocUnbound(0, { dom: 55, remoteDom: 0 })), ESRCH);
  const port = events.allocUnbound(0, { dom: b.domid, remoteDom: 55 });
  assert.equal(events.status(0, b.domid, port), { status: 'unbound', vcpu: 0, dom: 55 });
  assert.is(errnoOf(() => events.status(a.domid, b.domid, port)), EPERM);
  assert.is(errnoOf(() => events.status(0, 55, port)), ESRCH);
  assert.is(errnoOf(() => events.status(b.domid, SELF, 0)), EINVAL);
  assert.equal(events.status(b.domid, SELF, 7), { status: 'closed' });
  const own = events.allocUnbound(a.domid, { remoteDom: SELF });
  const back = events.bindInterdomain(a.domid, SELF, own);
  assert.equal(events.status(a.domid, a.domid, back), { status: 'interdomain', vcpu: 0, dom: a.domid, port: own });
});

binding('ports run out by name, and a closed one comes again with nothing pending', async () => {
  const { machine } = await xenDomains();
  const { events } = machine.hypervisor;
  const few = machine.hypervisor.createDomain({ name: 'few', kind: 'pv', pages: 16, maxEventPort: 3 });
  for (let i = 1; i <= 3; i++) assert.is(events.bindIpi(few.domid, 0), i);
  assert.is(errnoOf(() => events.bindIpi(few.domid, 0)), ENOSPC);
  assert.is(errnoOf(() => events.allocUnbound(few.domid, { remoteDom: 0 })), ENOSPC);
  events.send(few.domid, 2);
  events.close(few.domid, 2);
  assert.is(events.bindIpi(few.domid, 0), 2);
  assert.is(machine.engine.exports.eventTake(few.slot, 2), 0);
  assert.is(errnoOf(() => machine.hypervisor.createDomain({ name: 'x', kind: 'pv', pages: 16, maxEventPort: 4096 })), EINVAL);
  assert.is(errnoOf(() => machine.hypervisor.createDomain({ name: 'x', kind: 'pv', pages: 16, vcpus: 33 })), EINVAL);
});

binding('virtual interrupts: whose they are, which vCPU, once each', async () => {
  const xen = await xenDomains();
  const { events } = xen.hypervisor;
  const smp = xen.hypervisor.createDomain({ name: 'smp', kind: 'pv', pages: 16, vcpus: 3 });
  assert.is(errnoOf(() => events.bindVirq(smp.domid, 24, 0)), EINVAL);
  assert.is(errnoOf(() => events.bindVirq(smp.domid, 3, 1)), EINVAL, 'a global one has vCPU 0');
  assert.is(errnoOf(() => events.bindVirq(smp.domid, 11, 1)), EINVAL, 'so has that of a domain');
  assert.is(errnoOf(() => events.bindVirq(smp.domid, 0, 3)), ENOENT);
  assert.is(errnoOf(() => events.bindVirq(smp.domid, 3, 0)), EBUSY, 'dom0 handles it');
  const timers = [0, 1, 2].map((vcpu) => events.bindVirq(smp.domid, 0, vcpu)) as [number, number, number];
  assert.is(errnoOf(() => events.bindVirq(smp.domid, 0, 1)), EEXIST);
  assert.ok(events.bindVirq(0, 3, 0) > 0);
  assert.ok(events.bindVirq(smp.domid, 11, 0) > 0);
  assert.is(events.raiseVirq(smp.domid, 0, 2), true);
  assert.is(events.raiseVirq(smp.domid, 13, 0), false, 'not bound: dropped');
  assert.equal(bits(xen, smp, timers[2], 2), { pending: true, masked: false, selected: true, upcall: 1 });
  assert.is(bits(xen, smp, timers[2], 0).upcall, 0);
  assert.equal(events.takeUpcalls(smp.domid), [2]);
  assert.equal(events.takeUpcalls(smp.domid), []);
  assert.is(errnoOf(() => events.send(smp.domid, timers[0])), EINVAL, 'no guest sends it');
  events.close(smp.domid, timers[1]);
  assert.is(events.raiseVirq(smp.domid, 0, 1), false);
  assert.is(events.bindVirq(smp.domid, 0, 1), timers[1]);
  assert.equal(events.status(smp.domid, SELF, timers[1]), { status: 'virq', vcpu: 1, virq: 0 });
});

binding('a port may notify another vCPU, unless it is one\'s own', async () => {
  const xen = await xenDomains();
  const { events } = xen.hypervisor;
  const smp = xen.hypervisor.createDomain({ name: 'smp', kind: 'pv', pages: 16, vcpus: 2 });
  const [unbound, ipi, timer, argo] = [events.allocUnbound(smp.domid, { remoteDom: 0 }), events.bindIpi(smp.domid, 1),
    events.bindVirq(smp.domid, 0, 1), events.bindVirq(smp.domid, 11, 0)];
  assert.is(errnoOf(() => events.bindIpi(smp.domid, 2)), ENOENT);
  assert.is(errnoOf(() => events.bindVcpu(smp.domid, unbound, 2)), ENOENT);
  for (const port of [ipi, timer, 99]) assert.is(errnoOf(() => events.bindVcpu(smp.domid, port, 0)), EINVAL);
  events.bindVcpu(smp.domid, argo, 1);
  assert.is(events.raiseVirq(smp.domid, 11), true);
  assert.is(bits(xen, smp, argo, 1).upcall, 1);
  events.close(smp.domid, argo);
  assert.is(events.raiseVirq(smp.domid, 11), false);
  events.bindVcpu(smp.domid, unbound, 1);
  const far = events.bindInterdomain(0, smp.domid, unbound);
  handled(xen, smp, 1);
  events.send(0, far);
  assert.equal(bits(xen, smp, unbound, 1), { pending: true, masked: false, selected: true, upcall: 1 });
});

binding('a port of the hypervisor\'s own is not the guest\'s to touch, and takes events without it', async () => {
  const xen = await xenDomains();
  const { hypervisor: { events }, hvm } = xen;
  const port = events.allocForXen(hvm.domid, 0);
  for (const call of [() => events.send(hvm.domid, port), () => events.close(hvm.domid, port), () => events.bindVcpu(hvm.domid, port, 0)]) {
    assert.is(errnoOf(call), EINVAL);
  }
  assert.is(errnoOf(() => events.status(hvm.domid, SELF, port)), EACCES);
  const far = events.bindInterdomain(0, hvm.domid, port);
  assert.is(events.takeForXen(hvm.domid, port), false);
  events.send(0, far);
  assert.is(bits(xen, hvm, port).pending, false, 'the guest sees nothing of it');
  assert.equal([events.takeForXen(hvm.domid, port), events.takeForXen(hvm.domid, port)], [true, false]);
  handled(xen, xen.machine.dom0);
  events.sendFromXen(hvm.domid, port);
  assert.is(bits(xen, xen.machine.dom0, far).pending, true);
  assert.is(errnoOf(() => events.sendFromXen(0, far)), EINVAL);
  events.reset(hvm.domid, SELF);
  assert.is(errnoOf(() => events.status(hvm.domid, SELF, port)), EACCES, 'a reset leaves it');
  events.closeForXen(hvm.domid, port);
  assert.equal(events.status(hvm.domid, SELF, port), { status: 'closed' });
});

binding('reset closes the caller\'s ports; another\'s are not to be reset', async () => {
  const xen = await xenDomains();
  const { hypervisor: { events }, a, b } = xen;
  const [near, far] = channel(xen);
  events.bindIpi(a.domid, 0);
  assert.is(errnoOf(() => events.reset(b.domid, a.domid)), EPERM);
  assert.is(errnoOf(() => events.reset(0, a.domid)), EINVAL);
  events.reset(a.domid, SELF);
  assert.equal(events.open(a), []);
  assert.equal(events.status(b.domid, SELF, far), { status: 'unbound', vcpu: 0, dom: a.domid });
  assert.is(events.bindInterdomain(a.domid, b.domid, far), near);
});

binding.run();

const sending = suite('sending events');

sending('pending, selector and upcall; a bit that is set already stops everything', async () => {
  const xen = await xenDomains();
  const { hypervisor: { events }, a, b, machine } = xen;
  for (let i = 1; i < 200; i++) events.bindIpi(a.domid, 0);
  const [near, far] = channel(xen);
  assert.is(near, 200);
  const before = machine.engine.counters();
  events.send(b.domid, far);
  assert.equal(bits(xen, a, near), { pending: true, masked: false, selected: true, upcall: 1 });
  assert.equal(events.takeUpcalls(a.domid), [0]);
  const info = page(machine, a, 0);
  assert.is(info.getBigUint64(2048 + 24, true), 1n << 8n, 'word 3, bit 8');
  assert.is(info.getBigUint64(8, true), 1n << 3n);
  info.setUint8(0, 0);
  info.setBigUint64(8, 0n, true);
  events.send(b.domid, far);
  assert.equal(bits(xen, a, near), { pending: true, masked: false, selected: false, upcall: 0 });
  const after = machine.engine.counters();
  assert.equal([after.eventsSent - before.eventsSent, after.eventsSet - before.eventsSet,
    after.eventUpcalls - before.eventUpcalls, after.hypercalls - before.hypercalls], [2, 1, 1, 2]);
});

sending('a masked port becomes pending and no more; unmask announces it', async () => {
  const xen = await xenDomains();
  const { hypervisor: { events }, a, b } = xen;
  const [near, far] = channel(xen);
  mask(xen, a, near, true);
  events.send(b.domid, far);
  assert.equal(bits(xen, a, near), { pending: true, masked: true, selected: false, upcall: 0 });
  events.unmask(a.domid, near);
  assert.equal(bits(xen, a, near), { pending: true, masked: false, selected: true, upcall: 1 });
  handled(xen, a);
  events.unmask(a.domid, near);
  assert.is(bits(xen, a, near).upcall, 0, 'it was not masked');
  mask(xen, a, near, true);
  events.unmask(a.domid, near);
  assert.equal(bits(xen, a, near), { pending: false, masked: false, selected: false, upcall: 0 });
  for (const port of [0, 500, 5000]) assert.is(errnoOf(() => events.unmask(a.domid, port)), EINVAL);
});

sending('with the selector or the upcall set already, the rest is left alone', async () => {
  const xen = await xenDomains();
  const { hypervisor: { events }, a, machine } = xen;
  const ports = [events.bindIpi(a.domid, 0), events.bindIpi(a.domid, 0)] as const;
  events.send(a.domid, ports[0]);
  events.takeUpcalls(a.domid);
  page(machine, a, 0).setUint8(0, 0);
  events.send(a.domid, ports[1]);
  assert.is(bits(xen, a, ports[1]).upcall, 0, 'selector was set');
  page(machine, a, 0).setUint8(0, 1);
  page(machine, a, 0).setBigUint64(8, 0n, true);
  page(machine, a, 0).setBigUint64(2048, 0n, true);
  events.send(a.domid, ports[1]);
  assert.equal(bits(xen, a, ports[1]), { pending: true, masked: false, selected: true, upcall: 1 });
  assert.equal(events.takeUpcalls(a.domid), [], 'upcall was set');
});

sending('to nobody: an unbound port loses the event, a closed one is refused', async () => {
  const xen = await xenDomains();
  const { hypervisor: { events }, a, b, machine } = xen;
  const port = events.allocUnbound(a.domid, { remoteDom: b.domid });
  events.send(a.domid, port);
  assert.is(bits(xen, a, port).pending, false);
  for (const bad of [0, 2, 1023, 1024, 4095, 4096, 0x7fffffff, 0xffffffff]) {
    assert.is(machine.engine.exports.evtchnSend(a.slot, bad), -EINVAL, String(bad));
  }
  for (const slot of [7, 8, 63, 64, 0x7fffffff, 0xffffffff]) assert.is(machine.engine.exports.evtchnSend(slot, 1), -ESRCH);
  assert.is(machine.engine.counters().eventsRefused, 8);
});

sending('after a close the other end is unbound, for the closer to bind again', async () => {
  const xen = await xenDomains();
  const { hypervisor: { events }, a, b } = xen;
  const [near, far] = channel(xen);
  events.close(a.domid, near);
  assert.equal(events.status(b.domid, SELF, far), { status: 'unbound', vcpu: 0, dom: a.domid });
  handled(xen, b);
  events.send(b.domid, far);
  assert.is(bits(xen, b, far).pending, false, 'and gets no event for it');
  assert.is(errnoOf(() => events.bindInterdomain(0, b.domid, far)), EINVAL);
  assert.is(events.bindInterdomain(a.domid, b.domid, far), near);
});

sending('a shared info page full of garbage is the guest\'s own trouble', async () => {
  const xen = await xenDomains();
  const { hypervisor: { events }, a, b, machine } = xen;
  const [near, far] = channel(xen);
  for (const byte of [0xff, 0x5a, 0x00]) {
    machine.engine.frame(a.p2m[0] as number).fill(byte);
    for (let i = 0; i < 3; i++) {
      events.send(b.domid, far);
      events.unmask(a.domid, near);
      events.takeUpcalls(a.domid);
    }
    const info = machine.engine.frame(a.p2m[0] as number).slice(3072);
    assert.ok(info.every((one) => one === byte), 'nothing behind the masks is written');
  }
  assert.equal(events.status(b.domid, SELF, far), { status: 'interdomain', vcpu: 0, dom: a.domid, port: near });
});

sending.run();

const interrupts = suite('interrupts of devices as events');

const EDU = '0000:00:06.0';
const FAR_EDU = '0000:00:0e.0';
const LINE = 22;

function raise(machine: Machine, bdf: string, value: number): void {
  machine.engine.exports.registerWrite(machine.functionOf(bdf), 0, 0x60, 4, value, 0);
  machine.run();
}

function acknowledge(machine: Machine, bdf: string, value: number): void {
  machine.engine.exports.registerWrite(machine.functionOf(bdf), 0, 0x64, 4, value, 0);
}

interrupts('a line comes once, and again after its end as long as it is asserted', async () => {
  const { machine, a } = await xenDomains();
  machine.assign(EDU, a, 'none');
  const guest = machine.guest(a);
  const { pirq, port } = guest.enableIntx(0x30);
  assert.is(pirq, LINE);
  assert.equal(machine.hypervisor.events.status(a.domid, SELF, port), { status: 'pirq', vcpu: 0, pirq: LINE });
  raise(machine, EDU, 1);
  assert.is(guest.takeEvent(port), true);
  machine.run();
  assert.is(guest.takeEvent(port), false, 'not before the end of the last');
  guest.endIntx(pirq);
  assert.is(guest.takeEvent(port), true, 'the line is still asserted');
  acknowledge(machine, EDU, 1);
  guest.endIntx(pirq);
  machine.run();
  assert.is(guest.takeEvent(port), false);
  raise(machine, EDU, 2);
  assert.is(guest.takeEvent(port), true);
});

interrupts('two domains share a line when both say so, and both end it', async () => {
  const { machine, a, b } = await xenDomains();
  const { events } = machine.hypervisor;
  machine.assign(EDU, a, 'none');
  machine.assign(FAR_EDU, b, 'none');
  const alone = events.bindPirq(a.domid, LINE, 0);
  assert.is(errnoOf(() => events.bindPirq(b.domid, LINE, 1)), EBUSY, 'the first does not share');
  events.close(a.domid, alone);
  const near = events.bindPirq(a.domid, LINE, 1);
  assert.is(errnoOf(() => events.bindPirq(b.domid, LINE, 0)), EBUSY);
  const far = events.bindPirq(b.domid, LINE, 1);
  const [one, other] = [machine.guest(a), machine.guest(b)];
  raise(machine, EDU, 1);
  assert.equal([one.takeEvent(near), other.takeEvent(far)], [true, true]);
  other.endIntx(LINE);
  assert.equal([one.takeEvent(near), other.takeEvent(far)], [false, false], 'one end is not enough');
  one.endIntx(LINE);
  assert.equal([one.takeEvent(near), other.takeEvent(far)], [true, true]);
  events.close(b.domid, far);
  assert.is(errnoOf(() => machine.hypervisor.endInterrupt(b.domid, LINE)), EINVAL);
  one.endIntx(LINE);
  assert.equal([one.takeEvent(near), other.takeEvent(far)], [true, false], 'who has gone is not waited for');
});

interrupts('binding an interrupt: range, right, once', async () => {
  const { machine, a } = await xenDomains();
  const { events } = machine.hypervisor;
  for (const pirq of [-1, 256, 0xffffffff, 1.5]) assert.is(errnoOf(() => events.bindPirq(a.domid, pirq, 0)), EINVAL);
  for (const pirq of [0, LINE, 31, 255]) assert.is(errnoOf(() => events.bindPirq(a.domid, pirq, 0)), EPERM, String(pirq));
  machine.assign(EDU, a, 'none');
  const port = events.bindPirq(a.domid, LINE, 0);
  assert.is(errnoOf(() => events.bindPirq(a.domid, LINE, 1)), EEXIST);
  assert.is(errnoOf(() => events.send(a.domid, port)), EINVAL);
  const { pirq } = machine.hypervisor.mapMsi(a.domid, 0x30);
  assert.is(pirq, 255, 'messages are numbered from the top down');
  const message = events.bindPirq(a.domid, pirq, 0);
  assert.equal(events.status(a.domid, SELF, message), { status: 'pirq', vcpu: 0, pirq: 255 });
  assert.is(errnoOf(() => events.bindPirq(a.domid, pirq, 0)), EEXIST);
});

interrupts('taken away with the device: nothing comes any more, and the guest closes its own port', async () => {
  const { machine, a } = await xenDomains();
  const { events } = machine.hypervisor;
  machine.assign(EDU, a, 'none');
  const guest = machine.guest(a);
  const { port } = guest.enableIntx(0x30);
  const mapped = machine.hypervisor.mapMsi(a.domid, 0x30);
  const own = events.bindPirq(a.domid, mapped.pirq, 0);
  const bound = machine.hypervisor.bindMsi(a.domid, 0x30).port;
  raise(machine, EDU, 1);
  assert.is(guest.takeEvent(port), true);
  machine.unassign(EDU, a);
  machine.engine.exports.functionIntx(machine.functionOf(EDU), 1);
  machine.run();
  assert.is(guest.takeEvent(port), false);
  assert.equal(machine.hypervisor.vectors, []);
  assert.equal([events.status(a.domid, SELF, port).status, events.status(a.domid, SELF, own).status,
    events.status(a.domid, SELF, bound).status], ['pirq', 'pirq', 'closed']);
  events.close(a.domid, port);
  events.close(a.domid, own);
  assert.equal(events.open(a), []);
});

interrupts('a message for a vector that nobody has bound is spurious', async () => {
  const { machine, a } = await xenDomains();
  machine.assign(EDU, a, 'none');
  const { address, data, pirq } = machine.hypervisor.mapMsi(a.domid, 0x30);
  const fn = machine.functionOf(EDU);
  machine.engine.exports.configWrite(fn, 4, 2, 6);
  const scratch = machine.engine.heap.take(64, 'the test');
  const send = (vector: number): { delivered: number; spurious: number } => {
    machine.engine.setWord(scratch, vector);
    assert.is(machine.engine.exports.functionDmaWrite(fn, address | 0, 0, 4, scratch), 0);
    return machine.hypervisor.deliverInterrupts();
  };
  assert.equal(send(data), { delivered: 0, spurious: 1 });
  assert.equal(send(0x99), { delivered: 0, spurious: 1 });
  const port = machine.hypervisor.events.bindPirq(a.domid, pirq, 0);
  assert.equal(send(data), { delivered: 1, spurious: 0 });
  assert.is(machine.guest(a).takeEvent(port), true);
});

interrupts.run();

const life = suite('event channels and the life of a domain');

life('destroyed, it closes its ports, and what it had bound is as before', async () => {
  const xen = await xenDomains();
  const { hypervisor, machine } = xen;
  const { events } = hypervisor;
  const make = (): Domain => hypervisor.createDomain({ name: 'short', kind: 'pv', pages: 32, vcpus: 2 });
  hypervisor.destroyDomain(make().domid);
  const before = machine.digest();
  const short = make();
  const offered = events.allocUnbound(short.domid, { remoteDom: 0 });
  const far = events.bindInterdomain(0, short.domid, offered);
  events.bindIpi(short.domid, 1);
  events.bindVirq(short.domid, 0, 1);
  machine.assign(EDU, short, 'none');
  machine.guest(short).enableIntx(0x30);
  machine.guest(short).enableMsi(0x30);
  raise(machine, EDU, 1);
  hypervisor.destroyDomain(short.domid);
  assert.equal(events.status(0, SELF, far), { status: 'unbound', vcpu: 0, dom: short.domid });
  events.send(0, far);
  events.close(0, far);
  const left = difference(before, machine.digest()).filter((line) => !line.startsWith('config') && !line.includes('asserted'));
  assert.equal(left, []);
  // the slot's next domain finds nothing of it
  const next = make();
  assert.is(next.slot, short.slot);
  assert.equal(events.open(next), []);
  machine.run();
  assert.equal(events.takeUpcalls(next.domid), []);
});

life('a snapshot keeps the channels', async () => {
  const xen = await xenDomains();
  const [near, far] = channel(xen);
  xen.hypervisor.createDomain({ name: 'last', kind: 'pv', pages: 8 });
  xen.machine.assign(EDU, xen.a, 'none');
  const { port } = xen.machine.guest(xen.a).enableMsi(0x30);
  xen.machine.engine.exports.configWrite(xen.machine.functionOf(EDU), 4, 2, 6);
  const machine = await Machine.restore(xen.machine.save());
  assert.equal(machine.digest().events, xen.machine.digest().events);
  machine.hypervisor.events.send(xen.b.domid, far);
  assert.is(machine.guest(machine.hypervisor.domain(xen.a.domid)).takeEvent(near), true);
  raise(machine, EDU, 1);
  assert.is(machine.guest(machine.hypervisor.domain(xen.a.domid)).takeEvent(port), true);
});

life.run();
