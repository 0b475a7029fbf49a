import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MachineDescription } from '../../src/machine/description';
import { Machine } from '../../src/machine/machine';
import { parseExplainArgs } from '../../src/xen/explain/arguments';
import { explain } from '../../src/xen/explain/explain';
import type { DeviceFacts, ExplainFacts } from '../../src/xen/explain/types';
import { plainBridge } from '../helpers/made-up';

const OBSERVED = 'examples/observed-q35.lspci.txt';

async function factsOf(devices: MachineDescription['devices'] = [], text?: string): Promise<ExplainFacts> {
  const machine = await Machine.create({ memory: '32MiB', iommu: 'vtd', devices },
    { models: [plainBridge], readFile: (path) => text ?? readFileSync(path, 'utf8') });
  return machine.xen.explainFacts();
}

function device(facts: ExplainFacts, bdf: string): DeviceFacts {
  const found = facts.devices.find((one) => one.bdf === bdf);
  assert.ok(found, bdf);
  return found as DeviceFacts;
}

test('a device with a model, and dom0\'s driver behind it: all is known', async () => {
  const facts = await factsOf([{ model: 'e1000e', bdf: '00:05.0' }]);
  const { bars, ...rest } = device(facts, '0000:00:05.0');
  assert.equal(bars.map(({ index, io, size }) => [index, io, size]), [[0, false, 0x20000], [1, false, 0x20000], [2, true, 32], [3, false, 0x4000]]);
  assert.equal([rest.bridge, rest.bridges, rest.promisedTo, rest.gsi, rest.reserved, rest.aliases, rest.peers],
    [false, [], undefined, 21, [], [], []]);
  assert.equal([rest.msi, rest.msix, rest.powered, rest.fields], [{ enabled: false }, { enabled: true, masked: false }, true, undefined]);
  assert.equal([facts.iommu, facts.interruptRemapping, facts.unsafePassthrough], [true, true, false]);
});

test('the host bridge and a root port are bridges; what is behind names them', async () => {
  const facts = await factsOf([{ model: 'root-port', bdf: '00:0b.0' }, { model: 'edu', bdf: '01:00.0' }]);
  assert.equal(facts.devices.map(({ bdf, bridge, bridges }) => [bdf, bridge, bridges]),
    [['0000:00:00.0', true, []], ['0000:00:0b.0', true, []], ['0000:01:00.0', false, ['0000:00:0b.0']]]);
});

test('behind a conventional bridge all have one id; functions of one device without access control reach each other', async () => {
  const facts = await factsOf([{ model: 'plain-bridge', bdf: '00:0b.0' }, { model: 'edu', bdf: '01:03.0' }, { model: 'edu', bdf: '01:04.0' },
    { model: 'edu', bdf: '00:06.0' }, { model: 'edu', bdf: '00:06.1' }]);
  assert.equal(device(facts, '0000:01:03.0').aliases, ['0000:01:04.0']);
  assert.equal(device(facts, '0000:00:06.0').aliases, []);
  assert.equal(device(facts, '0000:00:06.0').peers, ['0000:00:06.1']);
});

test('a dump: reserved memory is unknown, a line as far as the file tells, the rest is there', async () => {
  const facts = await factsOf([{ model: 'dump', file: OBSERVED }]);
  const nvme = device(facts, '0000:00:08.0');
  assert.equal([nvme.gsi, nvme.reserved, nvme.resettable, nvme.aliases, nvme.peers, nvme.msix],
    [16, 'unknown', true, [], [], { enabled: false, masked: false }]);
  // without an unknown that refuses, what is not known decides
  const { verdict, decisive, checks } = explain({ ...facts, devices: facts.devices.map((one) => ({ ...one, driver: 'pciback' })) },
    parseExplainArgs(['00:08.0']));
  assert.equal([verdict, decisive], ['unknown', 'reserved-memory-region']);
  assert.is(checks.find(({ outcome }) => outcome === 'refused'), undefined);
});

test('a dump without capabilities, sizes and text: none of it is fine', async () => {
  const bytes = new Uint8Array(64);
  bytes.set([0x86, 0x80, 0xd3, 0x10, 7, 0, 0x10, 0, 0, 0, 0, 2]);
  bytes.set([0, 0x80, 0x6c, 0xfe], 0x10);
  bytes[0x3d] = 1;
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  const text = ['00:03.0 Device', ...[0, 16, 32, 48].map((off) => `${hex(off)}: ${[...bytes.slice(off, off + 16)].map(hex).join(' ')}`)].join('\n');
  const short = device(await factsOf([{ model: 'dump', file: 'x' }], text), '0000:00:03.0');
  assert.equal([short.resettable, short.gsi, short.reserved, short.capabilities, short.msi, short.msix, short.powered, short.bars[0]?.size],
    new Array(8).fill('unknown'));
});

test('of a dump, the IOMMU group tells who is with whom', async () => {
  const grouped = readFileSync(OBSERVED, 'utf8').replace(/^(00:0[78]\.0 .*)$/gm, '$1\n\tIOMMU group: 9');
  const facts = await factsOf([{ model: 'dump', file: 'x' }], grouped);
  assert.equal(device(facts, '0000:00:07.0').peers, ['0000:00:08.0']);
  assert.equal(device(facts, '0000:00:09.0').peers, []);
});

test.run();
