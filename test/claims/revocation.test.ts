// xen-passthrough.md 7.2: taking the right to I/O memory away leaves the mappings that were made by it. Xen's toolstack
// stops there (`xenRevoke`); ours takes them, and says how many there were.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { MachineDescription } from '../../src/machine/description';
import { codeOf, create, done, domainOf, EDU, type Given, given, xl } from '../helpers/claims';

const test = suite('revocation of I/O memory');

const ID = 0x010000ed;
const LIVENESS = 4;

/** A guest whose own code has mapped edu's registers, beside what its driver has. */
async function mapped(extra: Partial<MachineDescription> = {}): Promise<Given & { load(off: number): number; store(off: number, value: number): void }> {
  const one = await given('idle', [EDU], extra);
  const guest = one.machine.guest(one.domain);
  const va = guest.ioremap(one.machine.barAddress(EDU, 0), 4096);
  assert.is(guest.load(va, 4), ID);
  return { ...one, load: (off) => guest.load(va + off, 4), store: (off, value) => guest.store(va + off, 4, value) };
}

test('the hypervisor alone: permission goes, the mapping stays and is used', async () => {
  const { machine, domain, load, store } = await mapped();
  const frame = machine.barAddress(EDU, 0) / 4096;
  machine.hypervisor.iomemPermission(domain.domid, frame, 256, false);
  assert.is(codeOf(() => machine.guest(domain).ioremap(frame * 4096, 4096)), 'EPERM', 'no new mapping');
  assert.is(load(0), ID, 'the old one reads');
  store(LIVENESS, 0x0f0f0f0f);
  assert.is(load(LIVENESS), 0xf0f0f0f0, 'and writes');
});

test('xenRevoke: after detach the stale mapping is used on a device that is another domain\'s by then', async () => {
  const { machine, domain, load, store } = await mapped({ xenRevoke: true });
  const detached = xl(machine, `pci-detach g ${EDU}`);
  assert.is(detached.code, 0);
  assert.not.match(detached.stderr, 'mapped');
  assert.equal(domain.iomem.ranges, [], 'no right is left');
  assert.is(load(0), ID);
  assert.is(create(machine, 'next', 'idle', [EDU]).code, 0);
  machine.run(1e9);
  assert.is(machine.hypervisor.deviceOwner(machine.routingOf(EDU)), domainOf(machine, 'next'));
  store(LIVENESS, 0x12345678);
  assert.is(machine.engine.exports.registerRead(machine.functionOf(EDU), 0, LIVENESS, 4) >>> 0, ~0x12345678 >>> 0,
    'the next owner finds what the last one has written');
});

test('by default detach takes the mapping, counts it, and the guest reads ones', async () => {
  const { machine, domain, load, store } = await mapped();
  const detached = xl(machine, `pci-detach g ${EDU}`);
  assert.is(detached.code, 0);
  assert.match(detached.stderr, `domain ${domain.domid} still had 1 page of the device mapped; unmapped`);
  assert.is(load(0), 0xffffffff);
  store(LIVENESS, 0x12345678);
  assert.is(machine.engine.exports.registerRead(machine.functionOf(EDU), 0, LIVENESS, 4) >>> 0, 0, 'reset, and not written since');
  assert.ok(machine.hypervisor.domains.includes(domain));
  done(machine, `pci-attach g ${EDU}`);
  assert.is(load(0), 0xffffffff, 'what it maps it has to map again');
});

test.run();
