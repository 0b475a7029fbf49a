// The front end and the back end with pciback's own stub and virtual config space between them, on hardware with the
// registers of xen-observed.md.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { E1000, E1000E, EDU, type FakePciback, fakePciback } from '../../helpers/fake-pciback';
import { PciSplit } from '../../helpers/pci-split';

async function split(parameters: Parameters<typeof fakePciback>[0] = {}): Promise<{ split: PciSplit; pciback: FakePciback }> {
  const pciback = fakePciback(parameters);
  for (const routing of [E1000, EDU, E1000E]) pciback.seize(routing);
  const made = await PciSplit.create({ stub: pciback.stub });
  made.connect();
  return { split: made, pciback };
}

const whole = suite('with pciback');

whole('the observed two devices take 385 reads and 60 writes', async () => {
  const { split: { pcifront, states }, pciback } = await split();
  assert.is(states, 'B1 F1 B2 B3 F3 B4 F4');
  assert.equal([pcifront?.reads, pcifront?.writes], [385, 60]);
  const [e1000, edu] = pcifront?.devices ?? [];
  assert.equal(e1000?.resources.map(({ start, end }) => [start, end]), [
    [0xfe640000, 0xfe65ffff], [0xd2c0, 0xd2ff], [0, 0], [0, 0], [0, 0], [0, 0], [0xfe4c0000, 0xfe4fffff]]);
  // the first domain's numbers, not what stands in the register
  assert.equal([e1000?.irq, edu?.irq], [0x14, 0x15]);
  // nothing of the sizing has reached the hardware
  assert.is(pciback.host.at(E1000).read(0x10, 4), 0xfe640000);
  assert.is(pciback.host.at(E1000).read(0x04, 2), 0x0103);
});

whole('a PCI Express device with MSI-X is plugged in, used, and taken away', async () => {
  const { split: one, pciback } = await split();
  const front = one.pcifront as NonNullable<PciSplit['pcifront']>;
  one.plug(2, '0000:00:05.0');
  one.scheduler.settle();
  assert.is(`${one.state('B')}${one.state('F')}`, '44');
  const e1000e = front.devices[2];
  assert.equal([...(e1000e?.capabilities.keys() ?? [])].sort((a, b) => a - b), [0x01, 0x05, 0x10, 0x11]);
  // the one write of the enumeration that is dropped, and said so
  assert.match(pciback.log.join('\n'), /read-only configuration space field at offset 0xe8, size 2/);
  front.config(0x10).write(4, 2, 0x0003);
  assert.equal(front.enableMsix(0x10, [0, 1, 2]), [55, 54, 53]);
  assert.is(pciback.host.at(E1000E).read(0xa2, 2) & 0x8000, 0x8000);
  front.disableMsix(0x10);
  assert.is(pciback.host.at(E1000E).read(0xa2, 2) & 0x8000, 0);
  // strict: the capability itself is not the guest's
  assert.is(front.writeConfig(0x10, 0xd2, 2, 0x0081).code, 0x88);
  assert.equal(front.readConfig(0x10, 1, 2).code, 0x87);
  one.unplug(2);
  one.scheduler.settle();
  assert.is(pciback.stub.find(E1000E)?.owner, undefined);
  assert.is(pciback.host.at(E1000E).resets > 0, true);
});

whole('unbound while the guest has it; then everything ends', async () => {
  const { split: one, pciback } = await split();
  pciback.stub.remove(pciback.host.device(EDU));
  assert.is(one.pcifront?.readConfig(0x08, 0, 4).code, 0x86);
  assert.is(one.pcifront?.readConfig(0x00, 0, 4).value, 0x100e8086);
  one.destroy();
  one.scheduler.settle();
  assert.equal(pciback.stub.seized.map(({ owner }) => owner), [undefined, undefined]);
  assert.is(pciback.lines.held.size, 0);
});

whole('host addresses', async () => {
  const { split: one } = await split({ passthrough: true });
  assert.equal(one.pcifront?.devices.map(({ name }) => name), ['0000:00:04.0', '0000:00:06.0']);
});

whole.run();
