// When a device leaves: what goes in which order, and what of it is left. Ours, and with xenRevoke Xen's.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import { Physdev } from '../../../src/xen/hypervisor/physdev';
import { Hypervisor } from '../../../src/xen/hypervisor/hypervisor';
import { guestConfig, type Rig, type RigOptions, toolstackRig } from '../../helpers/toolstack';

const test = suite('revocation');

const BAR0 = 0xfe640;

/** A guest that has 04.0, 07.0 on the same line, and 08.0 in the same page as 07.0; it has mapped a page of each. */
async function withMappings(options: RigOptions = {}, devices = ['00:04.0', '00:07.0', '00:08.0']): Promise<Rig> {
  const rig = await toolstackRig(options);
  for (const bdf of devices) rig.run('pci-assignable-add', bdf);
  const made = rig.create(guestConfig(devices));
  assert.is(made.code, 0, made.stderr);
  rig.pass(1);
  rig.machine.hypervisor.updateVaMapping(1, 0x80000, BAR0, true);
  if (devices.length > 1) rig.machine.hypervisor.updateVaMapping(1, 0x80001, 0xfe6ca, true);
  return rig;
}

/** The steps that `work` takes, in their order: hypercalls, writes to sysfs and states in the store. */
function steps(rig: Rig, work: () => void): string[] {
  const seen: string[] = [];
  const originals: Array<() => void> = [];
  const spy = (prototype: object, names: readonly string[]): void => {
    for (const name of names) {
      const original = (prototype as Record<string, (...args: unknown[]) => unknown>)[name] as (...args: unknown[]) => unknown;
      originals.push(() => Object.assign(prototype, { [name]: original }));
      Object.assign(prototype, { [name](this: unknown, ...args: unknown[]) {
        if (seen.at(-1) !== name) seen.push(name);
        return original.apply(this, args);
      } });
    }
  };
  spy(Domctl.prototype, ['iomemPermission', 'ioportPermission', 'irqPermission', 'deassignDevice', 'destroyDomain']);
  spy(Physdev.prototype, ['unmapPirq']);
  spy(Hypervisor.prototype, ['unmapIoMemory']);
  const write = rig.sysfs.write.bind(rig.sysfs);
  rig.sysfs.write = (path, text) => {
    seen.push(path.slice(path.lastIndexOf('/') + 1));
    write(path, text);
  };
  const { store } = rig;
  const receive = store.receive.bind(store);
  store.receive = (connection, bytes) => {
    const text = new TextDecoder().decode(bytes.subarray(16));
    const [, side, state] = /\/(backend|device)\/pci\/(?:\d\/)?0\/state\0(\d)$/.exec(text) ?? [];
    if (side !== undefined && bytes[0] === 11) seen.push(`${side === 'backend' ? 'B' : 'F'}${state}`);
    receive(connection, bytes);
  };
  try {
    work();
  } finally {
    for (const restore of originals) restore();
    Object.assign(rig.sysfs, { write });
    store.receive = receive;
  }
  return seen;
}

test('detach: both ends first, then ports, memory, mappings, the line, reset, assignment', async () => {
  const rig = await withMappings({}, ['00:04.0']);
  let stderr = '';
  assert.equal(steps(rig, () => { stderr = rig.run('pci-detach', 'guest', '00:04.0').stderr; }), [
    'B7', 'F7', 'B8', 'F4', 'B4', 'ioportPermission', 'iomemPermission', 'unmapIoMemory', 'iomemPermission', 'unmapIoMemory',
    'unmapPirq', 'irqPermission', 'reset', 'deassignDevice',
  ]);
  assert.match(stderr, 'domain 1 still had 1 page of the device mapped; unmapped');
  assert.is(rig.machine.engine.exports.guestMapGet(rig.machine.hypervisor.domain(1).slot, 0x80000), 0);
  assert.equal(rig.rights(1), { iomem: '', ioport: '', irq: '', devices: [] });
});

test('xenRevoke: rights, reset and assignment first, and the mapping stays', async () => {
  const rig = await withMappings({ xenRevoke: true }, ['00:04.0']);
  assert.equal(steps(rig, () => rig.run('pci-detach', 'guest', '00:04.0')), [
    'ioportPermission', 'iomemPermission', 'unmapPirq', 'irqPermission', 'reset', 'deassignDevice', 'B7', 'F7', 'B8', 'F4', 'B4',
  ]);
  assert.is.not(rig.machine.engine.exports.guestMapGet(rig.machine.hypervisor.domain(1).slot, 0x80000), 0);
  assert.equal(rig.rights(1), { iomem: '', ioport: '', irq: '', devices: [] });
});

test('what another device of the domain needs stays: its line, its page', async () => {
  const rig = await withMappings();
  assert.equal(rig.rights(1), {
    iomem: 'fe500-fe53f, fe640-fe65f, fe6ca', ioport: 'd000-d0ff, d2c0-d2ff', irq: '20', devices: ['0000:00:04.0', '0000:00:07.0', '0000:00:08.0'],
  });
  assert.is(rig.run('pci-detach', 'guest', '00:07.0').code, 0);
  assert.equal(rig.rights(1), {
    iomem: 'fe500-fe53f, fe640-fe65f, fe6ca', ioport: 'd2c0-d2ff', irq: '20', devices: ['0000:00:04.0', '0000:00:08.0'],
  });
  assert.is.not(rig.machine.engine.exports.guestMapGet(rig.machine.hypervisor.domain(1).slot, 0x80001), 0);
  assert.is(rig.run('pci-detach', 'guest', '00:04.0').code, 0);
  assert.equal(rig.rights(1), { iomem: 'fe6ca', ioport: '', irq: '', devices: ['0000:00:08.0'] });
  assert.is(rig.run('pci-detach', 'guest', '00:08.0').code, 0);
  assert.equal(rig.rights(1), { iomem: '', ioport: '', irq: '', devices: [] });
  assert.is(rig.machine.engine.exports.guestMapGet(rig.machine.hypervisor.domain(1).slot, 0x80001), 0);
});

test('destroy of a dead domain: the keys, then the same for each device', async () => {
  const rig = await withMappings({}, ['00:04.0']);
  rig.run('pause', 'guest');
  assert.equal(steps(rig, () => rig.run('destroy', 'guest')), [
    'ioportPermission', 'iomemPermission', 'unmapIoMemory', 'iomemPermission', 'unmapIoMemory', 'unmapPirq', 'irqPermission', 'reset',
    'deassignDevice', 'destroyDomain',
  ]);
  assert.is(rig.machine.hypervisor.ownerOf(0x20), 0x7ff1, 'in quarantine');
});

test('after any end the device is in quarantine until it is given back', async () => {
  const rig = await withMappings({}, ['00:04.0']);
  rig.run('pci-detach', 'guest', '00:04.0');
  assert.is(rig.machine.hypervisor.ownerOf(0x20), 0x7ff1);
  assert.is(rig.run('pci-attach', 'guest', '00:04.0').code, 0, 'a domain whose devices have all gone can have them again');
  rig.pass(1);
  assert.is(rig.client.read('/local/domain/0/backend/pci/1/0/state'), '4');
  rig.run('destroy', 'guest');
  assert.is(rig.machine.hypervisor.ownerOf(0x20), 0x7ff1);
  assert.is(rig.run('pci-assignable-remove', '-r', '00:04.0').code, 0);
  assert.is(rig.machine.hypervisor.ownerOf(0x20), 0);
});

test.run();
