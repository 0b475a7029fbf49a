// XENMEM_exchange: xen-abi.md 9.2.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import { EDU, controlPlane } from '../../helpers/control-plane';
import { codeOf } from '../../helpers/guest-machine';

const exchange = suite('exchange of memory');

const ANY = { order: 0, newOrder: 0, addressBits: 0 };

exchange('makes pages lie together, below a limit, zeroed, and within the device\'s reach; the old ones are free', async () => {
  const { hypervisor, domctl, guest, machine, dma } = await controlPlane();
  domctl.assignDevice(guest.domid, EDU);
  const pages = [16, 17, 18, 19, 20, 21, 22, 23];
  const old = pages.map((pfn) => guest.p2m[pfn] as number);
  for (const mfn of old) machine.engine.frame(mfn).fill(0x55);
  const free = hypervisor.freePages;
  const done = hypervisor.exchange(guest.domid, { frames: old, order: 0, pages: [16], newOrder: 3, addressBits: 23 });
  assert.is(done.error, undefined);
  assert.is(done.exchanged, 8);
  const [first] = done.frames as [number];
  assert.is(first % 8, 0);
  assert.ok((first + 8) * 4096 <= 2 ** 23);
  assert.equal(pages.map((pfn) => guest.p2m[pfn]), pages.map((_, i) => first + i));
  assert.is(hypervisor.freePages, free);
  assert.equal([machine.engine.exports.frameOwner(first + 7), machine.engine.exports.frameOwner(old[3] as number)], [guest.domid, 0xffff]);
  assert.is(machine.engine.exports.guestLoad(guest.slot, 19 * 4096, 0, 4), 0, 'mapped where it was, and nobody\'s bytes in it');
  assert.equal([dma(EDU, (first + 5) * 4096), dma(EDU, (old[2] as number) * 4096)], [0, 3]);
  // and apart again
  const apart = hypervisor.exchange(guest.domid, { frames: [first], order: 3, pages, newOrder: 0, addressBits: 0 });
  assert.equal([apart.error, apart.exchanged, apart.frames.length], [undefined, 1, 8]);
  assert.equal(pages.map((pfn) => guest.p2m[pfn]), apart.frames);
});

exchange('refusals change nothing', async () => {
  const { hypervisor, guest, plain, domctl, machine, refused } = await controlPlane();
  const [a, b] = [guest.p2m[5] as number, guest.p2m[6] as number];
  const hvm = domctl.createDomain({ name: 'h', kind: 'hvm', pages: 16, iommu: false });
  const call = (request: Partial<Parameters<typeof hypervisor.exchange>[1]>, domid = guest.domid): void => {
    const { error } = hypervisor.exchange(domid, { frames: [a], pages: [5], ...ANY, ...request });
    if (error !== undefined) throw error;
  };
  const cases: Array<[what: string, call: () => void, code: string]> = [
    ['an HVM guest', () => call({}, hvm.domid), 'EINVAL'],
    ['order beyond a guest\'s', () => call({ order: 10, newOrder: 10 }), 'EPERM'],
    ['order beyond a guest\'s, of what is got', () => call({ frames: [], pages: [], newOrder: 10 }), 'EPERM'],
    ['order beyond dom0\'s', () => call({ order: 13, newOrder: 13 }, 0), 'EPERM'],
    ['sizes that differ', () => call({ pages: [5, 6] }), 'EINVAL'],
    ['sizes that differ by order', () => call({ frames: [a, b], pages: [5], newOrder: 2 }), 'EINVAL'],
    ['another\'s frame', () => call({ frames: [plain.p2m[5] as number] }), 'EINVAL'],
    ['a frame twice', () => call({ frames: [a, a], pages: [5], newOrder: 1 }), 'EINVAL'],
    ['a limit below the first page', () => call({ addressBits: 1 }), 'ENOMEM'],
    ['a page beyond its memory', () => call({ pages: [256] }), 'EINVAL'],
    ['a page whose frame is not given up', () => call({ pages: [6] }), 'EINVAL'],
    ['the shared info page', () => call({ frames: [guest.p2m[0] as number], pages: [0] }), 'EINVAL'],
    ['frames below the firmware\'s', () => call({ addressBits: 20 }), 'ENOMEM'],
    ['no such frame', () => call({ frames: [0xfffffff] }), 'EINVAL'],
    ['too much at once', () => call({ frames: new Array<number>(4097).fill(a), pages: new Array<number>(4097).fill(5) }), 'E2BIG'],
  ];
  for (const [what, one, code] of cases) refused(one, code, what);
  // granted and mapped by another: held
  const table = machine.engine.frame(hypervisor.grants.setupTable(guest.domid, 0x7ff0, 1).frames[0] as number);
  const entry = new DataView(table.buffer, table.byteOffset + 9 * 8, 8);
  entry.setUint16(2, plain.domid, true);
  entry.setUint32(4, b, true);
  entry.setUint16(0, 1, true);
  const mapped = hypervisor.grants.map(plain.domid, { address: 0x80000000, ref: 9, dom: guest.domid });
  assert.is(mapped.status, 'okay');
  refused(() => call({ frames: [a, b], pages: [5], newOrder: 1 }), 'EINVAL', 'one of two is held');
  const before = machine.digest();
  const { exchanged, error } = hypervisor.exchange(guest.domid, { frames: [a, b], pages: [5, 6], ...ANY });
  assert.equal([exchanged, error?.code], [1, 'EINVAL'], 'as far as it goes');
  assert.is.not(guest.p2m[5], a);
  assert.is(guest.p2m[6], b);
  assert.equal(machine.digest().pools, before.pools);
});

exchange('as a hypercall, in the layout of the public header', async () => {
  const { hypervisor, guest, machine } = await controlPlane();
  const page = (pfn: number): DataView => {
    const bytes = machine.engine.frame(guest.p2m[pfn] as number);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  const u64 = (view: DataView, off: number, value: number): void => { view.setBigUint64(off, BigInt(value), true); };
  const args = page(3);
  const fill = (changes: Array<[off: number, bytes: number, value: number]> = []): void => {
    for (let i = 0; i < 72; i++) args.setUint8(i, 0);
    u64(args, 0, 4 * 4096);
    u64(args, 8, 4);
    args.setUint16(24, 0x7ff0, true);
    u64(args, 32, 5 * 4096);
    u64(args, 40, 1);
    args.setUint32(48, 2, true);
    args.setUint16(56, 0x7ff0, true);
    for (const [off, bytes, value] of changes) {
      if (bytes === 8) u64(args, off, value);
      else if (bytes === 4) args.setUint32(off, value, true);
      else args.setUint16(off, value, true);
    }
    [40, 41, 42, 43].forEach((pfn, i) => { u64(page(4), i * 8, guest.p2m[pfn] as number); });
    u64(page(5), 0, 40);
  };
  for (const [changes, result, what] of [
    [[[56, 2, 0]], -22, 'other domain on the other side'], [[[24, 2, 0], [56, 2, 0]], -1, 'another\'s memory'],
    [[[40, 8, 2]], -22, 'sizes'], [[[64, 8, 5]], -22, 'more done than there is'], [[[8, 8, 2 ** 40]], -22, 'a list without end'],
    [[[16, 4, 10], [48, 4, 12]], -1, 'order'], [[[0, 8, 0x70000000]], -14, 'list not the guest\'s memory'], [[[52, 4, 13]], -12, 'limit'],
  ] as Array<[Array<[number, number, number]>, number, string]>) {
    fill(changes);
    const before = guest.p2m.slice();
    assert.is(hypervisor.memoryOp(guest.domid, 11, 3 * 4096), result, what);
    assert.equal(guest.p2m, before, what);
  }
  fill();
  assert.is(hypervisor.memoryOp(guest.domid, 11, 3 * 4096), 0);
  const first = Number(page(5).getBigUint64(0, true));
  assert.equal([40, 41, 42, 43].map((pfn) => guest.p2m[pfn]), [first, first + 1, first + 2, first + 3]);
  assert.is(Number(args.getBigUint64(64, true)), 4);
  assert.equal([hypervisor.memoryOp(guest.domid, 6, 0), hypervisor.memoryOp(guest.domid, 11, 0x70000000)], [-38, -14]);
  assert.is(codeOf(() => new Domctl(hypervisor, guest.domid).list()), 'EPERM');
});

exchange.run();
