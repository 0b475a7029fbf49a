// Rights to I/O memory are for whole pages: a device whose BAR shares a page is within reach, too. It is not stopped; it
// is reported, by the hypervisor, by explain and by xl.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model } from '../../assembly/spec/state';
import type { DeviceDefinition } from '../../src/devices/definition';
import { register } from '../../src/devices/register-table';
import type { Machine } from '../../src/machine/machine';
import { parseExplainArgs } from '../../src/xen/explain/arguments';
import { explain } from '../../src/xen/explain/explain';
import { codeOf, create, done, domainOf, machineOf, xl } from '../helpers/claims';

const test = suite('two BARs in one page');

const [MINE, THEIRS, APART] = ['0000:00:07.0', '0000:00:08.0', '0000:00:09.0'];
/** Base of the page; the first BAR is at its start, the second in its middle. */
const PAGE = 0xfe6ca000;

/** 256 bytes of registers, as many network cards have. */
const small: DeviceDefinition = {
  model: 'small', title: 'Unassigned class: small', engineModel: 16 as Model,
  config: { vendorId: 0x1af4, deviceId: 0x7779, classCode: 0xff0000, revision: 0, interruptPin: 1, bars: [{ kind: 'memory32', size: 256 }] },
  registers: [{ bar: 0, size: 256, constant: 0, rows: [register('SCRATCH', 0x10, '', { writeMask: 0xffffffff, reset: 7 })] }],
  stateSize: 0,
};

async function page(): Promise<Machine> {
  return machineOf({ devices: [
    { model: 'small', bdf: MINE, bars: { 0: '0xfe6ca000' } }, { model: 'small', bdf: THEIRS, bars: { 0: '0xfe6ca800' } },
    { model: 'small', bdf: APART, bars: { 0: '0xfe6cb000' } },
  ] }, { models: [small] });
}

test('the neighbour is within reach: read and written through the own page', async () => {
  const machine = await page();
  done(machine, `pci-assignable-add ${MINE}`);
  assert.is(create(machine, 'g', 'idle', [MINE]).code, 0);
  const domain = domainOf(machine, 'g');
  const guest = machine.guest(domain);
  const va = guest.ioremap(PAGE, 4096);
  const theirs = (): number => machine.engine.exports.registerRead(machine.functionOf(THEIRS), 0, 0x10, 4) >>> 0;
  assert.is(guest.load(va + 0x10, 4), 7, 'its own');
  assert.is(guest.load(va + 0x810, 4), 7, 'the neighbour\'s');
  guest.store(va + 0x810, 4, 0x600d);
  assert.is(theirs(), 0x600d, 'and it has been written');
  assert.is(codeOf(() => guest.ioremap(machine.barAddress(APART, 0), 256)), 'EPERM', 'in the next page there is a gate');
});

test('the hypervisor names the neighbour, where it lies and how long it is', async () => {
  const machine = await page();
  done(machine, `pci-assignable-add ${MINE}`);
  assert.is(create(machine, 'g', 'idle', [MINE]).code, 0);
  const { domid } = domainOf(machine, 'g');
  assert.equal(machine.hypervisor.neighbours(domid, PAGE / 4096), [
    { routing: machine.routingOf(THEIRS), bar: 0, address: PAGE + 0x800, size: 256 },
  ]);
  assert.equal(machine.hypervisor.neighbours(domid, PAGE / 4096 + 1), [], 'no right, no reach');
  done(machine, `pci-assignable-add ${THEIRS}`);
  done(machine, `pci-attach g ${THEIRS}`);
  assert.equal(machine.hypervisor.neighbours(domid, PAGE / 4096), [], 'both are its own: no neighbour');
});

test('explain finds page-shared, for this device and not for one that is alone', async () => {
  const machine = await page();
  for (const bdf of [MINE, THEIRS, APART]) done(machine, `pci-assignable-add ${bdf}`);
  assert.is(create(machine, 'other', 'idle', [THEIRS]).code, 0);
  const found = (bdf: string): string | undefined => {
    const { checks } = explain(machine.xen.explainFacts(), parseExplainArgs([bdf]));
    return checks.find(({ reason }) => reason === 'page-shared')?.outcome;
  };
  assert.is(found(MINE), 'warning', 'the other one has a user');
  assert.is(found(APART), 'ok');
  assert.is(create(machine, 'g', 'idle', [MINE]).code, 0);
  const { checks } = explain(machine.xen.explainFacts(), parseExplainArgs([MINE, '--domain', 'g', '--access', 'mmio']));
  assert.match(checks.find(({ reason, outcome }) => reason === 'page-shared' && outcome === 'warning')?.sentence ?? '', THEIRS);
});

test('xl says it when it gives the device, at create and at attach', async () => {
  const machine = await page();
  for (const bdf of [MINE, APART]) done(machine, `pci-assignable-add ${bdf}`);
  const made = create(machine, 'g', 'idle', [MINE]);
  const warning = `libxl: warning: page fe6ca of ${MINE} has registers of ${THEIRS} too: domain 1 can reach them`;
  assert.is(made.code, 0);
  assert.ok(made.stderr.split('\n').includes(warning), made.stderr);
  done(machine, `pci-assignable-add ${THEIRS}`);
  machine.run(1e9);
  const both = xl(machine, `pci-attach g ${THEIRS}`);
  assert.equal([both.code, /has registers of/.test(both.stderr)], [0, false], 'the neighbour is its own by now');
  const alone = xl(machine, `pci-attach g ${APART}`);
  assert.equal([alone.code, /has registers of/.test(alone.stderr)], [0, false]);
  done(machine, `pci-detach g ${MINE}`);
  const again = xl(machine, `pci-attach g ${MINE}`);
  assert.equal([again.code, /has registers of/.test(again.stderr)], [0, false]);
  done(machine, `pci-detach g ${THEIRS}`);
  done(machine, `pci-detach g ${MINE}`);
  const warned = xl(machine, `pci-attach g ${THEIRS}`);
  assert.match(warned.stderr, `page fe6ca of ${THEIRS} has registers of ${MINE} too: domain 1 can reach them`);
});

test.run();
