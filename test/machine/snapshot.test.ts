import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DmaMap } from '../../assembly/spec/driver';
import { Edu } from '../../assembly/spec/edu';
import { Journal, FunctionRecord, Messages, State, StateSize } from '../../assembly/spec/state';
import { Vtd, VtdFsts, VtdInv } from '../../assembly/spec/vtd';
import { generateStore } from '../../src/devices/links/store';
import { edu } from '../../src/devices/edu/index';
import { EduDriver } from '../../src/drivers/edu';
import type { EngineHost, InterruptMessage } from '../../src/engine/index';
import { Cell, type CellSnapshot } from '../../src/lab/cell';
import { BYSTANDER, NIC, setupOf } from '../../src/lab/matrix';
import { Machine } from '../../src/machine/machine';
import type { MachineSnapshot } from '../../src/machine/snapshot';
import { newMemory } from '../helpers/artefact';
import { differencesOf, evidenceOf } from '../helpers/evidence';

const MIB = 2 ** 20;
const SMALL = { memory: '8MiB', dom0: { memory: '2MiB' }, devices: [{ model: 'edu', bdf: '00:06.0' }] };
const stream = { name: 'imix', store: generateStore('imix', 'imix', 128, 3), packets: 512 };

/** As a file or a socket would give it back: nothing is shared with the machine that it is of. */
function carried<S extends { state: Uint8Array; ram: Uint8Array; document: unknown }>(snapshot: S): S {
  const { state, ram, document } = snapshot;
  const plain: unknown = JSON.parse(JSON.stringify(document));
  return { state: Uint8Array.from(state), ram: Uint8Array.from(ram), document: plain } as S;
}

async function cellIn(policy: 'strict' | 'lazy', place: EngineHost): Promise<Cell> {
  return Cell.create(setupOf('pv-iommu', policy), stream,
    { seed: 7, batch: 32, allocator: 'magazine', ...place as object });
}

/**
 * Leaves everything half done: frames wait on the link, the NIC has descriptors, units are owed, unmaps wait for their
 * flush, a transfer of edu has time left, an MSI has come and one waits, and the invalidation queue stands still.
 */
function disturb(cell: Cell): void {
  const { machine, bystander } = cell;
  const { exports } = machine.engine;
  cell.forward(300);
  machine.link(NIC).offer(20);
  exports.service(machine.engine.now, 9);
  exports.service(machine.engine.now, 1);
  // an MSI in the queue that nobody has polled, and one that the next service sends
  bystander.write(Edu.STATUS, Edu.STATUS_RAISE);
  bystander.write(Edu.FACTORIAL, 5);
  exports.service(machine.engine.now, 40);
  bystander.write(Edu.INTERRUPT_ACKNOWLEDGE, Edu.INTERRUPT_FACTORIAL);
  bystander.write(Edu.DMA_SOURCE, machine.guest(machine.dom0).machineAddress(0x1000));
  bystander.write(Edu.DMA_DESTINATION, Edu.BUFFER);
  bystander.write(Edu.DMA_COUNT, 64);
  bystander.write(Edu.DMA_COMMAND, Edu.DMA_START | Edu.DMA_RAISE);
  bystander.write(Edu.FACTORIAL, 6);
  // a descriptor of no type stops the queue, with a good one behind it
  const queue = new DataView(machine.engine.frame(exports.registerRead(0, 0, Vtd.IQA, 4) >>> 12).buffer);
  const first = exports.framePtr(exports.registerRead(0, 0, Vtd.IQA, 4) >>> 12) >>> 0;
  const tail = exports.registerRead(0, 0, Vtd.IQT, 4);
  for (const [i, low] of [15, VtdInv.IOTLB | VtdInv.G_GLOBAL << VtdInv.G_SHIFT].entries()) {
    const at = first + (tail + 16 * i) % 4096;
    for (const off of [0, 4, 8, 12]) queue.setUint32(at + off, off === 0 ? low : 0, true);
  }
  exports.registerWrite(0, 0, Vtd.IQT, 4, (tail + 32) % 4096, 0);
}

function requireDisturbed(cell: Cell): void {
  const { engine } = cell.machine;
  const link = cell.machine.link(NIC).status();
  assert.ok(link.offered > link.taken, 'frames wait on the link');
  const record = State.FUNCTION_TABLE + cell.machine.functionOf(BYSTANDER) * StateSize.FUNCTION_RECORD;
  assert.is.not(engine.word(record + FunctionRecord.PENDING), 0, 'an MSI waits');
  const [head, tail] = [engine.word(State.MESSAGES + Messages.HEAD), engine.word(State.MESSAGES + Messages.TAIL)];
  assert.is.not(head, tail, 'a message waits');
  const map = cell.driver.dma.off;
  assert.is.not(engine.word(map + DmaMap.QUEUE_HEAD), engine.word(map + DmaMap.QUEUE_TAIL), 'unmaps wait');
  const register = (off: number): number => engine.exports.registerRead(0, 0, off, 4);
  assert.is.not(register(Vtd.IQH), register(Vtd.IQT), 'invalidations wait');
  assert.is.not(engine.word(State.DEBT), 0, 'units are owed');
  assert.ok(engine.exports.nextDeadline() > engine.now, 'a transfer is under way');
}

/** The same from here on, whoever does it: repairs the queue, works, sends, makes a domain, takes heap. */
function goOn(cell: Cell): InterruptMessage[] {
  const { machine } = cell;
  const { engine } = machine;
  const { exports } = engine;
  const messages: InterruptMessage[] = [];
  const poll = (): void => {
    for (let one = engine.pollMessage(); one !== undefined; one = engine.pollMessage()) messages.push(one);
  };
  const head = exports.registerRead(0, 0, Vtd.IQH, 4);
  const at = (exports.framePtr(exports.registerRead(0, 0, Vtd.IQA, 4) >>> 12) >>> 0) + head;
  engine.view.setUint32(at, VtdInv.INTERRUPT, true);
  exports.registerWrite(0, 0, Vtd.FSTS, 4, VtdFsts.IQE, 0);
  while (exports.service(engine.now, 13) === 1) poll();
  poll();
  cell.forward(300);
  machine.run(200_000_000);
  const guest = machine.guest(machine.dom0);
  const va = guest.allocPages(3);
  guest.store(va, 4, 0x12345678);
  const other = machine.createDomain({ name: 'other', memory: '1MiB' });
  assert.is(exports.guestLoad(other.slot, 0x1000, 0, 4), 0);
  const off = engine.heap.take(5000, 'a test');
  engine.setWord(off, 0x600d);
  machine.unassign(NIC, cell.guest.domain);
  machine.removeDevice(NIC);
  engine.setWord(engine.heap.take(100_000, 'a test'), 0x600d);
  machine.run(1000);
  poll();
  return messages;
}

const PLACES: Array<[name: string, host: () => EngineHost]> = [
  ['the default place', () => ({})],
  ['another base and RAM offset', () => (
    { memory: newMemory(200 * MIB, 'plain'), state: 100 * MIB + 16, ram: 8 * MIB + 4088 })],
  ['above 2 GiB in a shared memory', () => (
    { memory: newMemory(3072 * MIB, 'shared'), state: 2900 * MIB, ram: 2100 * MIB })],
];

for (const policy of ['strict', 'lazy'] as const) {
  test(`a snapshot from the middle of traffic goes on elsewhere as if nothing had happened (${policy})`, async () => {
    const cell = await cellIn(policy, {});
    disturb(cell);
    if (policy === 'lazy') requireDisturbed(cell);
    const before = evidenceOf(cell.machine.engine);
    const snapshot = carried(cell.save());
    assert.is(differencesOf(before, evidenceOf(cell.machine.engine)), '', 'saving changes nothing');
    assert.ok(snapshot.ram.length < 32 * MIB, 'pages of zeros are left out');
    const messages = goOn(cell);
    assert.ok(messages.length > 0);
    const uninterrupted = evidenceOf(cell.machine.engine);

    for (const [name, host] of PLACES) {
      const other = await Cell.restore(snapshot, stream, host());
      assert.is(differencesOf(before, evidenceOf(other.machine.engine)), '', name);
      assert.equal(carried(other.save()), snapshot, `${name}: it can be saved again`);
      assert.equal(goOn(other), messages, name);
      assert.is(differencesOf(uninterrupted, evidenceOf(other.machine.engine)), '', name);
    }
  });
}

test('a driver\'s timer, a domain\'s memory and free frames are where they were', async () => {
  const cell = await cellIn('lazy', {});
  cell.forward(100);
  const map = cell.driver.dma.off;
  const restored = await Cell.restore(carried(cell.save()), stream);
  const { engine, hypervisor } = restored.machine;
  assert.is(hypervisor.freePages, cell.machine.hypervisor.freePages);
  assert.is.not(engine.word64(map + DmaMap.QUEUE_DEADLINE), 0);
  restored.machine.run(20_000_000);
  assert.is(engine.word64(map + DmaMap.QUEUE_DEADLINE), 0, 'the flush queue\'s timer has run');
  assert.is(restored.guest.allocPages(1), cell.guest.allocPages(1));
  const another = await Machine.create(SMALL);
  const again = await Machine.restore(carried(another.save()));
  again.assign('00:06.0', again.dom0, 'none');
  assert.is(new EduDriver(again.guest(again.dom0), again.routingOf('00:06.0'), { mode: 'direct' }).factorial(5), 120);
});

async function refusal(snapshot: MachineSnapshot, host: EngineHost = {}): Promise<{ code: string; message: string }> {
  try {
    await Machine.restore(snapshot, host);
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it was restored');
}

test('what does not fit is refused, each with its own code, and the host\'s memory stays as it was', async () => {
  const machine = await Machine.create({ ...SMALL, iommu: 'vtd' });
  const good = carried(machine.save());
  const memory = newMemory(64 * MIB, 'plain');
  const bytes = new Uint8Array(memory.buffer).fill(0xa5);
  type Edit = (snapshot: any) => void;
  const edited = (edit: Edit): MachineSnapshot => {
    const copy = carried(good);
    edit(copy);
    return copy;
  };
  const cases: Array<[code: string, words: RegExp, edit: Edit]> = [
    ['SNAPSHOT_VERSION', /schema version 2.*version 1/, ({ document: d }) => { d.schemaVersion = 2; }],
    ['SNAPSHOT_VERSION', /schema version 7/, ({ document: d }) => { d.engine.schemaVersion = 7; }],
    ['SNAPSHOT_VERSION', /ABI version 99/, ({ document: d }) => { d.engine.abiVersion = 99; }],
    ['SNAPSHOT_BUILD', /another build/, ({ document: d }) => { d.engine.engineHash = '0123456789abcdef'; }],
    ['SNAPSHOT_SIZE', /state has 100 bytes/, (snapshot) => { snapshot.state = snapshot.state.slice(0, 100); }],
    ['SNAPSHOT_SIZE', /ram has .* cut off/, (snapshot) => { snapshot.ram = snapshot.ram.slice(4096); }],
    ['SNAPSHOT_DAMAGED', /state is not as it was saved/, ({ state }) => { state[0x5000] ^= 1; }],
    ['SNAPSHOT_DAMAGED', /ram is not as it was saved/, ({ ram }) => { ram[5] ^= 1; }],
    ['SNAPSHOT_FORMAT', /frames 4096, the engine has 2048/, ({ document: d }) => { d.description.memory = '16MiB'; }],
    ['SNAPSHOT_FORMAT', /document.functions\[0\].fn is missing/, ({ document: d }) => { delete d.functions[0].fn; }],
    ['SNAPSHOT_FORMAT', /hypervisor.domains is missing/, ({ document: d }) => { d.hypervisor.domains = undefined; }],
    ['SNAPSHOT_FORMAT', /"extra" that nobody knows/, ({ document: d }) => { d.hypervisor.extra = 1; }],
    ['SNAPSHOT_FORMAT', /a frame beyond RAM/, ({ document: d }) => { d.hypervisor.domains[0].p2m[3] = 2048; }],
    ['SNAPSHOT_FORMAT', /domain 3 .* is not in its state/, ({ document: d }) => { d.hypervisor.domains[0].domid = 3; }],
    ['SNAPSHOT_FORMAT', /function 2 .* not the edu/, ({ document: d }) => { d.functions[0].fn = 2; }],
    ['SNAPSHOT_FORMAT', /free run/, ({ document: d }) => { d.engine.heapFree[0].size = 2 ** 30; }],
    ['SNAPSHOT_FORMAT', /out of order or beyond RAM/, ({ document: d }) => { d.engine.ramPages[0][0] += 4096; }],
    ['SNAPSHOT_FORMAT', /no Uint8Array/, (snapshot) => { snapshot.state = [...snapshot.state]; }],
    ['SNAPSHOT_FORMAT', /document is/, (snapshot) => { snapshot.document = null; }],
    ['UNKNOWN_DEVICE', /"toaster"/, ({ document: d }) => { d.functions[0].model = 'toaster'; }],
    ['SNAPSHOT_WINDOW', /linear window of 16 frames/, ({ document: d }) => {
      d.engine.windows.push({ firstMfn: 4096, frames: 16, kind: 'linear', readOnly: false });
    }],
    ['ENGINE_OPTION', /iotlb/, ({ document: d }) => { d.engine.options.caches.entries = 3; }],
  ];
  for (const [code, words, edit] of cases) {
    const found = await refusal(edited(edit), { memory }).catch(() => ({ code: 'restored', message: '' }));
    assert.is(found.code, code, `${code} ${String(words)}: ${found.message}`);
    assert.match(found.message, words);
  }
  const overlap = await refusal(good, { memory, state: 65536, ram: 65536 + 4096 });
  assert.is(overlap.code, 'ENGINE_OPTION');
  const small = await refusal(good, { memory: new WebAssembly.Memory({ initial: 1, maximum: 2 }) });
  assert.is(small.code, 'ENGINE_MEMORY');
  assert.is(bytes.findIndex((byte) => byte !== 0xa5), -1, 'nothing was written');
  await Machine.restore(good, { memory });
});

test('windows that the host has lent are lent again, and a device that waits for one is not saved', async () => {
  const machine = await Machine.create(SMALL);
  const { engine } = machine;
  const disk = new Uint8Array(16 * 4096);
  const file = {
    read: (offset: number, into: Uint8Array) => { into.set(disk.subarray(offset, offset + into.length)); return true; },
    write: (offset: number, from: Uint8Array) => { disk.set(from, offset); return true; },
  };
  engine.windows.map({ firstMfn: 0x2000, frames: 16, kind: 'file', file });
  engine.windows.map({ firstMfn: 0x3000, frames: 1, kind: 'message' });
  const bus = 0x2000 * 4096;
  const write = (from: Machine, off: number, value: number): void =>
    from.engine.exports.registerWrite(from.functionOf('00:06.0'), 0, off, 4, value, 0);
  const transfer = (of: Machine, to: number): void => {
    of.engine.exports.configWrite(of.functionOf('00:06.0'), 4, 2, 6);
    write(of, Edu.DMA_SOURCE, Edu.BUFFER);
    write(of, Edu.DMA_DESTINATION, to);
    write(of, Edu.DMA_COUNT, 8);
    write(of, Edu.DMA_COMMAND, Edu.DMA_START | Edu.DMA_TO_RAM);
    of.run(200_000_000);
  };
  const snapshot = carried(machine.save());
  assert.equal(snapshot.document.engine.windows.map(({ kind }) => kind), ['file', 'message']);
  assert.is((await refusal(snapshot)).code, 'SNAPSHOT_WINDOW');

  const again = await Machine.restore(snapshot, { windows: [
    { firstMfn: 0x3000, frames: 1, kind: 'message' }, { firstMfn: 0x2000, frames: 16, kind: 'file', file },
  ] });
  disk.fill(0xff);
  transfer(again, bus + 64);
  assert.equal([...disk.subarray(60, 76)], [255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
  transfer(again, 0x3000 * 4096);
  const [request] = again.engine.windows.poll();
  assert.ok(request !== undefined && Journal.COUNT === 0);
  assert.throws(() => again.save(), (error: { code?: string }) => error.code === 'SNAPSHOT_PENDING');
  again.engine.windows.answer(request as NonNullable<typeof request>, true);
  again.run();
  again.save();
});

test('bridges, what is behind them, and a device of the host\'s own go on', async () => {
  const models = [{ ...edu, model: 'own' }];
  const machine = await Machine.create({ ...SMALL, devices: [
    { model: 'root-port', bdf: '00:02.0' }, { model: 'edu', bdf: '01:00.0' }, { model: 'own', bdf: '00:06.0' },
  ] }, { models });
  const snapshot = carried(machine.save());
  assert.is((await refusal(snapshot)).code, 'UNKNOWN_DEVICE');
  const again = await Machine.restore(snapshot, { models });
  assert.is(again.lspci(), machine.lspci());
  assert.equal(again.digest(), machine.digest());
  for (const bdf of ['01:00.0', '00:06.0']) {
    again.assign(bdf, again.dom0, 'none');
    const driver = new EduDriver(again.guest(again.dom0), again.routingOf(bdf), { mode: 'direct' });
    assert.is(driver.factorial(6), 720);
  }
  assert.throws(() => again.removeDevice('00:02.0'), /remove what is behind a bridge first/);
  again.removeDevice('01:00.0');
  again.removeDevice('00:02.0');
});

test('a wire between two ports of the machine has both its ends again', async () => {
  const ports = ['00:04.0', '00:05.0'] as const;
  const machine = await Machine.create({ ...SMALL, devices: ports.map((bdf) => ({ model: 'e1000', bdf })) });
  machine.link(ports[0]).connect(machine.link(ports[1]));
  const again = await Machine.restore(carried(machine.save()));
  assert.is(again.link(ports[0]).peer, again.link(ports[1]));
  assert.is(again.link(ports[1]).peer, again.link(ports[0]));
  again.removeDevice(ports[0]);
  assert.is(again.link(ports[1]).peer, undefined);
});

test('a cell\'s snapshot is no larger than what is in it', async () => {
  const cell = await cellIn('strict', {});
  const snapshot: CellSnapshot = cell.save();
  const pages = snapshot.document.machine.engine.ramPages.reduce((sum, [, count]) => sum + count, 0);
  assert.is(snapshot.ram.length, pages * 4096);
  assert.ok(pages < 600, `${pages} pages`);
});

test.run();
