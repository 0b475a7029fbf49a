// What a PV guest can reach with the rights that it has: xen-passthrough.md 7.3, 7.4, and XSA-461's neighbours.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine, defineDevice } from '../../../src/index';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import { EDU, EXPRESS, NIC, controlPlane } from '../../helpers/control-plane';
import { codeOf } from '../../helpers/guest-machine';

const [SELF, IO] = [0x7ff0, 0x7ff1];

const mappings = suite('leaves of page tables');

mappings('the errno of each frame, as its own and under each name', async () => {
  const { hypervisor, guest, plain, domctl, barFrame, refused, machine } = await controlPlane();
  const bar = barFrame(EDU);
  const id = guest.domid;
  const map = (mfn: number, foreign?: number): void => (foreign === undefined ? hypervisor.updateVaMapping(id, 0x80000, mfn, true)
    : hypervisor.updateVaMappingOther(id, 0x80000, mfn, true, foreign));
  const cases: Array<[what: string, mfn: number, foreign: number | undefined, code: string]> = [
    ['I/O memory without the right', bar, undefined, 'EPERM'],
    ['the same under DOMID_IO', bar, IO, 'EPERM'],
    ['the same under another\'s name', bar, 0, 'EPERM'],
    ['one\'s own number', bar, id, 'ESRCH'],
    ['all ones of this machine', 0xfffffff, undefined, 'EINVAL'],
    ['all ones of an entry', 0xffffffffff, undefined, 'EINVAL'],
    ['all ones under DOMID_IO', 0xffffffffff, IO, 'EINVAL'],
    ['beyond the machine', 0x10000001, undefined, 'EPERM'],
    ['the IOMMU', 0xfed90, undefined, 'EPERM'],
    ['the interrupt window', 0xfee00, undefined, 'EPERM'],
    ['the enhanced config space', 0xe0030, undefined, 'EPERM'],
    ['another\'s RAM', plain.p2m[3] as number, undefined, 'EPERM'],
    ['its own RAM as I/O memory', guest.p2m[3] as number, IO, 'EPERM'],
    ['another\'s RAM as I/O memory', plain.p2m[3] as number, IO, 'EPERM'],
  ];
  for (const [what, mfn, foreign, code] of cases) refused(() => map(mfn, foreign), code, what);
  domctl.iomemPermission(id, bar, 1, true);
  for (const foreign of [undefined, SELF, IO]) {
    map(bar, foreign);
    assert.is(machine.engine.exports.guestLoad(guest.slot, 0x80000000, 0, 4), 0x010000ed);
    hypervisor.unmapVa(id, 0x80000);
  }
  refused(() => map(bar + 1), 'EPERM', 'the next frame');
  // dom0 for a guest: both need the right
  const dom0 = (foreign: number): void => hypervisor.updateVaMappingOther(0, 0x80000, bar, true, foreign);
  refused(() => dom0(plain.domid), 'EPERM', 'dom0 has it, the other not');
  dom0(id);
});

mappings('a right that is taken leaves mappings that there are; unmapIoMemory counts and takes them', async () => {
  const { hypervisor, guest, domctl, barFrame, machine } = await controlPlane();
  const bar = barFrame(EDU);
  domctl.iomemPermission(guest.domid, bar, 2, true);
  for (const page of [0x80000, 0x80001, 0x90000]) hypervisor.updateVaMapping(guest.domid, page, bar, true);
  hypervisor.updateVaMapping(guest.domid, 0x90001, bar + 1, false);
  domctl.iomemPermission(guest.domid, bar, 2, false);
  const load = (page: number): number => machine.engine.exports.guestLoad(guest.slot, page * 4096, 0, 4);
  assert.is(load(0x90000), 0x010000ed, 'as in Xen');
  assert.is(hypervisor.unmapIoMemory(guest.domid, bar, 1), 3);
  assert.equal([load(0x80000), load(0x90000)], [-1, -1]);
  assert.is(hypervisor.unmapIoMemory(guest.domid, bar, 2), 1);
  assert.is(hypervisor.unmapIoMemory(guest.domid, bar, 2), 0);
});

mappings('I/O memory mapped through a grant needs the granter\'s right, at the time it is mapped', async () => {
  const { hypervisor, guest, plain, domctl, barFrame, machine } = await controlPlane();
  const bar = barFrame(EDU);
  const { grants } = hypervisor;
  // entry 9 of a version 1 table: permit_access (1), domid, frame
  const table = machine.engine.frame(grants.setupTable(guest.domid, SELF, 1).frames[0] as number);
  const entry = new DataView(table.buffer, table.byteOffset + 9 * 8, 8);
  entry.setUint16(2, plain.domid, true);
  entry.setUint32(4, bar, true);
  entry.setUint16(0, 1, true);
  const map = (): string => {
    // map_grant_ref of 32 bytes: host address, flags host_map (2), reference, domain; status at 18
    const page = machine.engine.frame(plain.p2m[9] as number);
    const op = new DataView(page.buffer, page.byteOffset, 32);
    for (let i = 0; i < 32; i += 4) op.setUint32(i, 0, true);
    op.setUint32(0, 0x80000000, true);
    op.setUint32(8, 2, true);
    op.setUint32(12, 9, true);
    op.setUint16(16, guest.domid, true);
    assert.is(hypervisor.grantTableOp(plain.domid, 0, 9 * 4096, 1), 0);
    return String(op.getInt16(18, true));
  };
  const load = (): number => machine.engine.exports.guestLoad(plain.slot, 0x80000000, 0, 4);
  assert.is.not(map(), '0', 'the granter has not the right');
  assert.is(load(), -1);
  domctl.iomemPermission(plain.domid, bar, 1, true);
  assert.is.not(map(), '0', 'the mapper\'s own right does not help');
  domctl.iomemPermission(plain.domid, bar, 1, false);
  domctl.iomemPermission(guest.domid, bar, 1, true);
  assert.is(map(), '0');
  assert.is(load(), 0x010000ed);
  domctl.iomemPermission(guest.domid, bar, 1, false);
  hypervisor.unmapIoMemory(guest.domid, bar, 1);
  assert.is(load(), -1, 'and goes with it');
});

mappings('a page with a vector table cannot be granted on while it is prepared: a grant could be mapped for writing', async () => {
  const { hypervisor, guest, plain, domctl, physdev, barFrame, configWrite, machine } = await controlPlane();
  const frame = barFrame(EXPRESS, 3);
  configWrite(EXPRESS, 4, 2, 2);
  domctl.iomemPermission(guest.domid, frame, 4, true);
  const table = machine.engine.frame(hypervisor.grants.setupTable(guest.domid, SELF, 1).frames[0] as number);
  const grant = (ref: number, mfn: number): void => {
    const entry = new DataView(table.buffer, table.byteOffset + ref * 8, 8);
    entry.setUint16(2, plain.domid, true);
    entry.setUint32(4, mfn, true);
    entry.setUint16(0, 1, true);
  };
  const map = (ref: number): string => {
    const { status, handle } = hypervisor.grants.map(plain.domid, { address: 0x80000000, ref, dom: guest.domid });
    if (status === 'okay') hypervisor.grants.unmap(plain.domid, { address: 0x80000000, handle });
    return status;
  };
  grant(9, frame);
  const other = frame + 3;
  grant(10, other);
  assert.equal([map(9), map(10)], ['okay', 'okay']);
  physdev.prepareMsix(EXPRESS);
  assert.equal([map(9), map(10)], ['general_error', 'okay']);
  assert.is(guest.iomem.has(frame, frame), true, 'the right itself stays');
  physdev.releaseMsix(EXPRESS);
  assert.is(map(9), 'okay');
});

mappings.run();

const neighbours = suite('what shares a page');

const small = defineDevice({
  model: 'small', title: 'Sixteen to a page', state: {}, handlers: {},
  config: {
    vendorId: 0x1af4, deviceId: 0x1110, classCode: 0xff0000, revision: 0, interruptPin: 1, bars: [{ kind: 'memory32', size: 0x100 }],
  },
  registers: [{ bar: 0, size: 0x100, constant: 0, rows: [{ name: 'DATA', off: 0, reset: 0x51, writeMask: 0xffffffff }] }],
});

neighbours('two BARs in one page: the right to one reaches the other, and it is reported', async () => {
  const machine = await Machine.create({
    memory: '8MiB', dom0: { memory: '1MiB' }, iommu: 'vtd',
    devices: [{ model: 'small', bdf: '0000:00:04.0' }, { model: 'small', bdf: '0000:00:05.0' }],
  }, { devices: [small] });
  const { hypervisor } = machine;
  hypervisor.bootDom0Devices();
  const domctl = new Domctl(hypervisor, 0);
  const guest = domctl.createDomain({ name: 'g', kind: 'pv', pages: 64, iommu: true });
  const [mine, other] = [machine.barAddress('0000:00:04.0', 0), machine.barAddress('0000:00:05.0', 0)];
  const mfn = Math.floor(mine / 4096);
  assert.is(Math.floor(other / 4096), mfn, 'firmware puts both into one page');
  domctl.assignDevice(guest.domid, 0x20);
  assert.equal(hypervisor.neighbours(guest.domid, mfn), [], 'no right yet');
  domctl.iomemPermission(guest.domid, mfn, 1, true);
  assert.equal(hypervisor.neighbours(guest.domid, mfn), [{ routing: 0x28, bar: 0, address: other, size: 0x100 }]);
  hypervisor.updateVaMapping(guest.domid, 0x80000, mfn, true);
  machine.engine.exports.guestStore(guest.slot, 0x80000000 + other % 4096, 0, 4, 0x77, 0);
  assert.is(machine.engine.exports.registerRead(machine.functionOf('0000:00:05.0'), 0, 0, 4), 0x77, 'exposure is real');
  domctl.assignDevice(guest.domid, 0x28);
  assert.equal(hypervisor.neighbours(guest.domid, mfn), [], 'both are its own');
  domctl.deassignDevice(guest.domid, 0x28);
  machine.engine.exports.configWrite(machine.functionOf('0000:00:05.0'), 4, 2, 0);
  assert.equal(hypervisor.neighbours(guest.domid, mfn), [], 'what decodes nothing is not there');
});

neighbours.run();

const ports = suite('ports');

ports('without the right: ones, and what is written is dropped; CF8 and CFC of a guest reach nothing', async () => {
  const { machine, guest, domctl, config } = await controlPlane();
  const { exports } = machine.engine;
  const io = machine.barAddress('0000:00:04.0', 1);
  const read = (port: number, width: number): number => exports.guestIn(guest.slot, port, width) >>> 0;
  const ones = { 1: 0xff, 2: 0xffff, 4: 0xffffffff };
  for (const port of [0, 0x20, 0x61, 0x70, 0x3f8, 0xcf8, 0xcfc, io, 0xfffc]) {
    for (const width of [1, 2, 4] as const) assert.is(read(port, width), ones[width], `${port.toString(16)} ${width}`);
  }
  domctl.ioportPermission(guest.domid, io, 32, true);
  exports.guestOut(guest.slot, io, 4, 0x8);
  assert.is(read(io, 4), 8, 'IOADDR of the e1000');
  assert.is(read(io + 30, 4), 0xffffffff, 'two of the four are not its');
  domctl.ioportPermission(guest.domid, io + 2, 1, false);
  assert.is(read(io, 4), 0xffffffff);
  assert.is(machine.engine.status, 1, 'refused');
  read(io, 2);
  assert.is.not(machine.engine.status, 1, 'the first two are its still');
  // the first domain has selected a register; the guest's writes to address and data change nothing
  exports.guestOut(0, 0xcf8, 4, 0x80002004);
  const command = config(NIC, 4, 4);
  exports.guestOut(guest.slot, 0xcf8, 4, 0x80002010);
  exports.guestOut(guest.slot, 0xcfc, 4, 0);
  assert.is(exports.guestIn(0, 0xcf8, 4) >>> 0, 0x80002004);
  assert.is(exports.guestIn(0, 0xcfc, 4) >>> 0, command);
  for (const width of [1, 2, 4] as const) assert.is(codeOf(() => domctl.ioportPermission(guest.domid, 0xcfc, width, true)), 'EPERM');
});

ports.run();
