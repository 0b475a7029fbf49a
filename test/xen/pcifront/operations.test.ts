// A guest's operations: codes, interrupts, who waits for whom (xen-passthrough.md 1.3, 1.4).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { E1000, EDU, type FakeDevice, type FakeSpec, PciSplit } from '../../helpers/pci-split';

type Front = NonNullable<PciSplit['pcifront']>;

async function connected(devices?: readonly FakeSpec[]): Promise<{ split: PciSplit; front: Front; edu: FakeDevice }> {
  const split = await PciSplit.create(devices === undefined ? {} : { devices });
  split.connect();
  return { split, front: split.pcifront as Front, edu: split.stub.seized[1] as FakeDevice };
}

const EDU_AT = 0x08;

const ops = suite('operations');

ops('what the back end answers, as a PCIBIOS code', async () => {
  const { front, edu } = await connected();
  const codes = [[0, 0], [-1, 0x86], [-2, 0x87], [-3, 0x88], [-4, 0x81], [-5, 0x87], [-22, -22], [-19, -19]] as const;
  for (const [err, code] of codes) {
    edu.onWrite = () => ({ err, value: 0 });
    assert.is(front.writeConfig(EDU_AT, 4, 2, 1).code, code);
  }
});

ops('an absent function, an access that is none, and one that is not cut to its size', async () => {
  const { front, edu } = await connected();
  assert.equal(front.readConfig(0x10, 0, 4), { code: 0x86, value: 0xffffffff });
  for (const [off, size] of [[1, 2], [2, 4], [0, 3], [0, 0], [0, 8], [0, -1], [4096, 1]] as const) {
    assert.is(front.readConfig(EDU_AT, off, size).code, 0x87);
    assert.is(front.writeConfig(EDU_AT, off, size, 0).code, 0x87);
  }
  edu.configRead = () => ({ err: 0, value: 0xfe660007 });
  assert.equal(front.readConfig(EDU_AT, 4, 1), { code: 0, value: 0xfe660007 });
  assert.equal(([1, 2, 4] as const).map((width) => front.config(EDU_AT).read(4, width)), [7, 7, 0xfe660007]);
});

ops('MSI and MSI-X: pirqs, refusals, fewer than wanted', async () => {
  const { front, edu } = await connected();
  assert.is(front.enableMsi(EDU_AT), 55);
  front.disableMsi(EDU_AT);
  edu.msix = { err: 0, value: 0, pirqs: [55, 54, 53] };
  assert.equal(front.enableMsix(EDU_AT, [0, 2, 1]), [55, 54, 53]);
  front.disableMsix(EDU_AT);
  assert.equal(edu.ops.slice(-4), ['enable msi', 'disable msi', 'enable msix 0,2,1', 'disable msix']);
  const refused = (call: () => unknown): unknown => {
    try {
      return call();
    } catch (error) {
      return (error as { fields: Record<string, unknown> }).fields;
    }
  };
  for (const value of [0, 0x80000000, 0xffffffff]) {
    edu.msi = { err: 0, value };
    assert.equal(refused(() => front.enableMsi(EDU_AT)), { routing: EDU_AT, err: -22 });
  }
  edu.msi = { err: -5, value: 0 };
  assert.equal(refused(() => front.enableMsi(EDU_AT)), { routing: EDU_AT, err: -5 });
  edu.msix = { err: 0, value: 2, pirqs: [] };
  assert.equal(refused(() => front.enableMsix(EDU_AT, [0, 1, 2])), { routing: EDU_AT, available: 2 });
  edu.msix = { err: 0, value: 0, pirqs: [55, 0] };
  assert.equal(refused(() => front.enableMsix(EDU_AT, [0, 1])), { routing: EDU_AT, err: -22 });
  const before = edu.ops.length;
  assert.equal(refused(() => front.enableMsix(EDU_AT, Array.from({ length: 129 }, (_, i) => i))), { routing: EDU_AT, err: -22 });
  assert.is(edu.ops.length, before);
});

ops('drivers use config space while they are bound and while they go', async () => {
  const split = await PciSplit.create();
  split.record();
  split.addFirst('0000:00:04.0');
  split.addBeforeStart(1, '0000:00:06.0');
  split.boot();
  const front = split.pcifront as Front;
  const states: string[] = [];
  front.onDevice = ({ routing }) => {
    front.config(routing).write(4, 2, 0x107);
    states.push(`bound ${split.state('F')}`);
  };
  front.onDeviceGone = ({ routing }) => {
    const command = front.config(routing).read(4, 2);
    front.config(routing).write(4, 2, command & ~4);
    states.push(`gone ${split.state('F')}`);
  };
  split.scheduler.settle();
  assert.equal(states, ['bound 3', 'bound 3']);
  const e1000 = split.stub.seized[0] as FakeDevice;
  assert.is(e1000.config.getUint16(4, true), 0x107);
  split.unplug(0);
  split.scheduler.settle();
  assert.is(e1000.config.getUint16(4, true), 0x103);
  assert.equal(states.slice(2), ['gone 4']);
});

ops('two operations at a time: one that comes in while another waits', async () => {
  const { split, front, edu } = await connected();
  let nested: number | undefined;
  const dom0 = split.dom0;
  const link = split.backend?.exports[0]?.link as NonNullable<NonNullable<PciSplit['backend']>['exports'][number]['link']>;
  const server = split.backend?.exports[0]?.server as NonNullable<NonNullable<PciSplit['backend']>['exports'][number]['server']>;
  // the back end takes a second to answer; meanwhile the kernel of the guest asks too
  dom0.onEvent(link.port, () => {
    split.scheduler.spawn('slow', 0, (function* slow() {
      yield { timeout: 1e9 };
      server.handle();
    })());
  });
  split.domU.schedule(() => { nested = front.readConfig(0, 0, 4).value; });
  assert.is(front.readConfig(EDU_AT, 0, 4).value, 0x11e81234);
  split.scheduler.settle();
  assert.is(nested, 0x100e8086);
  assert.is(edu.ops.at(-1), 'r 0/4');
});

ops('the domain is destroyed while its kernel waits for an answer', async () => {
  const split = await PciSplit.create({ back: 'silent' });
  const before = split.machine.hypervisor.domains.length;
  split.record();
  split.addFirst('0000:00:04.0');
  split.boot();
  split.scheduler.spawn('axe', 0, (function* axe() {
    yield { timeout: 3e9 };
    split.destroy();
  })());
  split.scheduler.pass(600e9);
  assert.is(split.machine.hypervisor.domains.length, before - 1);
  assert.equal(split.machine.hypervisor.grants.mapped(split.machine.dom0), []);
});

ops('the moment of being connected was missed', async () => {
  const split = await PciSplit.create();
  split.record();
  split.addFirst('0000:00:04.0');
  split.boot();
  // the toolstack adds another as soon as the back end says 4
  split.scheduler.spawn('quick', 0, (function* quick() {
    yield { until: () => split.state('B') === '4' };
    split.plug(1, '0000:00:06.0');
  })());
  split.scheduler.settle();
  assert.is(`${split.state('B')}${split.state('F')}`, '44');
  assert.equal(split.pcifront?.devices.map(({ name }) => name), ['0000:00:00.0', '0000:00:01.0']);
});

ops('a root list that is missing or broken', async () => {
  for (const [key, value, state, error] of [
    ['root_num', undefined, '4', '2 No PCI Roots found, trying 0000:00'],
    ['root_num', 'x', '6', '22 Error reading number of PCI roots'],
    ['root_num', '5000', '6', '22 Error reading number of PCI roots'], ['root-0', undefined, '6', '22 Error reading PCI root 0'],
    ['root-0', '0001:00', '6', '22 Error scanning PCI root 0001:00'],
  ] as const) {
    const split = await PciSplit.create();
    split.record();
    split.addFirst('0000:00:04.0');
    split.scheduler.settle();
    if (value === undefined) split.tool.rm(`${split.back}/${key}`);
    else split.tool.write(`${split.back}/${key}`, value);
    split.boot();
    split.scheduler.settle();
    assert.is(split.state('F'), state, `${key} ${value}`);
    assert.is(split.read(`/local/domain/${split.domid}/error/device/pci/0/error`), error);
    assert.is(split.pages.length, state === '4' ? 1 : 0);
  }
});

ops('functions of one slot, without a first one, and behind one that says there are more', async () => {
  const devices = [{ ...E1000, routing: 0x22 }, { ...EDU, multi: true }, { ...EDU, routing: 0x31 }];
  const split = await PciSplit.create({ devices });
  split.record();
  split.addFirst('0000:00:04.2');
  split.scheduler.settle();
  for (const [index, name] of [[1, '0000:00:06.0'], [2, '0000:00:06.1']] as const) {
    split.addBeforeStart(index, name);
    split.scheduler.settle();
  }
  split.boot();
  split.scheduler.settle();
  assert.equal(split.pcifront?.devices.map(({ name }) => name), ['0000:00:00.2', '0000:00:01.0', '0000:00:01.1']);
});

ops('a 64-bit address register, and one above 4 GiB', async () => {
  const bars = {
    0: { value: 0x0000000c, mask: 0xffffc00c }, 1: { value: 0x38, mask: 0xffffffff },
    2: { value: 0x0000000c, mask: 0x0000000c }, 3: { value: 0x40, mask: 0xfffffffc },
  };
  const { front } = await connected([{ ...E1000, bars }, EDU]);
  assert.equal(front.devices[0]?.resources.slice(0, 4).map(({ start, end }) => [start, end]), [
    [0x38_0000_0000, 0x38_0000_3fff], [0, 0], [0x40_0000_0000, 0x43_ffff_ffff], [0, 0]]);
});

ops.run();
