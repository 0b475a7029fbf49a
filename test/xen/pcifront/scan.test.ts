// What a guest reads and writes to find its devices: order and numbers as observed (xen-observed.md 6, end).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type FakeDevice, PciSplit } from '../../helpers/pci-split';

const scan = suite('the scan');

const BARS = ['10', '14', '18', '1c', '20', '24'].flatMap((off) => ['r 4/2', 'w 4/2 100', `r ${off}/4`, `w ${off}/4 ffffffff`,
  `r ${off}/4`, `w ${off}/4 *`, 'w 4/2 103']);
const ROM = ['r 4/2', 'w 4/2 100', 'r 30/4', 'w 30/4 fffff800', 'r 30/4', 'w 30/4 *', 'w 4/2 103'];

scan('the operations for an e1000, in order', async () => {
  const split = await PciSplit.create();
  split.connect();
  const ops = (split.stub.seized[0] as FakeDevice).ops.map((op) => op.replace(/^(w (?:1.|2.|30)\/4) (?!f{5}).*/, '$1 *'));
  assert.equal(ops, ['r 0/4', 'r e/1', 'r 6/2', 'r 8/4', 'r 6/2', 'r 4/2', 'w 4/2 503', 'r 4/2', 'w 4/2 103', 'r 3d/1', 'r 3c/1',
    ...BARS, ...ROM, 'r 2c/2', 'r 2e/2', ...Array.from({ length: 8 }, () => 'r 6/2')]);
});

scan('385 reads and 60 writes for the observed two devices', async () => {
  const split = await PciSplit.create();
  split.connect();
  assert.equal([split.pcifront?.reads, split.pcifront?.writes], [385, 60]);
});

scan('what was found', async () => {
  const split = await PciSplit.create();
  split.connect();
  const [e1000, edu] = split.pcifront?.devices ?? [];
  assert.equal([e1000?.vendor, e1000?.device, e1000?.classCode, e1000?.pin, e1000?.irq], [0x8086, 0x100e, 0x020000, 1, 0x15]);
  assert.equal(e1000?.resources.map(({ start, end }) => [start, end]), [
    [0xfe640000, 0xfe65ffff], [0xd2c0, 0xd2ff], [0, 0], [0, 0], [0, 0], [0, 0], [0xfe540000, 0xfe57ffff]]);
  assert.equal([...(edu?.capabilities ?? [])], [[5, 0x40]]);
  const lines = split.domU.log.map((line) => line.replace(/^pcifront pci-0: /, ''));
  assert.equal(lines, ['Allocated pdev, sh_info', 'publishing successful!', 'Installing PCI frontend',
    'Creating PCI Frontend Bus 0000:00', 'PCI host bridge to bus 0000:00',
    'pci_bus 0000:00: root bus resource [io  0x0000-0xffff]',
    'pci_bus 0000:00: root bus resource [mem 0x00000000-0xffffffffff]', 'pci_bus 0000:00: root bus resource [bus 00-ff]',
    'claiming resource 0000:00:00.0/0', 'claiming resource 0000:00:00.0/1', 'claiming resource 0000:00:00.0/6',
    'claiming resource 0000:00:01.0/0']);
});

scan.run();
