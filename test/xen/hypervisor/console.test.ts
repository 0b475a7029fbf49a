// What the hypervisor says: xen-observed.md 8 and 9, xen-passthrough.md 7.7; what it stops: 7.6.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../../src/machine/machine';
import { parseXenCommandLine } from '../../../src/xen/hypervisor/command-line';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import { DOM_IO, EDU, EXPRESS, NIC, controlPlane } from '../../helpers/control-plane';
import { codeOf } from '../../helpers/guest-machine';

const line = suite('the command line');

const DEFAULTS = { iommu: true, required: false, interruptRemapping: true, quarantine: 'basic', dom0Mode: 'relaxed' };

line('what each word says', () => {
  const cases: Array<[text: string, differs: object]> = [
    ['', {}], ['console=vga dom0_mem=1G', {}], ['iommu', {}], ['iommu=1', {}], ['iommu=off', { iommu: false }], ['iommu=no', { iommu: false }],
    ['iommu=force', { required: true }], ['iommu=required', { required: true }], ['iommu=on,no-intremap', { interruptRemapping: false }],
    ['iommu=intremap=0', { interruptRemapping: false }], ['iommu=quarantine', {}], ['iommu=quarantine=no', { quarantine: 'off' }],
    ['iommu=no-quarantine', { quarantine: 'off' }], ['iommu=quarantine=scratch-page', { quarantine: 'scratch-page' }],
    ['iommu=dom0-passthrough', { dom0Mode: 'passthrough' }], ['iommu=dom0-strict', { dom0Mode: 'strict' }],
    ['dom0-iommu=passthrough', { dom0Mode: 'passthrough' }], ['dom0-iommu=strict', { dom0Mode: 'strict' }],
    ['dom0-iommu=strict,no-strict', {}], ['dom0-iommu=no-strict', {}], ['dom0-iommu=map-reserved=no,none', {}],
    ['iommu=verbose,debug,sharept,superpages,intpost,snoop,qinval,igfx,crash-disable,amd-iommu-perdev-intremap', {}],
    ['iommu=off iommu=on', {}],
  ];
  for (const [text, differs] of cases) {
    assert.equal(parseXenCommandLine(text), { options: { ...DEFAULTS, ...differs }, problems: [] }, text);
  }
});

line('words that nobody knows are said, and change nothing', async () => {
  for (const [text, word] of [['iommu=foo', 'foo'], ['iommu=quarantine=maybe', 'quarantine=maybe'], ['dom0-iommu=stict', 'stict'],
    ['iommu=force=perhaps', 'force=perhaps'], ['iommu=', ''], ['iommu=__proto__', '__proto__'], ['iommu=quarantine=constructor', 'quarantine=constructor']]) {
    const { options, problems } = parseXenCommandLine(text as string);
    assert.equal(options, DEFAULTS, text);
    assert.is(problems.length, 1, text);
    assert.ok(problems[0]?.includes(`"${word}"`), text);
  }
  const { hypervisor } = await controlPlane({ commandLine: 'iommu=foo' });
  assert.match(hypervisor.console[0] as string, /^\(XEN\) .*"foo"/);
});

line('the boot lines', async () => {
  for (const [commandLine, lines] of [
    ['', ['(XEN) I/O virtualisation enabled', '(XEN)  - Dom0 mode: Relaxed', '(XEN) Interrupt remapping enabled']],
    ['dom0-iommu=strict', ['(XEN) I/O virtualisation enabled', '(XEN)  - Dom0 mode: Strict', '(XEN) Interrupt remapping enabled']],
    ['dom0-iommu=passthrough', ['(XEN) I/O virtualisation enabled', '(XEN)  - Dom0 mode: Passthrough', '(XEN) Interrupt remapping enabled']],
    ['iommu=no-intremap', ['(XEN) I/O virtualisation enabled', '(XEN)  - Dom0 mode: Relaxed', '(XEN) Interrupt remapping disabled']],
    ['iommu=off', ['(XEN) I/O virtualisation disabled']],
  ] as const) assert.equal((await controlPlane({ commandLine })).hypervisor.console, [...lines], commandLine);
  assert.equal((await controlPlane({}, 'none')).hypervisor.console, ['(XEN) I/O virtualisation disabled']);
  assert.is(await controlPlane({ commandLine: 'iommu=force' }, 'none').catch(({ code }) => code as string), 'IOMMU_REQUIRED');
  assert.is(await controlPlane({ msiIrqBase: 3 }).catch(({ code }) => code as string), 'BAD_OPTION');
});

line('iommu=off: the unit lets all pass, and nothing is given away', async () => {
  const { hypervisor, domctl, guest, dma, refused } = await controlPlane({ commandLine: 'iommu=off' });
  assert.is(hypervisor.iommu, undefined);
  assert.is(domctl.physinfo().directio, false);
  refused(() => domctl.assignDevice(guest.domid, EDU), 'EOPNOTSUPP');
  assert.is(dma(EDU, (guest.p2m[3] as number) * 4096), 0);
});

line.run();

const faults = suite('faults');

faults('are told as observed, with the way through the tables', async () => {
  const { hypervisor, domctl, guest, dma, machine } = await controlPlane();
  domctl.assignDevice(guest.domid, EDU);
  const foreign = hypervisor.domain(0).p2m[9] as number;
  const hex = (value: number): string => value.toString(16);
  hypervisor.console.length = 0;
  assert.is(dma(EDU, foreign * 4096 + 8), 3);
  machine.run();
  const lines = [...hypervisor.console];
  assert.equal(lines.slice(0, 3), [
    `(XEN) [VT-D]DMAR:[DMA Write] Request device fault addr ${hex(foreign * 4096)}`,
    '(XEN) [VT-D]DMAR: reason 05 - PTE Write access is not set',
    `(XEN) print_vtd_entries: iommu #0 dev 0000:00:06.0 gmfn ${hex(foreign)}`,
  ]);
  assert.match(lines[3] as string, /^\(XEN\) {5}root_entry = [0-9a-f]+001 \/ context = 202_[0-9a-f]+001 \/ l4 = [0-9a-f]+003 rw \/ l3 = [0-9a-f]+003 rw \/ l2/);
  assert.match(lines[3] as string, / = 0 --$/);
  assert.is(lines.length, 4);
  const fn = machine.functionOf('0000:00:06.0');
  machine.engine.exports.functionDmaRead(fn, foreign * 4096, 0, 4, machine.engine.heap.take(64, 'the test'));
  machine.run();
  assert.equal(hypervisor.console.slice(4, 6), [
    `(XEN) [VT-D]DMAR:[DMA Read] Request device fault addr ${hex(foreign * 4096)}`,
    '(XEN) [VT-D]DMAR: reason 06 - PTE Read access is not set',
  ]);
  domctl.assignDevice(DOM_IO, NIC);
  dma(NIC, 0x5000);
  machine.run();
  assert.match(hypervisor.console.at(-1) as string, /^\(XEN\) {5}root_entry = [0-9a-f]+001 \/ context = 0_0$/);
});

faults('ten of them, and the device may send nothing more; a pause halves the count; a new owner begins anew', async () => {
  const { hypervisor, domctl, guest, dma, machine, config } = await controlPlane();
  domctl.assignDevice(guest.domid, EDU);
  const fault = (count: number): void => {
    for (let i = 0; i < count; i++) {
      dma(EDU, 0x5000);
      machine.run();
    }
  };
  const master = (): boolean => (config(EDU, 4, 2) & 4) !== 0;
  fault(9);
  assert.is(master(), true);
  machine.run(11e6);
  fault(5);
  assert.is(master(), true, '4 and 5');
  fault(1);
  assert.is(master(), false, '10');
  fault(1);
  assert.is(master(), false, 'whoever sets it again');
  assert.ok(hypervisor.console.some((one) => one.includes('0000:00:06.0') && one.includes('Bus Master')));
  domctl.deassignDevice(guest.domid, EDU);
  domctl.assignDevice(guest.domid, EDU);
  fault(9);
  assert.is(master(), true);
});

faults('however many there are, the log stays bounded and other lines in it', async () => {
  const { hypervisor, domctl, guest, dma, machine } = await controlPlane();
  domctl.assignDevice(guest.domid, EDU);
  for (let i = 0; i < 3000; i++) {
    dma(EDU, 0x5000);
    hypervisor.collectFaults();
  }
  assert.ok(hypervisor.console.length < 60, String(hypervisor.console.length));
  assert.is(hypervisor.console[0], '(XEN) I/O virtualisation enabled');
  machine.run(6e9);
  dma(EDU, 0x7000);
  hypervisor.collectFaults();
  assert.ok(hypervisor.console.some((one) => one.endsWith('fault addr 7000')), 'and later they are told again');
  for (let i = 0; i < 3000; i++) hypervisor.print(`line ${i}`);
  assert.is(hypervisor.console.length, 1024);
  assert.is(hypervisor.console.at(-1), '(XEN) line 2999');
  const guests = new Domctl(hypervisor, 0);
  const before = hypervisor.console.at(-1);
  for (let i = 0; i < 3000; i++) codeOf(() => guests.testAssignDevice(0x99));
  assert.is(hypervisor.console.includes(before as string), true);
});

faults('a machine whose control plane has not booted keeps its faults for who looks', async () => {
  const { hypervisor, machine, domctl, guest, dma } = await controlPlane('raw');
  domctl.assignDevice(guest.domid, EDU);
  assert.is(hypervisor.ownerOf(EDU), guest.domid);
  for (let i = 0; i < 12; i++) dma(EDU, 0x5000);
  machine.run();
  assert.is(hypervisor.iommu?.takeFaults().length, 8);
  assert.equal(hypervisor.console, []);
  domctl.deassignDevice(guest.domid, EDU);
  assert.is(hypervisor.ownerOf(EDU), 0);
});

faults.run();

const keys = suite('debug keys');

keys('q, e, i, M: the range sets and bindings of xen-observed.md 8', async () => {
  const { hypervisor, domctl, physdev, guest, configWrite } = await controlPlane({ msiIrqBase: 38 });
  domctl.iomemPermission(guest.domid, 0xfe400, 0x140, true);
  domctl.iomemPermission(guest.domid, 0xfe640, 0x20, true);
  domctl.ioportPermission(guest.domid, 0xd2c0, 0x40, true);
  physdev.mapPirq({ domid: guest.domid, type: 'gsi', index: 20, pirq: 20 });
  physdev.mapPirq({ domid: guest.domid, type: 'gsi', index: 22, pirq: 22 });
  const q = hypervisor.debugKeys('q');
  const at = q.indexOf(`(XEN) Rangesets belonging to domain ${guest.domid}:`);
  assert.equal(q.slice(at + 1, at + 4), [
    '(XEN)     Interrupts { 20, 22 }', '(XEN)     I/O Memory { fe400-fe53f, fe640-fe65f }', '(XEN)     I/O Ports  { d2c0-d2ff }',
  ]);
  assert.ok(q.includes('(XEN)     Interrupts { }'), 'the other guest has none');
  const far = hypervisor.events.allocUnbound(0, { remoteDom: guest.domid });
  const port = hypervisor.events.bindInterdomain(guest.domid, 0, far);
  hypervisor.events.bindPirq(0, 20, 1);
  const mine = hypervisor.events.bindPirq(guest.domid, 20, 1);
  domctl.assignDevice(guest.domid, EDU);
  const pirq = physdev.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing: EDU });
  const message = hypervisor.events.bindPirq(guest.domid, pirq, 0);
  assert.ok(hypervisor.debugKeys('q').includes('(XEN)     Interrupts { 20, 22, 38 }'));
  const e = hypervisor.debugKeys('e');
  const section = e.slice(e.indexOf(`(XEN) Event channel information for domain ${guest.domid}:`));
  assert.match(section.find((one) => one.startsWith(`(XEN) ${String(port).padStart(8)} `)) as string, `s=3 n=0 x=0 d=0 p=${far}`);
  assert.match(section.find((one) => one.startsWith(`(XEN) ${String(mine).padStart(8)} `)) as string, 's=4 n=0 x=0 p=20 i=20');
  assert.match(section.find((one) => one.startsWith(`(XEN) ${String(message).padStart(8)} `)) as string, 's=4 n=0 x=0 p=55 i=38');
  const i = hypervisor.debugKeys('i');
  assert.ok(i.some((one) => one.includes(`IRQ:  20 `) && one.endsWith(`d0: 20(---),d${guest.domid}: 20(---)`)), i.join('\n'));
  assert.ok(i.some((one) => one.includes(`IRQ:  38 `) && one.endsWith(`d${guest.domid}: 55(---)`)), i.join('\n'));
  domctl.assignDevice(DOM_IO, EXPRESS);
  configWrite(EXPRESS, 4, 2, 2);
  physdev.prepareMsix(EXPRESS);
  domctl.assignDevice(guest.domid, EXPRESS);
  physdev.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing: EXPRESS, entry: 3, tableBase: 1 });
  const m = hypervisor.debugKeys('M').slice(2);
  assert.match(m[0] as string, /^\(XEN\)  MSI +38 vec=30 .*mask=0 dev=0000:00:06\.0/);
  assert.match(m[1] as string, /^\(XEN\)  MSI-X +39 vec=31 .*mask=1 dev=0000:00:05\.0 entry=3/);
  assert.is(hypervisor.console.at(-1), m[1]);
  for (const key of ['x', '', 'constructor', 'qq']) assert.is(codeOf(() => hypervisor.debugKeys(key)), 'EINVAL', key);
});

keys.run();

const snapshots = suite('snapshots');

snapshots('numbers, owners, messages, records, options and the log go on', async () => {
  const { hypervisor, domctl, physdev, guest, machine, configWrite } = await controlPlane({ msiIrqBase: 40, commandLine: 'iommu=quarantine=scratch-page' });
  configWrite(EXPRESS, 4, 2, 2);
  physdev.prepareMsix(EXPRESS);
  domctl.assignDevice(DOM_IO, NIC);
  domctl.assignDevice(guest.domid, EXPRESS);
  physdev.mapPirq({ domid: guest.domid, type: 'gsi', index: 20, pirq: 19 });
  const pirq = physdev.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing: EXPRESS, entry: 0, tableBase: 1 });
  domctl.shutdownDomain(guest.domid, 'reboot');
  const saved = machine.save();
  const again = await Machine.restore({ ...saved, document: JSON.parse(JSON.stringify(saved.document)) as typeof saved.document });
  assert.equal(again.digest(), machine.digest());
  assert.equal(again.hypervisor.console, hypervisor.console);
  assert.equal(again.save().document.hypervisor, saved.document.hypervisor);
  const control = new Domctl(again.hypervisor, 0);
  assert.equal([again.hypervisor.ownerOf(NIC), again.hypervisor.ownerOf(EXPRESS), again.hypervisor.ownerOf(EDU)], [DOM_IO, guest.domid, 0]);
  assert.equal([control.info(guest.domid).shutdown, control.info(guest.domid).paused], ['reboot', true]);
  const there = again.hypervisor.domain(guest.domid);
  assert.is(again.hypervisor.pirqs.irqOf(there, pirq), 40);
  const port = again.hypervisor.events.bindPirq(guest.domid, pirq, 0);
  assert.is(again.engine.exports.registerRead(again.functionOf('0000:00:05.0'), 3, 12, 4), 0, 'unmasked by the binding');
  again.hypervisor.events.close(guest.domid, port);
  control.destroyDomain(guest.domid);
  assert.is(again.hypervisor.ownerOf(EXPRESS), DOM_IO);
});

snapshots.run();
