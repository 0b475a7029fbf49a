// Grant tables against public/grant_table.h: entries of 8 bytes {flags u16, domid u16, frame u32} in version 1, of 16 in
// version 2, flags 1 permit_access, 2 accept_transfer, 3 transitive, 4 readonly, 8 reading, 16 writing, 256 sub_page.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { difference } from '../../../src/machine/digest';
import { Machine } from '../../../src/machine/machine';
import type { Domain } from '../../../src/xen/hypervisor/domain';
import { type XenDomains, errnoOf, hexBytes, hexText, page, xenDomains } from '../../helpers/xen-domains';

const SELF = 0x7ff0;
const [EPERM, EFAULT, EBUSY, EINVAL, ERANGE, ENOSYS] = [1, 14, 16, 22, 34, 38];
const PAGE = 4096;
const PERMIT = 1;
const READONLY = 4;
const READING = 8;
const WRITING = 16;
/** Where mappings appear, and where the structures of hypercalls lie. */
const HOST = 0x70000000;
const ARG_PFN = 3;

/** The frame of the granter's table that holds a reference, as the granter sees it. */
function table({ machine, hypervisor }: XenDomains, domain: Domain, index = 0): DataView {
  const bytes = machine.engine.frame(hypervisor.grants.frames(domain)[index] as number);
  return new DataView(bytes.buffer, bytes.byteOffset, PAGE);
}

function status({ machine, hypervisor }: XenDomains, domain: Domain): DataView {
  const bytes = machine.engine.frame(hypervisor.grants.frames(domain, true)[0] as number);
  return new DataView(bytes.buffer, bytes.byteOffset, PAGE);
}

interface Entry {
  flags: number;
  domid: number;
  frame: number;
}

function grant(xen: XenDomains, domain: Domain, ref: number, { flags, domid, frame }: Entry): void {
  const view = table(xen, domain, ref >> 9);
  view.setUint32((ref & 511) * 8 + 4, frame, true);
  view.setUint16((ref & 511) * 8 + 2, domid, true);
  view.setUint16((ref & 511) * 8, flags, true);
}

function flagsOf(xen: XenDomains, domain: Domain, ref: number): number {
  return table(xen, domain, ref >> 9).getUint16((ref & 511) * 8, true);
}

/** What a domain grants of its page `pfn` to another under version 1. */
function grantPage(xen: XenDomains, from: Domain, to: Domain, ref: number, pfn: number, flags = PERMIT): number {
  const mfn = from.p2m[pfn] as number;
  grant(xen, from, ref, { flags, domid: to.domid, frame: from.kind === 'hvm' ? pfn : mfn });
  return mfn;
}

interface V2 extends Entry {
  off?: number;
  length?: number;
}

function grant2(xen: XenDomains, domain: Domain, ref: number, { flags, domid, frame, off = 0, length = 0 }: V2): void {
  const view = table(xen, domain, ref >> 8);
  const at = (ref & 255) * 16;
  view.setUint32(at + 8, frame, true);
  view.setUint32(at + 12, 0, true);
  view.setUint16(at + 4, off, true);
  view.setUint16(at + 6, length, true);
  view.setUint16(at + 2, domid, true);
  view.setUint16(at, flags, true);
}

/** One structure of a hypercall, in the caller's page 3: result of the call, and the structure afterwards. */
function call(xen: XenDomains, domain: Domain, cmd: number, bytes: Uint8Array, count = 1): { result: number; bytes: Uint8Array } {
  const arg = page(xen.machine, domain, ARG_PFN);
  const at = new Uint8Array(arg.buffer, arg.byteOffset, PAGE);
  at.set(bytes);
  const result = xen.hypervisor.grantTableOp(domain.domid, cmd, ARG_PFN * PAGE, count);
  return { result, bytes: at.slice(0, bytes.length) };
}

interface Side {
  ref?: number;
  gmfn?: number;
  domid: number;
  offset?: number;
}

function copyArg(source: Side, dest: Side, len: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(40));
  [source, dest].forEach((side, i) => {
    view.setUint32(i * 16, side.ref ?? side.gmfn ?? 0, true);
    view.setUint16(i * 16 + 8, side.domid, true);
    view.setUint16(i * 16 + 10, side.offset ?? 0, true);
  });
  view.setUint16(32, len, true);
  view.setUint16(34, (source.ref === undefined ? 0 : 1) | (dest.ref === undefined ? 0 : 2), true);
  return new Uint8Array(view.buffer);
}

/** Status of one copy. */
function copy(xen: XenDomains, caller: Domain, source: Side, dest: Side, len: number): number {
  const { result, bytes } = call(xen, caller, 5, copyArg(source, dest, len));
  assert.is(result, 0);
  return new DataView(bytes.buffer).getInt16(36, true);
}

const mapping = suite('mapping grants');

mapping('structures as on the wire: an entry, map_grant_ref, unmap_grant_ref', async () => {
  const xen = await xenDomains();
  const { a, b, machine, hypervisor } = xen;
  const frame = a.p2m[9] as number;
  const view = table(xen, a);
  new Uint8Array(view.buffer, view.byteOffset + 8 * 8, 8).set(hexBytes('0500 0200 00000000'));
  view.setUint32(8 * 8 + 4, frame, true);
  assert.is(b.domid, 2);
  page(machine, a, 9).setUint32(0, 0x12345678, true);
  const map = call(xen, b, 0, hexBytes('00100070 00000000 06000000 08000000 0100 ffff ffffffff ffffffff ffffffff'));
  assert.is(map.result, 0);
  const bus = Buffer.alloc(8);
  bus.writeBigUInt64LE(BigInt(frame) << 12n);
  assert.is(hexText(map.bytes), `001000700000000006000000080000000100000000000000${bus.toString('hex')}`);
  assert.is(machine.engine.exports.guestLoad(b.slot, HOST + PAGE, 0, 4), 0x12345678);
  machine.engine.exports.guestStore(b.slot, HOST + PAGE, 0, 4, 1, 0);
  assert.is(machine.engine.status, 1, 'read-only');
  assert.is(flagsOf(xen, a, 8), PERMIT | READONLY | READING);
  assert.is(machine.engine.exports.frameRefs(frame), 1);
  const unmap = call(xen, b, 1, hexBytes('00100070 00000000 0000000000000000 00000000 ffff 0000'));
  assert.equal([unmap.result, hexText(unmap.bytes).slice(40, 44)], [0, '0000']);
  assert.is(flagsOf(xen, a, 8), PERMIT | READONLY);
  assert.is(machine.engine.exports.guestMapGet(b.slot, HOST / PAGE + 1), 0);
  assert.is(machine.engine.exports.frameRefs(frame), 0);
  assert.equal(hypervisor.grants.mapped(b), []);
});

mapping('what an entry says decides, and each refusal has its status and changes nothing', async () => {
  const xen = await xenDomains();
  const { a, b, hvm, machine, hypervisor: { grants } } = xen;
  const own = a.p2m[9] as number;
  const foreign = b.p2m[9] as number;
  const before = machine.digest();
  const status = (entry: Entry, readonly = false): string => {
    grant(xen, a, 8, entry);
    const got = grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid, readonly }).status;
    assert.is(flagsOf(xen, a, 8), entry.flags, 'no mark is left');
    return got;
  };
  const entry = { flags: PERMIT, domid: b.domid, frame: own };
  for (const flags of [0, 2, 3, 0x101, 0xfffc]) assert.is(status({ ...entry, flags }), 'general_error', flags.toString(16));
  for (const domid of [0, a.domid, hvm.domid, 0x7ff0, 0xffff]) assert.is(status({ ...entry, domid }), 'general_error');
  assert.is(status({ ...entry, flags: PERMIT | READONLY }), 'general_error', 'for writing');
  for (const frame of [foreign, 0, 1, machine.engine.frames - 1, 0x0fffffff + 1, 0xffffffff]) {
    assert.is(status({ ...entry, frame }), 'bad_page', frame.toString(16));
  }
  for (const frame of grants.frames(a)) assert.is(status({ ...entry, frame }), 'bad_page', 'the table itself');
  assert.is(status({ ...entry, frame: machine.engine.frames + 7 }), 'general_error', 'I/O memory that is not a\'s');
  grant(xen, a, 8, entry);
  const map = (over: object): string => grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid, ...over }).status;
  assert.is(map({ ref: 512 }), 'bad_gntref');
  assert.is(map({ ref: 0xffffffff }), 'bad_gntref');
  assert.is(map({ address: undefined }), 'bad_gntref', 'neither host nor device');
  for (const dom of [99, 0x7ff0, 0x7ff4, 0xffff]) assert.is(map({ dom }), 'bad_domain', String(dom));
  assert.is(map({ address: 2 ** 40 }), 'bad_virt_addr');
  assert.is(machine.engine.exports.grantMap(b.slot, HOST, 0, 2 | 16, 8, a.domid), -1, 'contains_pte');
  grant(xen, a, 8, { flags: 0, domid: 0, frame: 0 });
  assert.equal(difference(before, machine.digest()), []);
  assert.ok(machine.engine.counters().grantRefused > 20);
});

mapping('an HVM guest maps at its guest frames, RAM alone, and grants its own by guest frame', async () => {
  const xen = await xenDomains();
  const { a, hvm, machine, hypervisor: { grants } } = xen;
  const mfn = grantPage(xen, a, hvm, 8, 9);
  for (const flags of [1, 3, 2 | 8]) assert.is(machine.engine.exports.grantMap(hvm.slot, HOST, 0, flags, 8, a.domid), -1);
  const one = grants.map(hvm.domid, { address: HOST, ref: 8, dom: a.domid });
  assert.equal([one.status, one.mfn], ['okay', mfn]);
  machine.engine.exports.guestStore(hvm.slot, HOST, 0, 4, 77, 0);
  assert.is(page(machine, a, 9).getUint32(0, true), 77);
  // what it has mapped is not its own to grant
  grant(xen, hvm, 8, { flags: PERMIT, domid: a.domid, frame: HOST / PAGE });
  assert.is(grants.map(a.domid, { address: HOST, ref: 8, dom: hvm.domid }).status, 'bad_page');
  const back = grantPage(xen, hvm, a, 9, 5);
  assert.equal(grants.map(a.domid, { address: HOST, ref: 9, dom: hvm.domid }).mfn, back);
  assert.is(grants.unmap(hvm.domid, { address: HOST, handle: one.handle }), 'okay');
  assert.is(machine.engine.exports.guestMapGet(hvm.slot, HOST / PAGE), 0);
});

mapping('an entry in use is pinned: what the guest writes into it does not matter, and revoking it waits', async () => {
  const xen = await xenDomains();
  const { a, b, machine, hypervisor: { grants } } = xen;
  const mfn = grantPage(xen, a, b, 8, 9);
  const one = grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid, readonly: true });
  assert.is(flagsOf(xen, a, 8) & (READING | WRITING), READING);
  // another frame, another domain, no type
  grant(xen, a, 8, { flags: 0, domid: 0, frame: a.p2m[10] as number });
  const two = grants.map(b.domid, { address: HOST + PAGE, ref: 8, dom: a.domid, readonly: true });
  assert.equal([two.status, two.mfn], ['okay', mfn]);
  const three = grants.map(b.domid, { address: HOST + 2 * PAGE, ref: 8, dom: a.domid });
  assert.equal([three.status, three.mfn], ['okay', mfn], 'of the flags, readonly alone still counts');
  assert.is(flagsOf(xen, a, 8), READING | WRITING);
  assert.is(machine.engine.exports.frameRefs(mfn), 3);
  assert.is(grants.map(0, { address: HOST, ref: 8, dom: a.domid }).status, 'general_error', 'it is b\'s');
  assert.is(grants.swap(a.domid, 8, 9), 'eagain');
  assert.is(xen.hypervisor.decreaseReservation(a.domid, [9]), 0, 'the frame does not change hands');
  assert.is(grants.transfer(a.domid, mfn, b.domid, 8), 'bad_page');
  assert.is(grants.unmap(b.domid, { address: HOST + 2 * PAGE, handle: three.handle }), 'okay');
  assert.is(flagsOf(xen, a, 8), READING, 'no writer is left');
  assert.is(grants.unmap(b.domid, { address: HOST, handle: one.handle }), 'okay');
  assert.is(flagsOf(xen, a, 8), READING);
  assert.is(grants.unmap(b.domid, { address: HOST + PAGE, handle: two.handle }), 'okay');
  assert.is(flagsOf(xen, a, 8), 0);
  assert.is(xen.hypervisor.decreaseReservation(a.domid, [9]), 1);
  assert.is(grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid }).status, 'general_error');
});

mapping('the counters of an entry do not run over', async () => {
  const xen = await xenDomains();
  const { a, b, machine, hypervisor: { grants } } = xen;
  grantPage(xen, a, b, 8, 9);
  for (let i = 0; i < 128; i++) assert.is(grants.map(b.domid, { ref: 8, dom: a.domid, device: true }).status, 'okay', String(i));
  assert.is(grants.map(b.domid, { ref: 8, dom: a.domid, device: true }).status, 'general_error');
  assert.is(grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid, readonly: true }).status, 'general_error');
  assert.is(machine.engine.exports.frameRefs(a.p2m[9] as number), 128);
});

mapping('handles are the mapper\'s own: they run out, come again, and none is taken twice', async () => {
  const xen = await xenDomains();
  const { a, b, hypervisor: { grants } } = xen;
  const few = xen.hypervisor.createDomain({ name: 'few', kind: 'pv', pages: 32, maxGrantMappings: 3 });
  const refs = [8, 9, 10, 11];
  for (const ref of refs) grantPage(xen, a, few, ref, ref);
  const map = (i: number): { status: string; handle: number } => grants.map(few.domid, { address: HOST + i * PAGE, ref: 8 + i, dom: a.domid });
  const handles = [map(0), map(1), map(2)].map(({ handle }) => handle);
  assert.equal([...handles].sort(), [0, 1, 2]);
  assert.is(map(3).status, 'no_space');
  for (const handle of [3, 2047, 2048, 0xffffffff]) assert.is(grants.unmap(few.domid, { address: HOST, handle }), 'bad_handle');
  assert.is(grants.unmap(b.domid, { address: HOST, handle: 0 }), 'bad_handle', 'of another domain');
  assert.is(grants.unmap(few.domid, { address: HOST + PAGE, handle: handles[1] as number }), 'okay');
  assert.is(grants.unmap(few.domid, { address: HOST + PAGE, handle: handles[1] as number }), 'bad_handle');
  assert.is(map(3).handle, handles[1]);
});

mapping('an unmap must name what is mapped: address, rights and bus address', async () => {
  const xen = await xenDomains();
  const { a, b, machine, hypervisor: { grants } } = xen;
  const mfn = grantPage(xen, a, b, 8, 9);
  grantPage(xen, a, b, 9, 10);
  const wide = grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid, device: true });
  const narrow = grants.map(b.domid, { address: HOST + PAGE, ref: 8, dom: a.domid, readonly: true });
  const other = grants.map(b.domid, { address: HOST + 2 * PAGE, ref: 9, dom: a.domid });
  assert.is(machine.engine.exports.frameRefs(mfn), 3);
  const unmap = (handle: number, address: number, bus = 0): string => grants.unmap(b.domid, { address, bus, handle });
  assert.is(unmap(wide.handle, HOST, (mfn + 1) * PAGE), 'bad_dev_addr');
  assert.is(unmap(wide.handle, HOST + PAGE), 'general_error', 'that one is read-only');
  assert.is(unmap(wide.handle, HOST + 2 * PAGE), 'general_error', 'another frame');
  assert.is(unmap(wide.handle, HOST + 9 * PAGE), 'general_error', 'nothing there');
  assert.is(unmap(wide.handle, 2 ** 40), 'bad_virt_addr');
  assert.is(unmap(wide.handle, 0), 'okay', 'names nothing, does nothing');
  assert.is(unmap(wide.handle, HOST), 'okay');
  assert.is(machine.engine.exports.frameRefs(mfn), 2, 'the device part is still there');
  assert.is(flagsOf(xen, a, 8) & WRITING, WRITING);
  assert.is(unmap(wide.handle, 0, mfn * PAGE), 'okay');
  assert.is(unmap(wide.handle, 0, mfn * PAGE), 'bad_handle');
  assert.equal([unmap(narrow.handle, HOST + PAGE), unmap(other.handle, HOST + 2 * PAGE)], ['okay', 'okay']);
  assert.equal([flagsOf(xen, a, 8), flagsOf(xen, a, 9)], [PERMIT, PERMIT]);
});

mapping('a guest that maps its own page over a grant keeps the handle, and gains nothing', async () => {
  const xen = await xenDomains();
  const { a, b, hypervisor, machine } = xen;
  const mfn = grantPage(xen, a, b, 8, 9);
  const one = hypervisor.grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid });
  assert.is(errnoOf(() => hypervisor.updateVaMapping(b.domid, HOST / PAGE + 1, mfn, true)), EPERM, 'by itself it may not');
  hypervisor.updateVaMapping(b.domid, HOST / PAGE, b.p2m[4] as number, true);
  assert.is(hypervisor.grants.unmap(b.domid, { address: HOST, handle: one.handle }), 'general_error');
  assert.is(machine.engine.exports.frameRefs(mfn), 1, 'held, as Xen thinks it mapped');
  hypervisor.destroyDomain(b.domid);
  assert.is(machine.engine.exports.frameRefs(mfn), 0);
  assert.is(flagsOf(xen, a, 8), PERMIT);
});

mapping('unmap_and_replace puts another page of the guest in the place', async () => {
  const xen = await xenDomains();
  const { a, b, hvm, machine, hypervisor: { grants } } = xen;
  grantPage(xen, a, b, 8, 9);
  grantPage(xen, a, hvm, 9, 9);
  grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid });
  const arg = (next: number): Uint8Array => {
    const view = new DataView(new ArrayBuffer(24));
    view.setUint32(0, HOST, true);
    view.setUint32(8, next, true);
    return new Uint8Array(view.buffer);
  };
  const statusOf = (domain: Domain, next: number): number => {
    const { result, bytes } = call(xen, domain, 7, arg(next));
    assert.is(result, 0);
    return new DataView(bytes.buffer).getInt16(20, true);
  };
  assert.is(statusOf(b, HOST + 5 * PAGE), -1, 'nothing is there');
  assert.is(statusOf(b, HOST), -1, 'itself');
  const own = machine.engine.exports.guestMapGet(b.slot, 7);
  assert.is(statusOf(b, 7 * PAGE), 0);
  assert.is(machine.engine.exports.guestMapGet(b.slot, HOST / PAGE), own);
  assert.is(machine.engine.exports.guestMapGet(b.slot, 7), 0);
  grants.map(hvm.domid, { address: HOST, ref: 9, dom: a.domid });
  assert.is(statusOf(hvm, 7 * PAGE), -1);
});

mapping('batches: in order, an error stops nothing, garbage is no trap', async () => {
  const xen = await xenDomains();
  const { a, b, machine, hypervisor } = xen;
  for (const ref of [8, 10]) grantPage(xen, a, b, ref, ref);
  const view = new DataView(new ArrayBuffer(96));
  [8, 9, 10].forEach((ref, i) => {
    view.setUint32(i * 32, HOST + i * PAGE, true);
    view.setUint32(i * 32 + 8, 2, true);
    view.setUint32(i * 32 + 12, ref, true);
    view.setUint16(i * 32 + 16, a.domid, true);
  });
  const { result, bytes } = call(xen, b, 0, new Uint8Array(view.buffer), 3);
  const after = new DataView(bytes.buffer);
  assert.equal([result, ...[0, 1, 2].map((i) => after.getInt16(i * 32 + 18, true))], [0, 0, -1, 0]);
  const op = (cmd: number, address: number, count: number): number => hypervisor.grantTableOp(b.domid, cmd, address, count);
  for (const cmd of [0, 1, 5, 7]) {
    assert.is(op(cmd, 0x60000000, 1), -EFAULT);
    assert.is(op(cmd, 2 ** 40 - 8, 1), -EFAULT);
    assert.is(op(cmd, 2 ** 52, 1), -EFAULT);
    assert.is(op(cmd, 0, -1), -EINVAL);
    assert.is(op(cmd, 0x60000000, 0), 0);
  }
  for (const cmd of [3, 12, 13, 99]) assert.is(op(cmd, 0, 1), -ENOSYS);
  assert.is(op(2, 0, 2), -EINVAL);
  assert.is(op(6, 0, 0), -EINVAL);
  // a structure across the edge of the guest's memory; what came before is done
  const last = b.p2m.length * PAGE - 32;
  const edge = page(machine, b, b.p2m.length - 1);
  edge.setUint32(PAGE - 32 + 8, 2, true);
  assert.is(op(0, last, 2), -EFAULT);
  assert.is(edge.getInt16(PAGE - 32 + 18, true), -2 + 1, 'dom 0 grants nothing: general_error');
  // a mapping that takes the array's own page away
  view.setUint32(0, ARG_PFN * PAGE, true);
  grantPage(xen, a, b, 8, 8, PERMIT | READONLY);
  view.setUint32(8, 6, true);
  assert.is(call(xen, b, 0, new Uint8Array(view.buffer), 1).result, -EFAULT);
});

mapping('I/O memory follows the granter\'s right, at the mapping and when it goes', async () => {
  const xen = await xenDomains();
  const { a, b, hvm, machine, hypervisor } = xen;
  machine.assign('0000:00:06.0', a, 'none');
  const bar = machine.barAddress('0000:00:06.0', 0) / PAGE;
  grant(xen, a, 8, { flags: PERMIT, domid: b.domid, frame: bar });
  grant(xen, a, 9, { flags: PERMIT, domid: hvm.domid, frame: bar });
  grant(xen, a, 10, { flags: PERMIT, domid: b.domid, frame: machine.barAddress('0000:00:0e.0', 0) / PAGE });
  assert.is(hypervisor.grants.map(hvm.domid, { address: HOST, ref: 9, dom: a.domid }).status, 'general_error', 'no HVM guest');
  assert.is(hypervisor.grants.map(b.domid, { address: HOST, ref: 10, dom: a.domid }).status, 'general_error', 'not a\'s');
  const one = hypervisor.grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid });
  assert.equal([one.status, one.mfn], ['okay', bar]);
  const load = (): number => machine.engine.exports.guestLoad(b.slot, HOST, 0, 4);
  assert.is(load(), 0x010000ed);
  assert.is(copy(xen, b, { ref: 8, domid: a.domid }, { gmfn: b.p2m[5] as number, domid: SELF }, 4), -9, 'registers are not copied');
  machine.unassign('0000:00:06.0', a);
  assert.is(load(), -1, 'the device has been taken away');
  assert.is(hypervisor.grants.map(b.domid, { address: HOST + PAGE, ref: 8, dom: a.domid }).status, 'general_error');
  assert.is(hypervisor.grants.unmap(b.domid, { address: HOST, handle: one.handle }), 'okay');
  // nobody hands on what reaches any device, the IOMMU or the interrupts
  for (const frame of [0xe0000, 0xeffff, 0xfed90, 0xfee00]) {
    hypervisor.iomemPermission(0, frame, 1, true);
    grant(xen, machine.dom0, 8, { flags: PERMIT, domid: b.domid, frame });
    assert.is(hypervisor.grants.map(b.domid, { address: HOST, ref: 8, dom: 0 }).status, 'general_error', frame.toString(16));
  }
});

mapping('a PV mapper\'s devices reach the frame too, as long and as far as it is mapped', async () => {
  const xen = await xenDomains('vtd');
  const { a, b, machine, hypervisor: { grants } } = xen;
  const mfn = grantPage(xen, a, b, 8, 9);
  grantPage(xen, a, b, 9, 9);
  const first = grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid, readonly: true });
  machine.assign('0000:00:06.0', b, 'own-frames');
  const fn = machine.functionOf('0000:00:06.0');
  machine.engine.exports.configWrite(fn, 4, 2, 6);
  const scratch = machine.engine.heap.take(64, 'the test');
  const dma = (): [number, number] => [machine.engine.exports.functionDmaRead(fn, mfn * PAGE, 0, 4, scratch),
    machine.engine.exports.functionDmaWrite(fn, mfn * PAGE, 0, 4, scratch)];
  assert.equal(dma(), [0, 3], 'mapped before the tables were made');
  const second = grants.map(b.domid, { address: HOST + PAGE, ref: 9, dom: a.domid });
  assert.equal(dma(), [0, 0]);
  grants.unmap(b.domid, { address: HOST + PAGE, handle: second.handle });
  assert.equal(dma(), [0, 3], 'downgraded with the last writer');
  grants.unmap(b.domid, { address: HOST, handle: first.handle });
  assert.equal(dma(), [3, 3]);
  assert.is(machine.engine.exports.frameRefs(mfn), 0);
  grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid });
  assert.equal(dma(), [0, 0]);
  machine.unassign('0000:00:06.0', b);
  assert.is(machine.engine.exports.frameRefs(mfn), 1, 'the mapping alone');
});

mapping.run();

const copying = suite('copying through grants');

copying('the structure as on the wire, and the bytes', async () => {
  const xen = await xenDomains();
  const { a, b, machine } = xen;
  assert.is(a.domid, 1);
  grantPage(xen, a, b, 8, 9, PERMIT | READONLY);
  const from = page(machine, a, 9);
  for (let i = 0; i < PAGE; i++) from.setUint8(i, i * 7);
  const arg = hexBytes('08000000 00000000 0100 1000 00000000 55000000 00000000 f07f 2000 00000000 0001 0100 ffff 0000');
  assert.is(hexText(copyArg({ ref: 8, domid: 1, offset: 0x10 }, { gmfn: 0x55, domid: SELF, offset: 0x20 }, 0x100)),
    hexText(arg).replace('ffff0000', '00000000'));
  new DataView(arg.buffer).setUint32(16, b.p2m[5] as number, true);
  const { result, bytes } = call(xen, b, 5, arg);
  assert.equal([result, hexText(bytes.slice(32))], [0, '0001010000000000']);
  const to = page(machine, b, 5);
  for (let i = 0; i < PAGE; i++) assert.is(to.getUint8(i), i >= 0x20 && i < 0x120 ? ((i - 0x10) * 7) & 0xff : 0);
  assert.is(flagsOf(xen, a, 8), PERMIT | READONLY, 'the marks are gone');
  const { grantCopies, grantCopyBytes } = machine.engine.counters();
  assert.equal([grantCopies, grantCopyBytes], [1, 0x100]);
  assert.ok(machine.engine.takeDirtyFrames().includes(b.p2m[5] as number));
});

copying('every way to be refused, in the order that Xen asks', async () => {
  const xen = await xenDomains();
  const { a, b, hvm, machine } = xen;
  const own = { gmfn: b.p2m[5] as number, domid: SELF };
  grantPage(xen, a, b, 8, 9);
  grantPage(xen, a, b, 9, 10, PERMIT | READONLY);
  grantPage(xen, a, hvm, 10, 11);
  const source = { ref: 8, domid: a.domid };
  const cases: Array<[what: string, from: Side, to: Side, len: number, status: number]> = [
    ['whole page', source, own, PAGE, 0],
    ['nothing', { ...source, offset: PAGE }, own, 0, 0],
    ['one byte too far', { ...source, offset: 1 }, own, PAGE, -10],
    ['too far in the target', source, { ...own, offset: 4000 }, 97, -10],
    ['offset beyond a page', { ...source, offset: 0xffff }, own, 0, -10],
    ['no such domain', { ref: 8, domid: 99 }, own, 1, -2],
    ['another\'s frame without a grant', { gmfn: a.p2m[9] as number, domid: a.domid }, own, 1, -8],
    ['own id in place of DOMID_SELF', { gmfn: b.p2m[6] as number, domid: b.domid }, own, 1, -8],
    ['a frame of another', { gmfn: a.p2m[9] as number, domid: SELF }, own, 1, -9],
    ['no frame at all', { gmfn: 0xffffffff, domid: SELF }, own, 1, -9],
    ['a reference beyond the table', { ref: 512, domid: a.domid }, own, 1, -3],
    ['that, before the bounds', { ref: 512, domid: a.domid, offset: PAGE }, own, 1, -3],
    ['not granted to the caller', { ref: 10, domid: a.domid }, own, 1, -1],
    ['an empty entry', { ref: 11, domid: a.domid }, own, 1, -1],
    ['into a read-only grant', own, { ref: 9, domid: a.domid }, 1, -1],
    ['into a grant', own, source, 8, 0],
    ['from one grant into another of the same page', source, source, 8, 0],
  ];
  for (const [what, from, to, len, status] of cases) {
    assert.is(copy(xen, b, from, to, len), status, what);
    for (const ref of [8, 9, 10]) assert.is(flagsOf(xen, a, ref) & (READING | WRITING), 0, what);
  }
  // a guest's own frame number is its guest frame
  grantPage(xen, a, hvm, 8, 9);
  page(machine, a, 9).setUint32(0, 4711, true);
  assert.is(copy(xen, hvm, source, { gmfn: 6, domid: SELF }, 4), 0);
  assert.is(page(machine, hvm, 6).getUint32(0, true), 4711);
});

copying('an entry that is mapped keeps its marks and its frame', async () => {
  const xen = await xenDomains();
  const { a, b, machine, hypervisor: { grants } } = xen;
  grantPage(xen, a, b, 8, 9);
  const one = grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid, readonly: true });
  table(xen, a).setUint32(8 * 8 + 4, a.p2m[10] as number, true);
  const own = { gmfn: b.p2m[5] as number, domid: SELF };
  page(machine, a, 9).setUint32(0, 1, true);
  page(machine, a, 10).setUint32(0, 2, true);
  assert.is(copy(xen, b, { ref: 8, domid: a.domid }, own, 4), 0);
  assert.is(page(machine, b, 5).getUint32(0, true), 1);
  assert.is(copy(xen, b, own, { ref: 8, domid: a.domid }, 4), 0);
  assert.is(flagsOf(xen, a, 8), PERMIT | READING);
  grants.unmap(b.domid, { address: HOST, handle: one.handle });
  assert.is(copy(xen, b, { ref: 8, domid: a.domid }, own, 4), 0);
  assert.is(page(machine, b, 5).getUint32(0, true), 2, 'now the entry is read again');
});

copying.run();

const second = suite('version 2');

second('marks stand in the status frames; sub-pages are windows for copies alone', async () => {
  const xen = await xenDomains();
  const { a, b, machine, hypervisor: { grants } } = xen;
  grants.setVersion(a.domid, 2);
  assert.equal([grants.version(a.domid), grants.version(0, a.domid)], [2, 2]);
  grant2(xen, a, 8, { flags: PERMIT, domid: b.domid, frame: a.p2m[9] as number });
  const one = grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid });
  assert.is(one.status, 'okay');
  assert.equal([table(xen, a).getUint16(8 * 16, true), status(xen, a).getUint16(16, true)], [PERMIT, READING | WRITING]);
  grants.unmap(b.domid, { address: HOST, handle: one.handle });
  assert.is(status(xen, a).getUint16(16, true), 0);
  // the entry of the sheet, to a frame that a has
  const view = table(xen, a);
  new Uint8Array(view.buffer, view.byteOffset + 9 * 16, 16).set(hexBytes('0101 0200 0002 0001 34120000 00000000'));
  view.setUint32(9 * 16 + 8, a.p2m[9] as number, true);
  assert.is(grants.map(b.domid, { address: HOST, ref: 9, dom: a.domid }).status, 'general_error');
  const own = { gmfn: b.p2m[5] as number, domid: SELF };
  const at = (offset: number, len: number): number => copy(xen, b, { ref: 9, domid: a.domid, offset }, own, len);
  assert.equal([at(0x200, 0x100), at(0x2ff, 1), at(0x300, 0)], [0, 0, 0]);
  assert.equal([at(0x1ff, 1), at(0x200, 0x101), at(0, 0), at(0xf00, 0x101)], [-1, -1, -1, -10]);
  grant2(xen, a, 9, { flags: 0x101, domid: b.domid, frame: a.p2m[9] as number, off: 0xff00, length: 0xffff });
  assert.is(at(0, 1), -1, 'a window beyond the page');
  grant2(xen, a, 9, { flags: PERMIT | READONLY, domid: b.domid, frame: a.p2m[9] as number });
  assert.is(copy(xen, b, own, { ref: 9, domid: a.domid }, 1), -1);
  table(xen, a).setUint32(9 * 16 + 12, 1, true);
  assert.is(copy(xen, b, { ref: 9, domid: a.domid }, own, 1), -9, 'a frame beyond 32 bits');
  assert.is(status(xen, a).getUint16(18, true), 0);
  for (const ref of [256, 511]) assert.is(copy(xen, b, { ref, domid: a.domid }, own, 1), -3, 'half as many references');
});

second('a transitive grant leads on to another domain\'s, once, for copies', async () => {
  const xen = await xenDomains();
  const { a, b, hvm, machine, hypervisor: { grants } } = xen;
  grants.setVersion(b.domid, 2);
  grantPage(xen, a, b, 8, 9);
  const own = { gmfn: 5, domid: SELF };
  const lead = (domid: number, ref: number, flags = 3): void => {
    grant2(xen, b, 8, { flags, domid: hvm.domid, frame: ref, off: domid });
  };
  const through = (): number => copy(xen, hvm, { ref: 8, domid: b.domid }, own, 4);
  page(machine, a, 9).setUint32(0, 99, true);
  lead(a.domid, 8);
  assert.is(through(), 0);
  assert.is(page(machine, hvm, 5).getUint32(0, true), 99);
  assert.is(copy(xen, hvm, own, { ref: 8, domid: b.domid }, 4), 0);
  assert.is(grants.map(hvm.domid, { address: HOST, ref: 8, dom: b.domid }).status, 'general_error');
  lead(b.domid, 9);
  assert.is(through(), -1, 'to itself');
  lead(99, 8);
  assert.is(through(), -1, 'to nobody');
  lead(a.domid, 9);
  assert.is(through(), -1, 'to what is not granted');
  lead(a.domid, 5000);
  assert.is(through(), -3);
  lead(a.domid, 8, 3 | READONLY);
  assert.is(copy(xen, hvm, own, { ref: 8, domid: b.domid }, 4), -1);
  grants.setVersion(a.domid, 2);
  grant2(xen, a, 8, { flags: 3, domid: b.domid, frame: 8, off: b.domid });
  lead(a.domid, 8);
  assert.is(through(), -1, 'no second step');
  assert.equal([status(xen, a).getUint16(16, true), status(xen, b).getUint16(16, true)], [0, 0]);
});

second('set_version: what may be, what is kept, what is refused', async () => {
  const xen = await xenDomains();
  const { a, b, machine, hypervisor: { grants } } = xen;
  for (const version of [0, 3, 0xffffffff]) assert.is(errnoOf(() => grants.setVersion(a.domid, version)), EINVAL);
  const frames = machine.hypervisor.freePages;
  const console = grantPage(xen, a, b, 0, 20);
  grantPage(xen, a, b, 8, 9);
  const kept = grants.map(b.domid, { address: HOST, ref: 0, dom: a.domid });
  const one = grants.map(b.domid, { address: HOST + PAGE, ref: 8, dom: a.domid });
  assert.is(errnoOf(() => grants.setVersion(a.domid, 2)), EBUSY);
  grants.unmap(b.domid, { address: HOST + PAGE, handle: one.handle });
  grants.setVersion(a.domid, 2);
  assert.is(machine.hypervisor.freePages, frames - 1);
  const view = table(xen, a);
  assert.equal([view.getUint16(0, true), view.getUint16(2, true), view.getUint32(8, true)], [PERMIT, b.domid, console]);
  assert.is(view.getUint32(8 * 16, true), 0, 'the others are cleared');
  assert.is(status(xen, a).getUint16(0, true), READING | WRITING, 'what is in use stays marked');
  // status frames are for reading
  const [mfn] = grants.statusFrames(a.domid, SELF, 1).frames as [number];
  assert.is(errnoOf(() => machine.hypervisor.updateVaMapping(a.domid, 0x80000, mfn, true)), EPERM);
  machine.hypervisor.updateVaMapping(a.domid, 0x80000, mfn, false);
  assert.is(machine.engine.exports.guestLoad(a.slot, 0x80000000, 0, 2), READING | WRITING);
  grant2(xen, a, 1, { flags: 3, domid: b.domid, frame: 8 });
  assert.is(errnoOf(() => grants.setVersion(a.domid, 1)), EINVAL);
  grant2(xen, a, 1, { flags: 0x101, domid: b.domid, frame: 8 });
  assert.is(errnoOf(() => grants.setVersion(a.domid, 1)), ERANGE);
  grant2(xen, a, 1, { flags: 0, domid: 0, frame: 0 });
  grants.setVersion(a.domid, 1);
  assert.is(machine.hypervisor.freePages, frames);
  assert.is(machine.engine.exports.guestMapGet(a.slot, 0x80000), 0, 'the status frame is out of the map');
  assert.is(flagsOf(xen, a, 0), PERMIT | READING | WRITING);
  grants.unmap(b.domid, { address: HOST, handle: kept.handle });
  assert.is(flagsOf(xen, a, 0), PERMIT);
});

second.run();

const tables = suite('tables');

tables('begin with a frame, grow, and are mapped by their domain', async () => {
  const xen = await xenDomains();
  const { a, b, hvm, machine, hypervisor } = xen;
  const { grants } = hypervisor;
  assert.equal(grants.querySize(a.domid, SELF), { status: 'okay', frames: 1, maxFrames: 64 });
  assert.equal(grants.querySize(0, a.domid).status, 'okay');
  assert.equal([grants.querySize(a.domid, b.domid).status, grants.querySize(a.domid, 99).status,
    grants.setupTable(a.domid, b.domid, 1).status, grants.setupTable(a.domid, 99, 1).status,
    grants.setupTable(a.domid, SELF, 65).status, grants.statusFrames(a.domid, SELF, 1).status,
    grants.statusFrames(a.domid, b.domid, 1).status],
  ['permission_denied', 'bad_domain', 'permission_denied', 'bad_domain', 'general_error', 'general_error', 'permission_denied']);
  // setup_table as on the wire: list of frames at the guest's page 4
  const { result, bytes } = call(xen, a, 2, hexBytes('f07f 0000 03000000 ffff 0000 00000000 00400000 00000000'));
  assert.equal([result, hexText(bytes.slice(8, 10))], [0, '0000']);
  const list = [0, 1, 2].map((i) => Number(page(machine, a, 4).getBigUint64(i * 8, true)));
  assert.equal(list, grants.frames(a));
  const query = call(xen, a, 6, hexBytes('f07f 0000 00000000 00000000 ffff 0000'));
  assert.is(hexText(query.bytes), 'f07f00000300000040000000' + '00000000');
  hypervisor.updateVaMapping(a.domid, 0x80000, list[2] as number, true);
  machine.engine.exports.guestStore(a.slot, 0x80000000 | 0, 0, 4, 1 | b.domid << 16, 0);
  machine.engine.exports.guestStore(a.slot, 0x80000004 | 0, 0, 4, a.p2m[9] as number, 0);
  assert.is(grants.map(b.domid, { address: HOST, ref: 1024, dom: a.domid }).status, 'okay');
  assert.is(errnoOf(() => hypervisor.updateVaMapping(b.domid, 0x80000, list[2] as number, false)), EPERM, 'nobody else\'s');
  // no device and no other domain gets at a table
  assert.is(machine.engine.exports.iommuOpMap(a.slot, 0, list[0] as number, 1, 3), 10);
  hypervisor.grants.addToPhysmap(hvm.domid, 4, 0x90000);
  assert.is(grants.querySize(hvm.domid, SELF).frames, 5);
  machine.engine.exports.guestStore(hvm.slot, 0x90000000 | 0, 0, 4, 5, 0);
  assert.is(table(xen, hvm, 4).getUint32(0, true), 5);
  assert.is(errnoOf(() => grants.addToPhysmap(hvm.domid, 64, 0x90000)), EINVAL);
  assert.is(errnoOf(() => grants.addToPhysmap(hvm.domid, 0x80000000, 0x90000)), EINVAL);
  grants.setVersion(hvm.domid, 2);
  grants.addToPhysmap(hvm.domid, 0x80000000, 0x90001);
  machine.engine.exports.guestStore(hvm.slot, 0x90001000 | 0, 0, 4, 5, 0);
  assert.is(machine.engine.status, 1, 'status is for reading');
  const version = call(xen, a, 10, hexBytes('f07f 0000 00000000'));
  assert.is(hexText(version.bytes), 'f07f000001000000');
  assert.is(call(xen, a, 8, hexBytes('07000000')).result, -EINVAL);
  assert.is(errnoOf(() => grants.version(a.domid, b.domid)), EPERM);
});

tables('swap_grant_ref exchanges two entries', async () => {
  const xen = await xenDomains();
  const { a, b, hypervisor: { grants } } = xen;
  grantPage(xen, a, b, 8, 9);
  grantPage(xen, a, b, 9, 10, PERMIT | READONLY);
  assert.is(hexText(call(xen, a, 11, hexBytes('08000000 09000000 ffff 0000')).bytes), '080000000900000000000000');
  assert.equal([flagsOf(xen, a, 8), flagsOf(xen, a, 9)], [PERMIT | READONLY, PERMIT]);
  assert.is(grants.map(b.domid, { address: HOST, ref: 9, dom: a.domid }).mfn, a.p2m[9]);
  assert.equal([grants.swap(a.domid, 8, 512), grants.swap(a.domid, 512, 8), grants.swap(a.domid, 8, 8)],
    ['bad_gntref', 'bad_gntref', 'okay']);
});

tables('a page is given away: to whom it was offered, and for good', async () => {
  const xen = await xenDomains('vtd');
  const { a, b, hvm, machine, hypervisor } = xen;
  const { grants } = hypervisor;
  machine.assign('0000:00:06.0', a, 'own-frames');
  machine.assign('0000:00:0e.0', b, 'own-frames');
  const given = a.p2m[9] as number;
  page(machine, a, 9).setUint32(0, 0xabcdef, true);
  assert.is(hypervisor.decreaseReservation(b.domid, [30, 31, 0]), 2, 'the shared page stays');
  grant(xen, b, 8, { flags: 2, domid: a.domid, frame: 31 });
  assert.is(grants.transfer(a.domid, b.p2m[1] as number, b.domid, 8), 'bad_page');
  assert.is(grants.transfer(a.domid, a.p2m[0] as number, b.domid, 8), 'bad_page');
  assert.is(grants.transfer(a.domid, 0xfffffff, b.domid, 8), 'bad_page');
  assert.is(grants.transfer(hvm.domid, hvm.p2m[4] as number, b.domid, 8), 'bad_page', 'PV only');
  const arg = new DataView(new ArrayBuffer(24));
  arg.setUint32(0, given, true);
  arg.setUint16(8, b.domid, true);
  arg.setUint32(12, 8, true);
  const done = call(xen, a, 4, new Uint8Array(arg.buffer));
  assert.equal([done.result, new DataView(done.bytes.buffer).getInt16(16, true)], [0, 0]);
  assert.is(flagsOf(xen, b, 8), 2 | 4 | 8, 'committed and completed');
  assert.is(table(xen, b).getUint32(8 * 8 + 4, true), given);
  assert.equal([b.p2m[31], machine.engine.exports.frameOwner(given), page(machine, b, 31).getUint32(0, true)], [given, b.domid, 0xabcdef]);
  assert.is(machine.engine.exports.guestMapGet(a.slot, 9), 0);
  assert.equal([machine.engine.exports.ioPageMapped(a.domid, given), machine.engine.exports.ioPageMapped(b.slot, given)], [0, 1]);
  // an offer is taken once, by whom it names, and what nobody takes is free
  const free = hypervisor.freePages;
  assert.is(grants.transfer(a.domid, a.p2m[10] as number, b.domid, 8), 'general_error');
  assert.is(grants.transfer(a.domid, a.p2m[11] as number, 99, 8), 'bad_domain');
  assert.is(grants.transfer(a.domid, a.p2m[12] as number, b.domid, 5000), 'general_error');
  grant(xen, b, 9, { flags: 2, domid: hvm.domid, frame: 30 });
  assert.is(grants.transfer(a.domid, a.p2m[13] as number, b.domid, 9), 'general_error');
  assert.is(hypervisor.freePages, free + 4);
  grant(xen, b, 9, { flags: 2, domid: a.domid, frame: 0xffffffff });
  assert.is(grants.transfer(a.domid, a.p2m[14] as number, b.domid, 9), 'okay', 'any hole will do');
  grant(xen, b, 10, { flags: 2, domid: a.domid, frame: 30 });
  assert.is(grants.transfer(a.domid, a.p2m[15] as number, b.domid, 10), 'general_error', 'no room is left');
  const restored = await Machine.restore(machine.save());
  assert.equal(restored.digest(), machine.digest());
});

tables.run();

const life = suite('grants and the life of a domain');

life('a mapper that ends releases what it had; a granter that ends leaves it until it is unmapped', async () => {
  const xen = await xenDomains();
  const { a, machine, hypervisor } = xen;
  const make = (): Domain => hypervisor.createDomain({ name: 'short', kind: 'pv', pages: 64 });
  hypervisor.destroyDomain(make().domid);
  const before = machine.digest();

  const mapper = make();
  for (const ref of [8, 9, 10]) {
    grantPage(xen, a, mapper, ref, ref);
    for (let i = 0; i < 3; i++) hypervisor.grants.map(mapper.domid, { address: HOST + (ref * 3 + i) * PAGE, ref, dom: a.domid, device: true });
  }
  assert.equal(hypervisor.grants.refsInUse(a), [8, 9, 10]);
  hypervisor.destroyDomain(mapper.domid);
  assert.equal([8, 9, 10].map((ref) => flagsOf(xen, a, ref)), [PERMIT, PERMIT, PERMIT]);
  assert.equal(difference(before, machine.digest()), []);

  const granter = make();
  hypervisor.grants.setupTable(granter.domid, SELF, 5);
  const mfn = grantPage(xen, granter, a, 2000, 7);
  page(machine, granter, 7).setUint32(0, 55, true);
  const one = hypervisor.grants.map(a.domid, { address: HOST, ref: 2000, dom: granter.domid });
  hypervisor.destroyDomain(granter.domid);
  assert.is(hypervisor.heldPages, 1);
  assert.is(machine.engine.exports.guestLoad(a.slot, HOST, 0, 4), 55);
  const next = make();
  assert.is(next.slot, granter.slot);
  assert.not.ok(next.p2m.includes(mfn), 'nobody gets a frame that is mapped');
  assert.equal(hypervisor.grants.refsInUse(next), []);
  grantPage(xen, next, a, 8, 3);
  assert.is(hypervisor.grants.map(a.domid, { address: HOST + PAGE, ref: 8, dom: granter.domid }).status, 'bad_domain');
  const saved = await Machine.restore(machine.save());
  assert.is(saved.hypervisor.heldPages, 1);
  assert.is(saved.hypervisor.grants.unmap(a.domid, { address: HOST, handle: one.handle }), 'okay');
  assert.is(saved.hypervisor.heldPages, 0);
  assert.is(hypervisor.grants.unmap(a.domid, { address: HOST, handle: one.handle }), 'okay');
  assert.is(hypervisor.heldPages, 0);
  hypervisor.destroyDomain(next.domid);
  assert.equal(difference(before, machine.digest()), []);
});

life('the machine\'s one OS has no grants', async () => {
  const machine = await Machine.create({ memory: '8MiB', owner: 'native', iommu: 'none', devices: [] });
  const { domid, slot } = machine.dom0;
  assert.is(machine.hypervisor.grantTableOp(domid, 0, 0, 1), -ENOSYS);
  assert.is(machine.hypervisor.grantTableOp(domid, 6, 0, 1), -ENOSYS);
  assert.is(machine.engine.exports.grantMap(slot, HOST, 0, 2, 0, 0), -2);
});

life.run();
