// The published schema of machine descriptions, against the reader.
import fs from 'node:fs';
import path from 'node:path';
import { Ajv, type Schema } from 'ajv';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../scripts/files.mjs';
import { DESCRIPTION_FIELDS, type MachineDescription, resolveDescription } from '../../src/machine/description';

const read = (name: string): string => fs.readFileSync(path.join(root, name), 'utf8');
const document = JSON.parse(read('schema/machine.schema.json')) as {
  properties: Record<string, { properties?: Record<string, { properties?: Record<string, unknown> }> }>;
  definitions: Record<string, { properties: Record<string, unknown> }>;
};
const validate = new Ajv({ strict: true, strictTypes: false }).compile(document as Schema);

/** Whether the reader takes it. */
function reads(description: unknown): boolean {
  try {
    resolveDescription(description as MachineDescription);
    return true;
  } catch {
    return false;
  }
}

const schema = suite('schema of machine descriptions');

schema('has the fields that the reader has', () => {
  const keys = (value: object | undefined): string[] => Object.keys(value ?? {}).sort();
  assert.equal(keys(document.properties), [...DESCRIPTION_FIELDS.machine].sort());
  assert.equal(keys(document.properties.dom0?.properties), [...DESCRIPTION_FIELDS.dom0].sort());
  assert.equal(keys(document.properties.dom0?.properties?.pciback?.properties), [...DESCRIPTION_FIELDS.pciback].sort());
  assert.equal(keys(document.definitions.device?.properties), [...DESCRIPTION_FIELDS.device].sort());
  assert.equal(keys(document.definitions.reserved?.properties), [...DESCRIPTION_FIELDS.reserved].sort());
  assert.equal(keys(document.definitions.dump?.properties), [...DESCRIPTION_FIELDS.dump].sort());
});

schema('takes the example', () => {
  assert.ok(validate(JSON.parse(read('examples/observed-q35.json'))), JSON.stringify(validate.errors));
});

const device = { model: 'e1000', bdf: '0000:00:04.0' };

const GOOD: Record<string, unknown> = {
  'nothing': {},
  'sizes': { memory: '128MiB', dom0: { memory: '16MiB' }, seed: 7, heapBytes: 8388608, iommuFrames: 64 },
  'an IOMMU': { iommu: 'vtd', xen: 'iommu=no-intremap' },
  'a described IOMMU': { iommu: { kind: 'vtd', iotlb: { entries: 64, ways: 64 } } },
  'flags': { allowUnsafePassthrough: true, xenRevoke: false },
  'pciback': { dom0: { pciback: { hide: '(00:04.0)', passthrough: true, permissive: false, kind: 'netbsd' } } },
  'a device': { devices: [device] },
  'places': { devices: [{
    ...device, link: 'loopback', bars: { 0: '0xfe640000', 1: '0xd2c0' }, rom: { size: '256KiB', address: '0xfe500000' }, gsi: 20,
    irq: 20, interruptLine: 10,
  }] },
  'reserved memory': { devices: [device], reserved: [{ address: '0x100000', size: '16KiB', devices: ['00:04.0'] }] },
  'a wire': { devices: [{ ...device, link: { wire: '00:05.0' } }, { model: 'e1000', bdf: '00:05.0' }] },
};

const BAD: Record<string, unknown> = {
  'an unknown field': { colour: 'red' },
  'a size without a unit': { memory: '128' },
  'an owner': { owner: 'vmware' },
  'an IOMMU of another kind': { iommu: 'amd' },
  'a seed that is no number': { seed: -1 },
  'a flag that is a word': { allowUnsafePassthrough: 'yes' },
  'a command line that is a list': { xen: ['iommu=no'] },
  'another pciback': { dom0: { pciback: { kind: 'xenlinux' } } },
  'an unknown field of pciback': { dom0: { pciback: { slots: '(00:04.0)' } } },
  'an unknown field of dom0': { dom0: { vcpus: 4 } },
  'reserved memory for nobody': { reserved: [{ address: '0x100000', size: '16KiB', devices: [] }] },
  'reserved memory without a place': { devices: [device], reserved: [{ size: '16KiB', devices: ['00:04.0'] }] },
  'no address': { devices: [{ ...device, bdf: '4' }] },
  'a device number of 32': { devices: [{ ...device, bdf: '00:20.0' }] },
  'a link that there is not': { devices: [{ ...device, link: 'radio' }] },
  'a BAR that there is not': { devices: [{ ...device, bars: { 6: '0xfe640000' } }] },
  'an address in decimal': { devices: [{ ...device, bars: { 0: '4267966464' } }] },
  'a ROM without a size': { devices: [{ ...device, rom: { address: '0xfe500000' } }] },
  'an interrupt of the board': { devices: [{ ...device, gsi: 8 }] },
  'a number of Linux that is too large': { devices: [{ ...device, irq: 300 }] },
  'an unknown field of a device': { devices: [{ ...device, speed: 10 }] },
};

for (const [name, description] of Object.entries(GOOD)) {
  schema(`both take ${name}`, () => {
    assert.ok(reads(description), 'the reader');
    assert.ok(validate(description), JSON.stringify(validate.errors));
  });
}

for (const [name, description] of Object.entries(BAD)) {
  schema(`neither takes ${name}`, () => {
    assert.not.ok(reads(description), 'the reader');
    assert.not.ok(validate(description), 'the schema');
  });
}

schema.run();
