// Advisories on the PCI split driver, on a whole machine: xl, pciback and pcifront as they are, and a guest whose kernel
// writes into the shared page by itself. Which guard each test stands for is in scripts/mutants-advisories.mjs.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { XenstoreClient } from '../../../src/xen/xenstore/client';
import { guestConfig } from '../../helpers/toolstack';
import { type XlMachine, xlMachine } from '../../helpers/xl-machine';

const test = suite('advisories: the split driver');

const [EXPRESS, EDU] = [0x28, 0x30];
const [ENXIO, EINVAL, OP_FAILED, EALREADY] = [-6, -22, -5, -114];
/** Where the guest sees them: slots 0 and 1. */
const [EXPRESS_DEVFN, EDU_DEVFN] = [0, 8];

interface Op {
  cmd: number;
  devfn: number;
  offset?: number;
  size?: number;
  value?: number;
  entries?: number[];
}

interface Guest extends XlMachine {
  domid: number;
  bytes(): Uint8Array;
  ask(op: Op): { err: number; value: number };
}

/** A guest with the 82574L and edu, both ends connected. */
async function guestOf(one: XlMachine, domid: number): Promise<Guest> {
  const made = one.create(guestConfig(['00:05.0', '00:06.0']));
  assert.is(made.code, 0, made.stderr);
  const { xen, hypervisor, engine } = one.machine;
  xen.scheduler.pass(1e6);
  const store = new XenstoreClient(xen.store);
  const front = `/local/domain/${domid}/device/pci/0`;
  assert.is(store.read(`${front}/state`), '4');
  const [ref, port] = ['pci-op-ref', 'event-channel'].map((key) => Number(store.read(`${front}/${key}`))) as [number, number];
  // version 1 of grant tables: the frame is in the second word of an entry
  const table = engine.frame(hypervisor.grants.frames(hypervisor.domain(domid))[0] as number);
  const frame = new DataView(table.buffer, table.byteOffset).getUint32(ref * 8 + 4, true);
  const view = (): DataView => new DataView(engine.frame(frame).buffer, engine.frame(frame).byteOffset, 4096);
  return { ...one, domid, bytes: () => engine.frame(frame), ask: ({ cmd, devfn, offset = 0, size = 0, value = 0, entries = [] }) => {
    [cmd, 0, 0, 0, devfn, offset, size, value].forEach((word, i) => view().setInt32(4 + 4 * i, word, true));
    entries.forEach((entry, i) => view().setUint32(40 + 4 * i, entry << 16, true));
    view().setUint32(0, view().getUint32(0, true) | 1, true);
    hypervisor.events.send(domid, port);
    xen.scheduler.pass(0);
    assert.is(view().getUint32(0, true) & 1, 0, 'it is answered');
    return { err: view().getInt32(8, true), value: view().getUint32(32, true) };
  } };
}

async function machine(): Promise<XlMachine> {
  const one = await xlMachine();
  for (const bdf of ['00:05.0', '00:06.0']) assert.is(one.run('pci-assignable-add', bdf).code, 0);
  return one;
}

test('XSA-43 (live): what a guest makes fail a thousand times is ten lines in the first domain\'s log', async () => {
  const one = await machine();
  const { ask } = await guestOf(one, 1);
  const { log } = one.machine.xen.kernel;
  const lines = (domid: number): number => log.filter((line) => line.includes(`for guest ${domid}`)).length;
  for (let i = 0; i < 1000; i++) assert.is(ask({ cmd: 4, devfn: EXPRESS_DEVFN, value: 1, entries: [9] }).err, EINVAL);
  // one line of the ten may be that of a write which was dropped
  assert.ok([9, 10].includes(lines(1)), `${lines(1)} lines`);
  assert.is(ask({ cmd: 0, devfn: EXPRESS_DEVFN, size: 4 }).value, 0x10d38086);
  assert.is(one.run('destroy', 'guest').code, 0);
  const next = await guestOf(one, 2);
  for (let i = 0; i < 50; i++) next.ask({ cmd: 4, devfn: EXPRESS_DEVFN, value: 1, entries: [9] });
  assert.ok([9, 10].includes(lines(2)), `${lines(2)} lines of the next`);
});

test('XSA-157 (live): operations on messages, in every order, leave one kind on at most', async () => {
  const one = await machine();
  const { ask } = await guestOf(one, 1);
  const { xen, hypervisor } = one.machine;
  const word = (off: number): number => xen.pci.config(EXPRESS).read(off, 2);
  /** MSI and MSI-X of the hardware, and vectors of the guest. */
  const on = (): number[] => [word(0xd2) & 1, word(0xa2) >> 15, hypervisor.vectors.filter(({ domid }) => domid === 1).length];
  for (const cmd of [3, 5]) assert.is(ask({ cmd, devfn: EXPRESS_DEVFN }).err, 0);
  assert.equal(on(), [0, 0, 0]);
  assert.is(ask({ cmd: 2, devfn: EXPRESS_DEVFN }).err, 0);
  assert.is(ask({ cmd: 2, devfn: EXPRESS_DEVFN }).err, OP_FAILED);
  assert.is(ask({ cmd: 4, devfn: EXPRESS_DEVFN, value: 2, entries: [0, 1] }).err, ENXIO);
  assert.equal(on(), [1, 0, 1]);
  ask({ cmd: 3, devfn: EXPRESS_DEVFN });
  assert.equal(on(), [0, 0, 0]);
  assert.is(ask({ cmd: 4, devfn: EXPRESS_DEVFN, value: 2, entries: [0, 1] }).err, 0);
  assert.is(ask({ cmd: 4, devfn: EXPRESS_DEVFN, value: 2, entries: [2, 3] }).err, EALREADY);
  assert.is(ask({ cmd: 2, devfn: EXPRESS_DEVFN }).err, OP_FAILED);
  assert.equal(on(), [0, 1, 2]);
  // no MSI-X, and nothing there
  assert.is(ask({ cmd: 4, devfn: EDU_DEVFN, value: 1, entries: [0] }).err, EINVAL);
  assert.is(ask({ cmd: 2, devfn: 16 }).err, -1);
  assert.is(one.run('destroy', 'guest').code, 0);
  assert.equal(on(), [0, 0, 0]);
  assert.is(hypervisor.ownerOf(EDU), 0x7ff1);
});

test('XSA-403: the page that a guest shares shows nothing of what lay there before', async () => {
  const one = await machine();
  const { engine } = one.machine;
  const { createDomain } = one.machine.hypervisor;
  one.machine.hypervisor.createDomain = function dirty(options) {
    const domain = createDomain.call(this, options);
    // but for the page that the hypervisor shares
    for (const mfn of domain.p2m.slice(1)) engine.frame(mfn).fill(0xee);
    return domain;
  };
  const { bytes } = await guestOf(one, 1);
  // flags, operation, and behind them what nobody has used
  assert.is(bytes().subarray(4 + 548 + 20).every((byte) => byte === 0), true);
});

test.run();
