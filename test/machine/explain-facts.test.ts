// explain on real machines: what it is told of devices, bridges, domains and dumps.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseExplainArgs } from '../../src/xen/explain/arguments';
import { explain } from '../../src/xen/explain/explain';
import type { ExplainFacts } from '../../src/xen/explain/types';
import { explainFacts } from '../../src/machine/explain-facts';
import type { MachineDescription } from '../../src/machine/description';
import { Machine } from '../../src/machine/machine';
import { XenstoreClient } from '../../src/xen/xenstore/client';
import { countStore } from '../../src/xen/xenstore/dump';

async function gathered(description: MachineDescription, work: (machine: Machine) => void = () => undefined): Promise<ExplainFacts> {
  const machine = await Machine.create({ memory: '32MiB', ...description });
  const { xen } = machine;
  work(machine);
  const before = countStore(xen.store.state);
  const facts = explainFacts({
    core: xen.core, pci: xen.pci, hypervisor: machine.hypervisor, store: xen.store, stub: undefined, hasPcifront: () => true,
    dumpOf: (routing) => machine.dumpOf(routing),
  });
  assert.equal(countStore(xen.store.state), before, 'nothing is left in the store');
  return facts;
}

const DEVICES = [{ model: 'e1000', bdf: '00:04.0' }, { model: 'edu', bdf: '00:06.0' }, { model: 'root-port', bdf: '00:0b.0' },
  { model: 'e1000e', bdf: '01:00.0' }, { model: 'edu', bdf: '01:00.1' }];

test('devices and the bridges that lead to them', async () => {
  const { devices, iommu, interruptRemapping, unsafePassthrough } = await gathered({ iommu: 'vtd', devices: DEVICES });
  assert.equal([iommu, interruptRemapping, unsafePassthrough], [true, true, false]);
  assert.equal(devices.map(({ bdf, bridge, bridges }) => [bdf, bridge, bridges]), [
    ['0000:00:00.0', true, []], ['0000:00:04.0', false, []], ['0000:00:06.0', false, []], ['0000:00:0b.0', true, []],
    ['0000:01:00.0', false, ['0000:00:0b.0']], ['0000:01:00.1', false, ['0000:00:0b.0']]]);
  const [, e1000, edu, , e1000e] = devices;
  assert.equal(e1000?.bars.map(({ index, io, size }) => [index, io, size]), [[0, false, 0x20000], [1, true, 64]]);
  assert.equal([e1000?.msix, edu?.msix, e1000e?.msix], [undefined, undefined, { enabled: false, masked: false }]);
  assert.equal([edu?.msi, e1000e?.powered, e1000?.owner], [{ enabled: false }, true, 0]);
  // The root port of the model has no access control services: what is behind it reaches one another.
  assert.equal([e1000e?.peers, e1000e?.aliases, e1000?.peers], [['0000:01:00.1'], [], []]);
});

test('the chain on a real machine, as it changes', async () => {
  const verdict = (facts: ExplainFacts, line: string): unknown => explain(facts, parseExplainArgs(line.split(' '))).decisive;
  const none = await gathered({ devices: DEVICES });
  assert.is(none.iommu, false);
  assert.is(verdict(none, '00:04.0'), 'no-iommu');
  const unit = await gathered({ iommu: 'vtd', devices: DEVICES });
  assert.is(verdict(unit, '00:04.0'), 'not-bound');
  assert.is(verdict(unit, '00:0b.0'), 'bridge');
  assert.is(verdict(unit, '00:1e.0'), 'no-such-device');
  const masked = await gathered({ iommu: 'vtd', devices: DEVICES }, ({ xen }) => {
    xen.pci.config(0x100).write(0xa2, 2, 0x4000);
    new XenstoreClient(xen.store).write('/libxl/pci/0000-00-04-0/domid', '9');
  });
  assert.equal(masked.devices[4]?.msix, { enabled: false, masked: true });
  assert.is(masked.devices[1]?.promisedTo, 9);
});

test('domains: kind, rights, the ends of PCI as the store has them', async () => {
  let domid = 0;
  const facts = await gathered({ devices: DEVICES }, (machine) => {
    domid = machine.createDomain({ name: 'guest', memory: '256KiB' }).domid;
    machine.hypervisor.iomemPermission(domid, 0xfe640, 0x20, true);
    machine.hypervisor.ioportPermission(domid, 0xd2c0, 64, true);
    const tool = new XenstoreClient(machine.xen.store);
    const back = `/local/domain/0/backend/pci/${domid}/0`;
    for (const [name, value] of Object.entries({ num_devs: '2', state: '4', 'dev-0': '0000:00:04.0', 'vdev-0': '0000:00:00.00',
      'dev-1': '0000:00:06.0', 'vdev-1': '0000:00:01.00' })) tool.write(`${back}/${name}`, value);
    tool.write(`/local/domain/${domid}/device/pci/0/state`, '4');
    tool.write(`/local/domain/${domid}/device/pci/0/magic`, '7');
    tool.close();
  });
  const guest = facts.domain('guest');
  assert.is(facts.domain(domid), guest);
  assert.is(facts.domain('nobody'), undefined);
  assert.equal(guest?.pci, { frontState: 4, backState: 4, magic: '7', freeSlots: 30, devices: ['0000:00:04.0', '0000:00:06.0'] });
  assert.equal([guest?.mayMap(0xfe640, 0x20), guest?.mayMap(0xfe640, 0x21), guest?.mayUsePorts(0xd2ff, 1), guest?.mayUsePorts(0xd2ff, 2)],
    [true, false, true, false]);
  assert.is(facts.domain(0)?.pci, undefined);
});

test('a dump does not tell everything, and what it does not tell is unknown', async () => {
  const rows = Array.from({ length: 16 }, (_, i) => `${(16 * i).toString(16).padStart(2, '0')}: ${'00 '.repeat(15)}00`);
  rows[0] = '00: 86 80 0e 10 03 00 00 00 03 00 00 02 00 00 00 00';
  rows[3] = '30: 00 00 00 00 00 00 00 00 00 00 00 00 0b 01 00 00';
  rows[1] = '10: 00 00 64 fe 00 00 00 00 00 00 00 00 00 00 00 00';
  const text = `00:04.0 Ethernet controller: Some NIC (rev 03)\n${rows.join('\n')}\n`;
  const { devices } = await gathered({ iommu: 'vtd', devices: [{ model: 'dump', file: 'nic.txt', text }] });
  const nic = devices[1];
  assert.equal([nic?.bdf, nic?.gsi, nic?.reserved, nic?.bars[0]?.size], ['0000:00:04.0', 'unknown', 'unknown', 'unknown']);
});

test.run();
