// Operations on the shared page (xen-passthrough.md 1): layout, answers, one private copy, whatever a guest writes there.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OpServer } from '../../../src/xen/pciback/op-server';
import type { FrontLink } from '../../../src/xen/pciback/front-link';
import { PciPage } from '../../../src/xen/pciif';
import { E1000, FakeDevice, PciSplit } from '../../helpers/pci-split';

/** Offsets in struct xen_pci_sharedinfo. */
const AT = { flags: 0, cmd: 4, err: 8, domain: 12, bus: 16, devfn: 20, offset: 24, size: 28, value: 32, msix: 40 };
const ACTIVE = 1;

interface Op {
  cmd: number;
  domain?: number;
  bus?: number;
  devfn?: number;
  offset?: number;
  size?: number;
  value?: number;
}

function put(page: DataView, { cmd, domain = 0, bus = 0, devfn = 0, offset = 0, size = 0, value = 0 }: Op): void {
  page.setUint32(AT.cmd, cmd, true);
  page.setInt32(AT.err, 0x5a5a, true);
  page.setUint32(AT.domain, domain, true);
  page.setUint32(AT.bus, bus, true);
  page.setUint32(AT.devfn, devfn, true);
  page.setInt32(AT.offset, offset, true);
  page.setInt32(AT.size, size, true);
  page.setUint32(AT.value, value, true);
}

/** Does an operation as a guest does, by hand. */
function ask(split: PciSplit, op: Op): { err: number; value: number; flags: number } {
  const page = split.domU.page(split.pages[0] as number);
  put(page, op);
  page.setUint32(AT.flags, page.getUint32(AT.flags, true) | ACTIVE, true);
  split.machine.hypervisor.events.send(split.domid, Number(split.read(`${split.front}/event-channel`)));
  split.scheduler.settle();
  return { err: page.getInt32(AT.err, true), value: page.getUint32(AT.value, true), flags: page.getUint32(AT.flags, true) };
}

async function connected(): Promise<PciSplit> {
  const split = await PciSplit.create();
  split.connect();
  for (const device of split.stub.seized) device.ops.length = 0;
  return split;
}

const layout = suite('the page');

layout('a config read of 00:01.0, offset 0x10, byte by byte', async () => {
  const split = await connected();
  const view = split.domU.page(split.pages[0] as number);
  const bytes = new Uint8Array(view.buffer, view.byteOffset, 4096);
  // the rest of the page is what a guest keeps zero
  assert.is(bytes.subarray(572).every((byte) => byte === 0), true);
  bytes.set(Buffer.from('00000000 78563412 00000000 00000000 08000000 10000000 04000000 00000000'.replaceAll(' ', ''), 'hex'), 4);
  view.setUint32(0, 3, true);
  split.machine.hypervisor.events.send(split.domid, Number(split.read(`${split.front}/event-channel`)));
  split.scheduler.settle();
  assert.is(Buffer.from(bytes.subarray(0, 36)).toString('hex'),
    '02000000' + '00000000' + '00000000' + '00000000' + '00000000' + '08000000' + '10000000' + '04000000' + '000040fe');
});

layout('a page that was used before shows nothing of it', async () => {
  const split = await PciSplit.create();
  const bytes = split.machine.engine.frame(split.domain.p2m[16] as number);
  bytes.fill(0xee);
  split.record();
  split.addFirst('0000:00:04.0');
  split.boot();
  while (split.pages.length === 0) split.scheduler.pass(1);
  const op = 4 + 548;
  assert.is(bytes.subarray(op).every((byte) => byte === 0), true);
});

layout('answers of every operation', async () => {
  const split = await connected();
  const edu = split.stub.seized[1] as FakeDevice;
  const devfn = 8;
  assert.equal(ask(split, { cmd: 0, devfn, offset: 0, size: 4 }), { err: 0, value: 0x11e81234, flags: 2 });
  assert.equal(ask(split, { cmd: 1, devfn, offset: 4, size: 2, value: 7 }), { err: 0, value: 7, flags: 2 });
  assert.equal(ask(split, { cmd: 2, devfn }), { err: 0, value: 55, flags: 2 });
  assert.equal(ask(split, { cmd: 3, devfn, value: 9 }), { err: 0, value: 21, flags: 2 });
  assert.equal(ask(split, { cmd: 5, devfn }), { err: 0, value: 21, flags: 2 });
  assert.is(edu.intxUpdates > 0, true);
  edu.msi = { err: -5, value: 0 };
  assert.equal(ask(split, { cmd: 2, devfn }), { err: -5, value: 0, flags: 2 });
  // multi-message MSI, the AER operations and all that is none
  for (const cmd of [6, 7, 8, 9, 10, 11, 0xffffffff]) assert.is(ask(split, { cmd, devfn }).err, -4);
});

layout('MSI-X: vectors are answered, and nothing of the entries beyond them', async () => {
  const split = await connected();
  const edu = split.stub.seized[1] as FakeDevice;
  edu.msix = { err: 0, value: 0, pirqs: [55, 54, 53] };
  const page = split.domU.page(split.pages[0] as number);
  for (let i = 0; i < 4; i++) page.setUint32(AT.msix + 4 * i, 0xffff | i << 16, true);
  assert.equal(ask(split, { cmd: 4, devfn: 8, value: 3 }), { err: 0, value: 0, flags: 2 });
  assert.is(edu.ops.at(-1), 'enable msix 0,1,2');
  assert.equal([0, 1, 2, 3].map((i) => page.getUint32(AT.msix + 4 * i, true)), [55, 0x10036, 0x20035, 0x3ffff]);
  edu.msix = { err: 0, value: 2, pirqs: [] };
  assert.equal(ask(split, { cmd: 4, devfn: 8, value: 3 }), { err: 0, value: 2, flags: 2 });
  for (const n of [129, 0x7fffffff, 0xffffffff]) {
    assert.equal(ask(split, { cmd: 4, devfn: 8, value: n }), { err: -22, value: n, flags: 2 });
  }
  edu.msix = { err: -114, value: 3, pirqs: [] };
  assert.equal(ask(split, { cmd: 4, devfn: 8, value: 3 }), { err: -114, value: 3, flags: 2 });
});

layout.run();

const hostile = suite('hostile guests');

hostile('whatever stands in the page is answered, and reaches no device that is not the guest\'s', async () => {
  const split = await connected();
  const extremes = [-0x80000000, -1, 0, 1, 3, 255, 256, 4095, 4096, 0x7fffffff];
  for (const cmd of [0, 1]) {
    for (const offset of extremes) {
      for (const size of [...extremes, 2, 4, 8]) {
        const valid = [1, 2, 4].includes(size) && offset >= 0 && offset % size === 0 && offset + size <= 4096;
        const { err, flags } = ask(split, { cmd, devfn: 8, offset, size, value: 0xffffffff });
        assert.equal([err, flags], [valid ? 0 : -2, 2], `cmd ${cmd}, offset ${offset}, size ${size}`);
      }
    }
  }
  for (const [domain, bus, devfn] of [[1, 0, 8], [0xffffffff, 0, 8], [0, 1, 8], [0, 0xffffffff, 8], [0, 0, 9], [0, 0, 0x108],
    [0, 0, 0xffffffff], [0, 0, 0x38]] as const) {
    for (const cmd of [0, 1, 2, 3, 4, 5, 99]) {
      assert.equal(ask(split, { cmd, domain, bus, devfn, size: 4, value: 3 }), { err: -1, value: 3, flags: 2 });
    }
  }
  assert.equal(split.stub.seized[2]?.ops, []);
});

hostile('the op is rewritten while the device is read: only the first version counts', async () => {
  const split = await connected();
  const [e1000, edu] = split.stub.seized as [FakeDevice, FakeDevice];
  const page = split.domU.page(split.pages[0] as number);
  edu.onAccess = () => {
    put(page, { cmd: 1, devfn: 0, offset: 4, size: 2, value: 0xffff });
    page.setUint32(AT.flags, 7, true);
  };
  const { err, value } = ask(split, { cmd: 0, devfn: 8, offset: 0, size: 4 });
  edu.onAccess = undefined;
  assert.equal([err, value], [0, 0x11e81234]);
  assert.equal(edu.ops, ['r 0/4']);
  assert.equal(e1000.ops, []);
  // the rest of the guest's page is its own still
  assert.is(page.getUint32(AT.cmd, true), 1);
  assert.is(page.getUint32(AT.value, true), 0x11e81234);
});

/** A page whose op is another one each time that it is looked at. */
function restless(first: Op, next: Op): { link: FrontLink; looks: () => number; bytes: Uint8Array } {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  put(view, first);
  view.setUint32(AT.flags, ACTIVE, true);
  let looks = 0;
  // flags, then the op; from then on it is something else
  const page = new PciPage(() => {
    if (++looks > 2) {
      put(view, next);
      view.setUint32(AT.flags, view.getUint32(AT.flags, true) | ACTIVE, true);
    }
    return bytes;
  });
  const link = { open: true, page, notify: () => undefined } as unknown as FrontLink;
  return { link, looks: () => looks, bytes };
}

hostile('every field is read once: the page changes after the first look', () => {
  const device = new FakeDevice(E1000);
  const later = { cmd: 1, devfn: 0xffffffff, offset: -1, size: 77, value: 1 };
  const { link } = restless({ cmd: 0, devfn: 0, offset: 0, size: 4 }, later);
  const server = new OpServer(link, { find: (segment, bus, devfn) => (segment + bus + devfn === 0 ? device : undefined) });
  server.handle();
  assert.equal(device.ops, ['r 0/4']);
});

hostile('a page that always wants something is served a bounded number of times', () => {
  const device = new FakeDevice(E1000);
  const op = { cmd: 0, devfn: 0, offset: 0, size: 4 };
  const { link } = restless(op, op);
  const server = new OpServer(link, { find: () => device });
  server.handle();
  assert.is(server.served, 8);
});

hostile('a storm of events with nothing in the page comes to rest', async () => {
  const split = await connected();
  const port = Number(split.read(`${split.front}/event-channel`));
  const server = split.backend?.exports[0]?.server;
  const before = server?.spurious ?? 0;
  for (let i = 0; i < 2000; i++) {
    split.machine.hypervisor.events.send(split.domid, port);
    split.scheduler.settle();
  }
  assert.is((server?.spurious ?? 0) - before, 2000);
  assert.is(ask(split, { cmd: 0, devfn: 0, size: 4 }).value, 0x100e8086);
});

hostile('a device that cannot answer is an operation that failed', async () => {
  const split = await connected();
  const edu = split.stub.seized[1] as FakeDevice;
  edu.onAccess = () => { throw Object.assign(new Error('no answer'), { errno: 5 }); };
  assert.equal(ask(split, { cmd: 0, devfn: 8, size: 4, value: 17 }), { err: -5, value: 17, flags: 2 });
});

hostile('the page is unmapped while an operation is served: nothing is written any more', async () => {
  const split = await connected();
  const edu = split.stub.seized[1] as FakeDevice;
  const page = split.domU.page(split.pages[0] as number);
  edu.onAccess = () => split.backend?.exports[0]?.disconnect();
  assert.equal(ask(split, { cmd: 0, devfn: 8, size: 4 }), { err: 0x5a5a, value: 0, flags: 3 });
  assert.equal(split.machine.hypervisor.grants.mapped(split.machine.dom0), []);
  assert.is(page.getUint32(AT.flags, true), 3);
});

hostile.run();
