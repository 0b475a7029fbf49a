// lspci and setpci on what is there: the first domain's real functions, and a guest's through its front end.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { controlParts, type ControlledSystem } from '../../src/machine/controlled';
import { MachineControl } from '../../src/machine/control';
import { Machine } from '../../src/machine/machine';
import { PortcullisError } from '../../src/errors';
import type { Task } from '../../src/xen/schedule/scheduler';
import type { XlResult } from '../../src/xen/toolstack/types';
import { AROUND } from '../helpers/fake-control';
import { PciSplit } from '../helpers/pci-split';

function* noXl(): Task<XlResult> {
  return { code: 0, stdout: '', stderr: '' };
}

async function running(): Promise<{ control: MachineControl; machine: Machine; split: PciSplit }> {
  const machine = await Machine.create({ memory: '32MiB', devices: [{ model: 'e1000', bdf: '00:04.0' }, { model: 'edu', bdf: '00:06.0' }] });
  const { xen } = machine;
  const split = await PciSplit.create();
  split.connect();
  const system: ControlledSystem = {
    scheduler: split.scheduler, sysfs: xen.sysfs, core: xen.core, pci: xen.pci, xl: { run: noXl },
    domains: () => [machine.dom0, split.domain],
    pcifront: (domid) => (domid === split.domid ? split.pcifront : undefined),
    kernel: { log: ['pciback: one', 'e1000: two'] },
    explainFacts: () => ({ iommu: false, interruptRemapping: false, unsafePassthrough: false, devices: [], domain: () => undefined }),
  };
  const names = new Map(machine.listed().map(({ routing, name }) => [routing, name]));
  const parts = controlParts({
    system, nameOf: (routing) => names.get(routing), digest: () => machine.digest(),
  });
  return { control: new MachineControl(parts, { around: AROUND }), machine, split };
}

test('lspci of the first domain: names, sizes, interrupts', async () => {
  const { control } = await running();
  const ask = async (params: object): Promise<string> => (await control.request('lspci', params).result as { text: string }).text;
  assert.is(await ask({}), [
    '00:00.0 Host bridge [0600]: Intel Corporation 82G33/G31/P35/P31 Express DRAM Controller [8086:29c0] (rev 02)',
    '00:04.0 Ethernet controller [0200]: Intel Corporation 82540EM Gigabit Ethernet Controller [8086:100e] (rev 03)',
    '00:06.0 Unclassified device [00ff]: Device [1234:11e8] (rev 10)', ''].join('\n'));
  const text = await ask({ slot: '00:04.0', verbose: 2 });
  assert.match(text, /\tRegion 0: Memory at [0-9a-f]{8} \(32-bit, non-prefetchable\) \[size=128K\]\n\tRegion 1: I\/O ports at [0-9a-f]{4} \[size=64\]\n/);
  assert.match(text, '\tInterrupt: pin A routed to IRQ 20\n');
  await control.close();
});

test('lspci of a guest: what its front end reads, by the names of the host', async () => {
  const { control, split } = await running();
  const reads = split.pcifront?.reads ?? 0;
  const { text } = await control.request('lspci', { domain: 'a', verbose: 2 }).result as { text: string };
  assert.match(text, /^00:00\.0 Ethernet controller \[0200\]: Intel Corporation 82540EM Gigabit Ethernet Controller \[8086:100e\]\n/);
  assert.match(text, '\tRegion 0: Memory at fe640000 (32-bit, non-prefetchable) [size=128K]\n');
  assert.match(text, '\tExpansion ROM at fe540000 [disabled] [size=256K]\n');
  assert.match(text, /\n00:01\.0 Unclassified device \[00ff\]: Device \[1234:11e8\]\n/);
  assert.ok((split.pcifront?.reads ?? 0) > reads);
  assert.is((await control.request('lspci', { domain: String(split.domid) }).result as { text: string }).text.split('\n').length, 3);
  await control.close();
});

test('setpci of a guest: values, and the back end\'s codes', async () => {
  const { control, split } = await running();
  const device = split.stub.seized[0];
  assert.ok(device);
  const ask = async (slot: string, ...operations: string[]): Promise<unknown> =>
    (await control.request('setpci', { domain: 'a', slot, operations }).result as Array<{ value?: number; code: number }>)
      .map(({ value, code }) => [value, code]);
  assert.equal(await ask('00:00.0', 'VENDOR_ID', 'COMMAND=107', 'COMMAND'), [[0x8086, 0], [undefined, 0], [0x107, 0]]);
  assert.is(device.config.getUint16(4, true), 0x107);
  device.onWrite = () => ({ err: -3, value: 0 });
  assert.equal(await ask('00:00.0', '40.w=1', '5.w'), [[undefined, 0x88], [undefined, 0x87]]);
  assert.equal(await ask('00:1f.0', '0.l'), [[undefined, 0x86]]);
  await control.close();
});

test('setpci of the first domain', async () => {
  const { control, machine } = await running();
  const ask = async (...operations: string[]): Promise<unknown> =>
    (await control.request('setpci', { slot: '00:06.0', operations }).result as Array<{ value?: number; code: number }>)
      .map(({ value, code }) => [value, code]);
  assert.equal(await ask('DEVICE_ID', 'COMMAND=4:4', '4.b'), [[0x11e8, 0], [undefined, 0], [0x07, 0]]);
  assert.is(machine.xen.pci.config(0x30).read(4, 2) & 4, 4);
  assert.equal(await ask('5.w', '100.l', 'fe.l', '100.w=1'), [[undefined, 0x87], [undefined, 0x87], [undefined, 0x87], [undefined, 0x87]]);
  await control.close();
});

test('domains that are not there, or have no front end; explain and status', async () => {
  const { control, split } = await running();
  const code = async (domain: string): Promise<string> =>
    control.request('lspci', { domain }).result.then(() => 'served', (error: PortcullisError) => error.code);
  assert.equal([await code('nobody'), await code('7'), await code('0')], ['NO_DOMAIN', 'NO_DOMAIN', 'NO_PCIFRONT']);
  assert.equal(await control.request('dmesg', {}).result, { text: 'pciback: one\ne1000: two\n' });
  const answer = await control.request('explain', { args: ['00:1e.0'] }).result as { text: string; ok: boolean; document: { verdict: string } };
  assert.is(answer.ok, false);
  assert.is(answer.document.verdict, 'refused');
  assert.match(answer.text, 'there is no device 0000:00:1e.0');
  const status = await control.request('status').result as { domains: unknown; devices: unknown };
  assert.equal(status.domains, [{ domid: 0, name: 'Domain-0', kind: 'pv' }, { domid: split.domid, name: 'a', kind: split.domain.kind }]);
  assert.equal(status.devices, [{ bdf: '0000:00:00.0', driver: null }, { bdf: '0000:00:04.0', driver: 'e1000' },
    { bdf: '0000:00:06.0', driver: null }]);
  await control.close();
});

test.run();
