import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EduDriver } from '../../src/drivers/edu';
import { Machine, type DomainConfig } from '../../src/machine/machine';
import type { MachineDescription } from '../../src/machine/description';
import { parseSize } from '../../src/machine/size';
import { parseBdf, formatBdf, routingId } from '../../src/pci/bdf';
import { EDU, OTHER_EDU, codeOf, guestMachine } from '../helpers/guest-machine';

const descriptions = suite('machine descriptions');

async function code(description: unknown): Promise<string> {
  try {
    await Machine.create(description as MachineDescription);
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

descriptions('what is wrong is named', async () => {
  const cases: ReadonlyArray<readonly [unknown, string]> = [
    [{ memry: '8MiB' }, 'UNKNOWN_FIELD'], [{ memory: '8' }, 'BAD_SIZE'], [{ memory: '1MiB' }, 'MEMORY_SIZE'],
    [{ memory: '4GiB' }, 'MEMORY_SIZE'], [{ memory: '8MiB', dom0: { memory: '9MiB' } }, 'MEMORY_SIZE'],
    [{ memory: '16MiB', iommu: 'amd' }, 'UNKNOWN_IOMMU'], [{ memory: '16MiB', owner: 'kvm' }, 'UNKNOWN_OWNER'],
    [{ memory: '16MiB', seed: -1 }, 'BAD_SEED'], [{ memory: '16MiB', seed: 1.5 }, 'BAD_SEED'],
    [{ memory: '16MiB', iommu: { kind: 'vtd', iotlb: { entries: 3 } } }, 'ENGINE_OPTION'],
    [{ memory: '16MiB', devices: [{ model: 'edo', bdf: EDU }] }, 'UNKNOWN_DEVICE'],
    [{ memory: '16MiB', devices: [{ model: 'edu', bdf: '00:06' }] }, 'BAD_BDF'],
    [{ memory: '16MiB', devices: [{ model: 'edu', bdf: '00:20.0' }] }, 'BAD_BDF'],
    [{ memory: '16MiB', devices: [{ model: 'edu', bdf: '01:06.0' }] }, 'NO_BRIDGE'],
    [{ memory: '16MiB', devices: [{ model: 'edu', bdf: '00:00.0' }] }, 'ADDRESS_TAKEN'],
    [{ memory: '16MiB', devices: [{ model: 'edu', bdf: EDU }, { model: 'e1000', bdf: '00:06.0' }] }, 'ADDRESS_TAKEN'],
    [{ memory: '16MiB', devices: [{ model: 'e1000', bdf: EDU, link: 'wire' }] }, 'UNKNOWN_LINK'],
    [{ memory: '16MiB', devices: [{ model: 'edu', bdf: EDU, colour: 1 }] }, 'UNKNOWN_FIELD'],
  ];
  for (const [description, expected] of cases) assert.is(await code(description), expected, JSON.stringify(description));
  assert.is(await code({ memory: '16MiB' }), 'none');
});

descriptions('addresses and sizes as people type them', () => {
  assert.is(routingId(parseBdf('0000:03:02.0')), 0x0310);
  assert.is(formatBdf(parseBdf('1f:1F.7')), '0000:1f:1f.7');
  for (const text of ['', '3:2.0', '00:20.0', '00:1f.8', '00:1f.0 ', '0:00:1f.0', 'zz:00.0']) assert.is(codeOf(() => parseBdf(text)), 'BAD_BDF', text);
  assert.equal([parseSize('4KiB', 'x'), parseSize('512MiB', 'x'), parseSize('3GiB', 'x')], [4096, 2 ** 29, 3 * 2 ** 30]);
  for (const text of ['', '4', '4kb', '4 KiB', '-4KiB', '1.5MiB', '4KiBs']) assert.is(codeOf(() => parseSize(text, 'x')), 'BAD_SIZE', text);
});

descriptions.run();

const running = suite('a machine');

running('names of devices that are not there are errors that say which are', async () => {
  const machine = await Machine.create({ memory: '16MiB', devices: [{ model: 'edu', bdf: EDU }] });
  assert.is(codeOf(() => machine.functionOf(OTHER_EDU)), 'NO_DEVICE');
  assert.is(codeOf(() => machine.link(EDU)), 'NO_LINK');
  assert.is(codeOf(() => machine.barAddress(EDU, 1)), 'NO_BAR');
});

const WAYS: ReadonlyArray<readonly [Parameters<typeof guestMachine>[0], 'direct' | 'strict' | 'lazy', DomainConfig['type'], 'vtd' | 'none']> = [
  ['none', 'direct', 'pv', 'none'], ['pass-through', 'direct', 'pv', 'vtd'], ['own-frames', 'direct', 'pv', 'vtd'],
  ['guest-mapped', 'strict', 'pv', 'vtd'], ['guest-mapped', 'lazy', 'pv', 'vtd'], ['guest-mapped', 'strict', 'hvm', 'vtd'],
];

for (const [translation, mode, type, iommu] of WAYS) {
  running(`edu's driver works by ${translation}, ${mode}, ${String(type)}, IOMMU ${iommu}`, async () => {
    const one = await guestMachine(translation, { type: type ?? 'pv' }, iommu);
    const driver = new EduDriver(one.guest, 0x30, { mode, bouncePages: mode === 'direct' ? 4 : 0 });
    assert.is(driver.factorial(10), 3628800);
    const va = one.guest.allocPages(2);
    const at = va + 4096 - 300;
    for (let i = 0; i < 600; i++) one.guest.store(at + i, 1, i * 7);
    driver.transfer(at, 0, 600, true);
    for (let i = 0; i < 600; i++) one.guest.store(at + i, 1, 0);
    driver.transfer(at, 0, 600, false);
    for (let i = 0; i < 600; i++) assert.is(one.guest.load(at + i, 1), i * 7 & 0xff, `byte ${i}`);
    assert.is(one.machine.engine.counters().faults, 0);
  });
}

running('a driver that names a bus address of its own reaches another domain without an IOMMU, and not with one', async () => {
  for (const [translation, iommu, reached] of [['none', 'none', true], ['own-frames', 'vtd', false], ['guest-mapped', 'vtd', false]] as const) {
    const one = await guestMachine(translation, {}, iommu);
    const driver = new EduDriver(one.guest, 0x30, { mode: translation === 'guest-mapped' ? 'strict' : 'direct' });
    const secret = one.machine.dom0.p2m[7] as number;
    one.machine.engine.frame(secret).fill(0x53);
    driver.transferBus(secret * 4096, 0, 64, true);
    const va = one.guest.allocPages(1);
    const pass = translation === 'none' ? one.guest.machineAddress(va) : driver.dma.map(va, 64, 2);
    driver.transferBus(pass, 0, 64, false);
    const seen = Array.from({ length: 64 }, (_, i) => one.guest.load(va + i, 1));
    assert.ok(seen.every((byte) => byte === (reached ? 0x53 : 0xff)), `${translation}: ${seen[0]}`);
    driver.transferBus(secret * 4096, 0, 64, false);
    driver.transferBus(secret * 4096, 0, 64, true);
    assert.is(one.machine.hypervisor.iommu?.takeFaults().length ?? 0, reached ? 0 : 3);
    assert.ok(one.machine.engine.frame(secret).every((byte) => byte === 0x53), 'and what was read went nowhere else');
  }
});

running('a removed device is gone: config, registers, interrupts, rights; its address can be used again by enumeration', async () => {
  const one = await guestMachine('guest-mapped');
  const { machine } = one;
  const bar = machine.barAddress(EDU, 0);
  const va = one.guest.ioremap(bar, 4096);
  machine.engine.exports.registerWrite(one.fn, 0, 0x60, 4, 1, 0);
  machine.removeDevice(EDU);
  assert.is(codeOf(() => machine.functionOf(EDU)), 'NO_DEVICE');
  assert.is(one.guest.load(va, 4), 0xffffffff);
  for (let line = 0; line < 32; line++) assert.is(machine.engine.exports.intxLine(line), 0);
  assert.is(codeOf(() => machine.hypervisor.updateVaMapping(one.domain.domid, 0x80000, bar / 4096, true)), 'EPERM');
  assert.is(codeOf(() => machine.hypervisor.updateVaMapping(machine.dom0.domid, 0x80000, bar / 4096, true)), 'EPERM');
  assert.is(machine.engine.exports.service(0, 1000), 0);
});

running('equal descriptions and equal use give equal bytes', async () => {
  const runs: Buffer[] = [];
  for (let i = 0; i < 2; i++) {
    const one = await guestMachine('guest-mapped');
    const driver = new EduDriver(one.guest, 0x30, { mode: 'lazy' });
    const va = one.guest.allocPages(1);
    for (let n = 0; n < 5; n++) driver.transfer(va, n, 100, n % 2 === 0);
    runs.push(Buffer.concat([one.machine.engine.slice(), one.machine.engine.bytes.subarray(one.machine.engine.ram)]));
  }
  assert.ok(runs[0]?.equals(runs[1] as Buffer));
});

running('lives in a host\'s memory, beside what is there', async () => {
  const memory = new WebAssembly.Memory({ initial: 1200 });
  const before = new Uint8Array(memory.buffer, 0, 65536).fill(0x21);
  const machine = await Machine.create({ memory: '8MiB', dom0: { memory: '1MiB' }, devices: [{ model: 'edu', bdf: EDU }] }, { memory });
  assert.is(machine.engine.memory, memory);
  assert.ok(before.every((byte) => byte === 0x21));
});

running.run();
