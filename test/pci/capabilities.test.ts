import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { expressCapability } from '../../src/pci/capabilities/express';
import { aerCapability } from '../../src/pci/capabilities/aer';
import { msiCapability } from '../../src/pci/capabilities/msi';
import { msixCapability } from '../../src/pci/capabilities/msix';
import { pmCapability } from '../../src/pci/capabilities/pm';
import { type ConfigDefinition, type ConfigImage, buildConfig } from '../../src/pci/config-space';
import { PortcullisError } from '../../src/index';

const BASE: ConfigDefinition = {
  vendorId: 0x1234, deviceId: 0x5678, classCode: 0xff0102, revision: 9, subsystemVendorId: 0, subsystemId: 0,
  interruptPin: 0,
  bars: [{ kind: 'memory32', size: 0x2000 }],
};

function refused(change: () => Partial<ConfigDefinition>, code: string, sentence: RegExp): void {
  try {
    buildConfig({ ...BASE, ...change() });
  } catch (error) {
    assert.instance(error, PortcullisError);
    assert.is((error as PortcullisError).code, code);
    assert.match((error as PortcullisError).message, sentence);
    assert.not.match((error as PortcullisError).message, /\n/);
    return;
  }
  assert.unreachable(`${code} expected`);
}

function word(image: ConfigImage, off: number, width = 4, plane: 'value' | 'writable' | 'clearable' = 'value'): number {
  let value = 0;
  for (let i = width - 1; i >= 0; i--) value = value * 256 + (image[plane][off + i] as number);
  return value;
}

test('a BAR of no power of two, beyond the header or over another is refused', () => {
  refused(() => ({ bars: [{ kind: 'memory32', size: 0x3000 }] }), 'BAD_BAR', /BAR 0 has 12288 bytes; .* power of two/);
  refused(() => ({ bars: [{ kind: 'memory32', size: 8 }] }), 'BAD_BAR', /from 16/);
  refused(() => ({ bars: [{ kind: 'io', size: 512 }] }), 'BAD_BAR', /I\/O BAR has a power of two from 4 to 256/);
  refused(() => ({ bars: [{ kind: 'memory64', size: 0x1000 }, { kind: 'io', size: 4 }] }), 'BAD_BAR',
    /BAR 0 is 64 bits wide and overlaps BAR 1/);
  refused(() => ({ bars: [, , , , , { kind: 'memory64', size: 0x1000 }] as ConfigDefinition['bars'] }), 'BAD_BAR',
    /BAR 5 is beyond/);
  refused(() => ({ bridge: true, bars: [, , { kind: 'memory32', size: 0x1000 }] as ConfigDefinition['bars'] }),
    'BAD_BAR', /two registers of a type 1/);
});

test('a capability at a wrong place, over another or twice is refused', () => {
  refused(() => ({ capabilities: [pmCapability({ off: 0x3c })] }), 'BAD_CAPABILITY',
    /power management capability is at 0x3c/);
  refused(() => ({ capabilities: [pmCapability({ off: 0x42 })] }), 'BAD_CAPABILITY', /multiple of 4/);
  refused(() => ({ capabilities: [pmCapability({ off: 0xfc })] }), 'BAD_CAPABILITY', /takes 8 bytes/);
  refused(() => ({ capabilities: [pmCapability({ off: 0x40 }),
    msiCapability({ off: 0x44, vectors: 1, wide: false })] }),
    'BAD_CAPABILITY', /power management capability at 0x40 to 0x47 overlaps the MSI capability at 0x44/);
  refused(() => ({ capabilities: [pmCapability({ off: 0x40 }), pmCapability({ off: 0x50 })] }), 'BAD_CAPABILITY',
    /twice/);
  refused(() => ({ capabilities: [aerCapability({ off: 0x100 })] }), 'BAD_CAPABILITY',
    /needs a PCI Express capability/);
  refused(() => ({ capabilities: [expressCapability({ off: 0x40, type: 'endpoint' }), aerCapability({ off: 0x140 })] }),
    'BAD_CAPABILITY', /begins at 0x100/);
});

test('numbers of vectors that cannot be are refused', () => {
  refused(() => ({ capabilities: [msiCapability({ off: 0x40, vectors: 3, wide: true })] }), 'BAD_CAPABILITY',
    /1, 2, 4, 8, 16 or 32/);
  refused(() => ({ capabilities: [msiCapability({ off: 0x40, vectors: 64, wide: true })] }), 'BAD_CAPABILITY',
    /64 vectors/);
  const msix = (vectors: number, table: number, pending: number, bar = 0) => () => ({
    capabilities: [msixCapability({ off: 0x40, vectors, table: { bar, off: table }, pending: { bar, off: pending } })],
  });
  refused(msix(0, 0, 0x800), 'BAD_CAPABILITY', /0 vectors/);
  refused(msix(65, 0, 0x800), 'BAD_CAPABILITY', /1 to 64/);
  refused(msix(4, 4, 0x800), 'BAD_CAPABILITY', /multiple of 8/);
  refused(msix(4, 0, 0x30), 'BAD_CAPABILITY', /in the middle of its table/);
  refused(msix(4, 0x1fc8, 0), 'BAD_CAPABILITY', /which has 8192 bytes/);
  refused(msix(4, 0, 0x800, 3), 'BAD_CAPABILITY', /BAR 3, which is no memory BAR/);
});

test('a config space without PCI Express has 256 bytes, one with it 4096', () => {
  assert.is(buildConfig(BASE).value.length, 256);
  assert.is(buildConfig({ ...BASE, capabilities: [expressCapability({ off: 0x40, type: 'endpoint' })] }).value.length,
    4096);
});

test('capabilities are linked in the order of their offsets', () => {
  const image = buildConfig({ ...BASE, capabilities: [
    expressCapability({ off: 0x80, type: 'endpoint' }), pmCapability({ off: 0x40 }),
    msiCapability({ off: 0x50, vectors: 1, wide: false }),
  ] });
  assert.is(word(image, 0x34, 1), 0x40);
  assert.is(word(image, 0x06, 2), 0x0010);
  assert.is(word(image, 0x40, 2), 0x5001);
  assert.is(word(image, 0x50, 2), 0x8005);
  assert.is(word(image, 0x80, 2), 0x0010);
  assert.is(word(buildConfig(BASE), 0x06, 2), 0);
});

test('extended capabilities are linked from 0x100 on', () => {
  const image = buildConfig({ ...BASE, capabilities: [
    expressCapability({ off: 0x40, type: 'endpoint' }), aerCapability({ off: 0x100 }),
    { ...aerCapability({ off: 0x200 }), id: 0x000b },
  ] });
  assert.is(word(image, 0x100), 0x20020001);
  assert.is(word(image, 0x200), 0x0002000b);
});

// the four layouts of PCI Local Bus 3.0 §6.8.1
for (const [wide, masking, control, data, mask] of [
  [false, false, 0x0008, 0x48, undefined], [true, false, 0x0088, 0x4c, undefined],
  [false, true, 0x0108, 0x48, 0x4c], [true, true, 0x0188, 0x4c, 0x50],
] as const) {
  test(`MSI of 16 vectors with ${wide ? 64 : 32} bits${masking ? ' and masking' : ''}`, () => {
    const image = buildConfig({ ...BASE, capabilities: [msiCapability({ off: 0x40, vectors: 16, wide, masking })] });
    assert.is(word(image, 0x42, 2), control);
    assert.is(word(image, 0x42, 2, 'writable'), 0x0071);
    assert.is(word(image, 0x44, 4, 'writable'), 0xfffffffc);
    assert.is(word(image, data, 2, 'writable'), 0xffff);
    if (wide) assert.is(word(image, 0x48, 4, 'writable'), 0xffffffff);
    if (mask === undefined) return;
    assert.is(word(image, mask, 4, 'writable'), 0x0000ffff);
    assert.is(word(image, mask + 4, 4, 'writable'), 0);
  });
}

test('MSI-X says where table and pending bits are', () => {
  const image = buildConfig({ ...BASE, capabilities: [
    msixCapability({ off: 0x60, vectors: 5, table: { bar: 0, off: 0x1000 }, pending: { bar: 0, off: 0x1800 } }),
  ] });
  assert.is(word(image, 0x60), 0x00040011);
  assert.is(word(image, 0x62, 2, 'writable'), 0xc000);
  assert.is(word(image, 0x64), 0x1000);
  assert.is(word(image, 0x68), 0x1800);
});

test('power management: state writable, no soft reset read-only', () => {
  const image = buildConfig({ ...BASE, capabilities: [pmCapability({ off: 0x40, noSoftReset: true })] });
  assert.is(word(image, 0x42, 2), 0x0003);
  assert.is(word(image, 0x44, 2), 0x0008);
  assert.is(word(image, 0x44, 2, 'writable'), 0x0003);
});

test('PCI Express: an endpoint on the root bus is integrated and has no link', () => {
  const definition = { ...BASE,
    capabilities: [expressCapability({ off: 0x40, type: 'endpoint', speed: 8, width: 4 })] };
  const integrated = buildConfig(definition, { rootBus: true, multiFunction: false });
  assert.is(word(integrated, 0x42, 2), 0x0092);
  assert.is(word(integrated, 0x4c), 0);
  const endpoint = buildConfig(definition, { rootBus: false, multiFunction: false });
  assert.is(word(endpoint, 0x42, 2), 0x0002);
  assert.is(word(endpoint, 0x44), 0x10008000, 'role-based errors, function-level reset');
  assert.is(word(endpoint, 0x48, 2), 0x2810);
  assert.is(word(endpoint, 0x48, 2, 'writable') & 0x8000, 0, 'Initiate Function Level Reset is not stored');
  assert.is(word(endpoint, 0x4a, 2, 'clearable'), 0x000f);
  assert.is(word(endpoint, 0x4c), 0x00000043);
  assert.is(word(endpoint, 0x52, 2), 0x1043);
});

test('a multi-function device says so', () => {
  assert.is(word(buildConfig(BASE, { rootBus: true, multiFunction: true }), 0x0e, 1), 0x80);
  assert.is(word(buildConfig({ ...BASE, bridge: true, bars: [] }, { rootBus: true, multiFunction: true }), 0x0e, 1),
    0x81);
});

test('a bridge has windows and bus numbers to write', () => {
  const image = buildConfig({ ...BASE, bridge: true, bars: [] });
  assert.is(word(image, 0x0e, 1), 0x01);
  assert.is(word(image, 0x18, 4, 'writable'), 0x00ffffff);
  assert.is(word(image, 0x1c, 2, 'writable'), 0xf0f0);
  assert.is(word(image, 0x20, 4, 'writable'), 0xfff0fff0);
  assert.is(word(image, 0x24), 0x00010001);
  assert.is(word(image, 0x3e, 2, 'writable') & 0x40, 0x40);
});

test.run();
