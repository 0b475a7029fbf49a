import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseLspciDump } from '../../src/pci/lspci-dump';

const row = (off: string, bytes: string): string => `${off}: ${bytes}${' 00'.repeat(16 - bytes.split(' ').length)}`;
const rows = (first: string, upTo: number): string[] => Array.from({ length: upTo / 16 }, (_, i) =>
  row((16 * i).toString(16).padStart(2, '0'), i === 0 ? first : '00'));

const VERBOSE = [
  '00:1f.2 SATA controller: Intel Corporation 82801IR (rev 02) (prog-if 01 [AHCI 1.0])',
  '\tDeviceName:  Onboard SATA', '\tSubsystem: Red Hat, Inc. QEMU Virtual Machine',
  '\tInterrupt: pin A routed to IRQ 27', '\tIOMMU group: 11',
  '\tRegion 0: Memory at <unassigned> (64-bit, prefetchable) [disabled] [size=16G]',
  '\tRegion 4: I/O ports at c040 [size=32]', '\tRegion 5: Memory at febf1000 (32-bit, non-prefetchable) [size=4K]',
  '\tExpansion ROM at 000c0000 [virtual] [disabled] [size=128K]',
  '\tCapabilities: [80] MSI: Enable+ Count=1/1 Maskable- 64bit+', '\t\tAddress: 00000000fee00000  Data: 0000',
  '\tCapabilities: [100 v2] Advanced Error Reporting',
  '\tKernel driver in use: ahci', '\tKernel modules: ahci',
];

test('text: regions with their sizes, interrupt, group, driver, capabilities', () => {
  const [one] = parseLspciDump([...VERBOSE, ...rows('86 80 22 29', 64), ''].join('\n'));
  assert.is(one?.title, 'SATA controller: Intel Corporation 82801IR (rev 02) (prog-if 01 [AHCI 1.0])');
  assert.equal(one?.bdf, { segment: 0, bus: 0, device: 31, function: 2 });
  assert.equal([one?.irq, one?.iommuGroup, one?.driver, one?.deviceName], [27, 11, 'ahci', 'Onboard SATA']);
  assert.equal([...one?.regions ?? []], [
    [0, { io: false, address: undefined, size: 2 ** 34, wide: true, prefetchable: true, virtual: false }],
    [4, { io: true, address: 0xc040, size: 32, wide: false, prefetchable: false, virtual: false }],
    [5, { io: false, address: 0xfebf1000, size: 4096, wide: false, prefetchable: false, virtual: false }],
  ]);
  assert.is(one?.rom?.virtual, true);
  assert.equal(one?.capabilities.map(({ off, version }) => [off, version]), [[0x80, undefined], [0x100, 2]]);
  assert.is(one?.denied, false);
  assert.equal([...one?.bytes.slice(0, 4) ?? []], [0x86, 0x80, 0x22, 0x29]);
});

test('with domains, with DOS line ends, with a byte order mark, with complaints of lspci in front, without an empty last line', () => {
  const text = `\ufeffpcilib: Cannot open /proc/bus/pci\r\n${[`0000:${VERBOSE[0]}`, ...rows('86 80', 256)].join('\r\n')}\r\n\r\n`
    + ['0001:02:1e.7 Bridge', ...rows('86 80', 4096)].join('\r\n');
  const found = parseLspciDump(text);
  assert.equal(found.map(({ bdf }) => bdf.segment), [0, 1]);
  assert.equal(found.map(({ bytes }) => bytes.length), [256, 4096]);
  assert.equal(found.map(({ verbose }) => verbose), [false, false]);
});

test('lspci -v: regions without a number belong to the registers that have their address', () => {
  const text = ['00:04.0 Ethernet controller: Intel', '\tFlags: bus master, fast devsel, latency 0, IRQ 20, IOMMU group 3',
    '\tMemory at fe6c0000 (64-bit, non-prefetchable) [size=16K]', '\tI/O ports at d2c0 [size=64]',
    '\tCapabilities: <access denied>',
    row('00', '86 80'), row('10', '04 00 6c fe 00 00 00 00 00 00 00 00 c1 d2 00 00'), row('20', '00'), row('30', '00')].join('\n');
  const [one] = parseLspciDump(text);
  assert.equal([...one?.regions ?? []].map(([index, { size }]) => [index, size]), [[0, 16384], [3, 64]]);
  assert.equal([one?.irq, one?.iommuGroup, one?.denied], [20, 3, true]);
});

test('what lspci does not print is refused with its line', () => {
  const refused = (lines: string[], message: RegExp): void => {
    assert.throws(() => parseLspciDump(lines.join('\n'), 'my.txt'), message);
  };
  refused([''], /my\.txt, line 1: there is no function in it/);
  refused(['# lspci -vv', '00:1f.2 SATA'], /line 1: "# lspci -vv" is no line of lspci's/);
  refused(['00:1f.2 SATA', row('10', '00')], /line 2: bytes from 10 on, where those from 00 on are due/);
  refused(['00:1f.2 SATA', '00: 86 80'], /line 2: 2 bytes, where lspci prints 16/);
  refused(['00:1f.2 SATA', ...rows('86', 48), '', '00:1f.3 x'], /line 5: 0000:00:1f\.2 ends after 48 bytes/);
  refused(['00:1f.2 SATA', '', '00:1f.2 SATA'], /line 3: 0000:00:1f\.2 is there a second time, after line 1/);
  refused(['00:2f.2 SATA'], /line 1: there is no device number 2f/);
  refused(['00:1f.2 SATA', 'Slot: 00:1f.2'], /line 2: "Slot: 00:1f\.2" is neither text/);
});

test.run();
