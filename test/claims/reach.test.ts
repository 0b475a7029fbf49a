// What a guest reaches of the machine's PCI: its device's registers, by its rights, page by page; nothing by config cycles.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RefusedKind } from '../../assembly/spec/state';
import { configByEcam } from '../../src/pci/access';
import { EDU, given, codeOf, create, done, EXPRESS, NIC, node } from '../helpers/claims';

const test = suite('reach of a guest');

const [OK, REFUSED] = [0, 1];
/** Bus 0 of the enhanced config space: 4 KiB a function. */
const ECAM = 0xe0000;

test('domU\'s own config cycles (CF8/CFC) reach nothing, neither its device nor another', async () => {
  const { machine, domain } = await given('e1000', [NIC]);
  const { exports } = machine.engine;
  const { slot } = domain;
  const config = (bdf: string): number => configByEcam(machine.engine, machine.routingOf(bdf)).read(0x04, 4);
  const before = [NIC, EXPRESS, EDU].map(config);
  const cycles = (): number => machine.engine.counters().configReads + machine.engine.counters().configWrites;
  for (const [dev, fn] of [[4, 0], [5, 0], [0, 0], [31, 7]] as const) {
    const counted = cycles();
    exports.guestOut(slot, 0xcf8, 4, (0x80000000 | dev << 11 | fn << 8) >>> 0);
    assert.is(machine.engine.status, REFUSED);
    assert.is(exports.guestIn(slot, 0xcf8, 4) >>> 0, 0xffffffff, 'not even the latch');
    for (const [port, width] of [[0xcfc, 4], [0xcfc, 2], [0xcfe, 1]] as const) {
      assert.is(exports.guestIn(slot, port, width) >>> 0, 2 ** (8 * width) - 1);
      assert.is(machine.engine.status, REFUSED);
      exports.guestOut(slot, port, width, 0);
      assert.is(machine.engine.status, REFUSED);
    }
    assert.is(cycles(), counted, 'no cycle on a bus');
  }
  assert.equal([NIC, EXPRESS, EDU].map(config), before);
  // the first domain's do
  exports.guestOut(machine.dom0.slot, 0xcf8, 4, 0x80002000);
  assert.is(exports.guestIn(machine.dom0.slot, 0xcfc, 4) >>> 0, 0x100e8086);
  assert.is(exports.guestIn(slot, 0xcfc, 4) >>> 0, 0xffffffff, 'nor through what dom0 has latched');
});

test('domU\'s enhanced config space (ECAM) is refused: as a right, as a mapping, by xl, as an address', async () => {
  const { machine, domain } = await given('e1000', [NIC]);
  const { hypervisor, engine } = machine;
  const { domid, slot } = domain;
  for (const frame of [ECAM, ECAM + 0x20, ECAM + 0x28, 0xeffff]) {
    assert.is(codeOf(() => hypervisor.iomemPermission(domid, frame, 1, true)), 'EPERM');
    assert.is(codeOf(() => hypervisor.updateVaMapping(domid, 0x90000, frame, true)), 'EPERM');
    assert.is(codeOf(() => machine.guest(domain).ioremap(frame * 4096, 4096)), 'EPERM');
    engine.exports.guestLoad(slot, frame * 4096, 0, 4);
    assert.is(engine.status, REFUSED, 'a machine address is none of a guest');
  }
  const made = create(machine, 'other', 'idle', [], 'iomem = ["e0000,1"]');
  assert.is.not(made.code, 0);
  assert.equal(hypervisor.domains.map(({ name }) => name), ['Domain-0', 'g']);
  // the first domain has it
  const dom0 = machine.guest(machine.dom0);
  assert.is(dom0.load(dom0.ioremap((ECAM + 0x20) * 4096, 4096), 4), 0x100e8086);
});

test('registers and ports of its device are within its reach, those of another device are not', async () => {
  const { machine, domain } = await given('e1000', [NIC]);
  const guest = machine.guest(domain);
  const { exports } = machine.engine;
  const own = guest.ioremap(machine.barAddress(NIC, 0), 4096);
  assert.is.not(guest.load(own + 8, 4), 0xffffffff, 'device status');
  assert.is(codeOf(() => guest.ioremap(machine.barAddress(EXPRESS, 0), 4096)), 'EPERM');
  assert.is(codeOf(() => guest.ioremap(machine.barAddress(EDU, 0), 4096)), 'EPERM');
  exports.guestIn(domain.slot, machine.barAddress(NIC, 1), 4);
  assert.is(machine.engine.status, OK);
  assert.is(exports.guestIn(domain.slot, machine.barAddress(EXPRESS, 2), 4) >>> 0, 0xffffffff);
  assert.is(machine.engine.status, REFUSED);
  assert.is.not(RefusedKind.LOAD, RefusedKind.STORE);
});

const grants = suite('I/O memory through a grant');

/** An entry of a grant table, version 1: flags and domain, then the frame. */
function grant(machine: Awaited<ReturnType<typeof given>>['machine'], granter: { domid: number }, ref: number, to: number, frame: number): void {
  const domain = machine.hypervisor.domain(granter.domid);
  const table = machine.engine.frame(machine.hypervisor.grants.frames(domain)[0] as number);
  const view = new DataView(table.buffer, table.byteOffset + ref * 8, 8);
  view.setUint32(4, frame, true);
  view.setUint16(2, to, true);
  view.setUint16(0, 1, true);
}

grants('registers mapped through a grant need the grantor\'s right, when it is mapped and as long as it is', async () => {
  const { machine, domain } = await given('edu', [EDU]);
  const { hypervisor, engine } = machine;
  assert.is(create(machine, 'other', 'idle', []).code, 0);
  const other = hypervisor.domains.find(({ name }) => name === 'other') as typeof domain;
  const at = 0x60000000;
  const frame = (bdf: string): number => machine.barAddress(bdf, 0) / 4096;
  grant(machine, domain, 100, other.domid, frame(EDU));
  grant(machine, domain, 101, other.domid, frame(EXPRESS));
  const map = (ref: number): string => hypervisor.grants.map(other.domid, { address: at, ref, dom: domain.domid }).status;
  const load = (): number => engine.exports.guestLoad(other.slot, at, 0, 4) >>> 0;
  assert.is(map(101), 'general_error', 'the grantor has no right to it');
  assert.is(load(), 0xffffffff);
  assert.is(map(100), 'okay');
  assert.is(load(), 0x010000ed, 'edu answers the other domain, which has no right of its own');
  assert.not.ok(other.iomem.has(frame(EDU), frame(EDU)));
  done(machine, `pci-detach g ${EDU}`);
  assert.is(load(), 0xffffffff, 'with the grantor\'s right the mapping goes');
  assert.is(hypervisor.grants.map(other.domid, { address: at + 4096, ref: 100, dom: domain.domid }).status, 'general_error');
  assert.is(node(machine, '/libxl/pci/0000-00-06-0/domid'), undefined);
});

test.run();
grants.run();
