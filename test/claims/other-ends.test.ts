// What a front end or a back end meets at its other end, and what comes of it: the rows of xen-passthrough.md section 9
// that can be expressed, on a whole machine (`dom0.pciback.kind`, and `pcifront` of a domain).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { generateStore } from '../../src/devices/links/store';
import type { PcibackDescription } from '../../src/machine/description';
import type { Machine } from '../../src/machine/machine';
import { configByEcam } from '../../src/pci/access';
import type { Domain } from '../../src/xen/hypervisor/domain';
import type { PcifrontKind } from '../../src/xen/pcifront/pcifront';
import { XenstoreClient } from '../../src/xen/xenstore/client';
import {
  backendOf, codeOf, create, done, domainOf, EDU, EXPRESS, machineOf, NIC, node, sharedFrame, states, xl,
} from '../helpers/claims';
import { PciSplit } from '../helpers/pci-split';
import { Trace } from '../helpers/toolstack';

interface Ends {
  machine: Machine;
  trace: Trace;
  /** When it was created. */
  since: number;
  domain: Domain;
}

type BackKind = NonNullable<PcibackDescription['kind']>;

/** A guest "g" that was given a network card by xl, one second after it was created. */
async function ends(back: BackKind, front: PcifrontKind, { kernel = 'e1000', bdf = NIC, ns = 1e9 } = {}): Promise<Ends> {
  const machine = await machineOf({ dom0: { memory: '8MiB', pciback: { kind: back } } });
  for (const one of [NIC, EXPRESS, EDU]) done(machine, `pci-assignable-add ${one}`);
  const trace = new Trace(machine.xenstore);
  const since = machine.engine.now;
  const made = create(machine, 'g', kernel, [bdf], `pcifront = "${front}"`);
  assert.is(made.code, 0, made.stderr);
  machine.run(ns);
  return { machine, trace, since, domain: domainOf(machine, 'g') };
}

const back = ({ domain }: Ends): string => `/local/domain/0/backend/pci/${domain.domid}/0`;
const errorOf = ({ machine, domain }: Ends): string | undefined => node(machine, `/local/domain/0/error/backend/pci/${domain.domid}/0/error`);
const guestLog = ({ machine, domain }: Ends): readonly string[] => machine.xen.guestKernel(domain.domid)?.kernel.log ?? [];

/** Whatever it was, destroy ends it: no domain, nobody's device, nothing of it in the store, and the device can be given anew. */
function ended({ machine, domain }: Ends): void {
  done(machine, 'destroy g');
  machine.run(1e9);
  assert.equal(machine.hypervisor.domains.map(({ name }) => name), ['Domain-0']);
  assert.equal(machine.xen.stub?.seized.map(({ owner }) => owner), [undefined, undefined, undefined]);
  assert.is(node(machine, `/local/domain/0/backend/pci/${domain.domid}/0/state`), undefined);
  assert.equal(machine.hypervisor.grants.mapped(machine.dom0).map(({ mfn }) => mfn).filter((mfn) => domain.p2m.includes(mfn)), []);
  assert.is(done(machine, 'pci-assignable-list'), `${NIC} \n${EXPRESS} \n${EDU} \n`);
}

const matched = suite('ends that fit');

matched('linux and linux: 4 and 4, and packets go through', async () => {
  const one = await ends('linux', 'linux');
  const { machine, domain } = one;
  assert.is(states(machine, domain.domid), '4 4');
  const link = machine.link(NIC);
  link.plugStore(generateStore('claims', 'imix', 64, 3), true);
  link.offer(200);
  machine.run(1e9);
  assert.equal([link.status().checked, link.status().mismatches, errorOf(one)], [200, 0, undefined]);
  ended(one);
});

matched('nothing is negotiated: no feature-* key at either end, errors are bit 1 of the page\'s flags, operation 10 is none', async () => {
  const one = await ends('linux', 'linux');
  const { machine, domain } = one;
  const store = new XenstoreClient(machine.xenstore);
  const keys = [back(one), `/local/domain/${domain.domid}/device/pci/0`].flatMap((path) => store.directory(path));
  assert.ok(keys.includes('magic') && keys.includes('root_num'));
  assert.equal(keys.filter((key) => key.startsWith('feature')), []);
  const view = (): DataView => new DataView(machine.engine.frame(sharedFrame(machine, domain)).buffer,
    machine.engine.frame(sharedFrame(machine, domain)).byteOffset, 4096);
  assert.is(view().getUint32(0, true), 2, 'a handler of errors, and no operation under way');
  const port = Number(node(machine, `/local/domain/${domain.domid}/device/pci/0/event-channel`));
  [10, 0, 0, 0, 0, 0, 0, 2].forEach((word, i) => view().setInt32(4 + 4 * i, word, true));
  view().setUint32(0, 3, true);
  machine.hypervisor.events.send(domain.domid, port);
  machine.run(0);
  assert.equal([view().getUint32(0, true), view().getInt32(8, true)], [2, -4], 'not implemented');
});

matched.run();

const magic = suite('another magic');

magic('linux\'s back end: a version mismatch; it goes to 5, the front end to 6, and it follows', async () => {
  const one = await ends('linux', 'wrong-magic');
  const { machine, domain, trace } = one;
  assert.is(trace.states(), 'B1 F1 B2 B3 F3 B5 F6 B6');
  assert.is(errorOf(one), '14 version mismatch (6/7) with pcifront - halting xen-pciback');
  assert.ok(machine.xen.kernel.log.some((line) => line.includes('version mismatch (6/7) with pcifront - halting xen-pciback')));
  assert.equal(machine.xen.pcifront(domain.domid)?.devices, []);
  ended(one);
});

magic('no magic at all: the same', async () => {
  const one = await ends('linux', 'none');
  const { machine, domain } = one;
  const { store } = machine.xen.guestKernel(domain.domid)?.kernel as NonNullable<ReturnType<typeof machine.xen.guestKernel>>['kernel'];
  const front = `/local/domain/${domain.domid}/device/pci/0`;
  store.write(`${front}/pci-op-ref`, '8');
  store.write(`${front}/event-channel`, '8');
  store.write(`${front}/state`, '3');
  machine.run(1e9);
  assert.is(states(machine, domain.domid), '5 3');
  assert.is(errorOf(one), '14 version mismatch ((null)/7) with pcifront - halting xen-pciback');
  ended(one);
});

magic('NetBSD\'s back end never looks at it: 4 and 4', async () => {
  const one = await ends('netbsd', 'wrong-magic');
  assert.is(states(one.machine, one.domain.domid), '4 4');
  assert.is(errorOf(one), undefined);
  assert.is(one.machine.xen.pcifront(one.domain.domid)?.devices.length, 1);
  ended(one);
});

magic.run();

const missing = suite('an end that is not there');

missing('no front end: the back end stays 3, a second device is refused after 10 s, the first is taken back', async () => {
  const one = await ends('linux', 'none');
  const { machine, domain } = one;
  assert.is(states(machine, domain.domid), '3 1');
  let start = machine.engine.now;
  const attached = xl(machine, `pci-attach g ${EDU}`);
  assert.is(attached.code, 1);
  assert.match(attached.stderr, `Backend ${back(one)} not ready`);
  assert.ok(machine.engine.now - start >= 10e9 && machine.engine.now - start < 11e9);
  assert.equal([node(machine, `${back(one)}/num_devs`), node(machine, '/libxl/pci/0000-00-06-0/domid')], ['1', undefined], 'nothing is left of it');
  start = machine.engine.now;
  const detached = xl(machine, `pci-detach g ${NIC}`);
  assert.is(detached.code, 0);
  assert.match(detached.stderr, `domain ${domain.domid} has no front end; ${NIC} is taken from it`);
  assert.is(node(machine, `${back(one)}/dev-0`), undefined, 'the keys are gone');
  assert.not.ok(domain.assigned.has(machine.routingOf(NIC)));
  ended(one);
});

missing('no pciback in dom0: nothing is assignable, and create is refused', async () => {
  const machine = await machineOf({ dom0: { memory: '8MiB', pciback: { kind: 'none' } } });
  assert.match(xl(machine, `pci-assignable-add ${NIC}`).stderr, 'Looks like pciback driver not loaded');
  const made = create(machine, 'g', 'e1000', [NIC]);
  assert.is(made.code, 3);
  assert.match(made.stderr, 'PCI device 0:0:4.0 is not assignable');
  assert.equal(machine.hypervisor.domains.map(({ name }) => name), ['Domain-0']);
});

missing('no back end for directories that are there: it stays 1, and the front end waits in 3 for ever', async () => {
  const split = await PciSplit.create({ back: 'none' });
  split.record();
  split.addFirst('0000:00:04.0');
  split.boot();
  split.scheduler.pass(3600e9);
  assert.is(`${split.state('B')} ${split.state('F')}`, '1 3');
  assert.equal(split.pcifront?.devices, []);
});

missing.run();

const mute = suite('a back end that answers nothing');

mute('linux\'s front end: two seconds for each operation, then it has found nobody, 4 and 4', async () => {
  const one = await ends('silent', 'linux', { ns: 0 });
  const { machine, domain, since } = one;
  const front = machine.xen.pcifront(domain.domid);
  machine.xen.scheduler.wait(() => front?.state === 4, 3600e9);
  assert.is(states(machine, domain.domid), '4 4');
  assert.is(Math.round((machine.engine.now - since) / 2e9), front?.operations);
  assert.equal(front?.devices, []);
  assert.is(guestLog(one).filter((line) => line === 'pcifront pci-0: pciback not responding!!!').length, front?.operations);
  assert.equal(front?.readConfig(0, 0, 2), { code: 0x86, value: 0xffff });
  ended(one);
});

mute('a front end without time-out hangs in 3, and nobody else does', async () => {
  const one = await ends('silent', 'no-timeout');
  const { machine, domain } = one;
  machine.run(3600e9);
  assert.is(states(machine, domain.domid), '4 3');
  assert.is(machine.xen.pcifront(domain.domid)?.hung, true);
  assert.not.ok(guestLog(one).some((line) => /not responding/.test(line)));
  assert.is(create(machine, 'other', 'idle', []).code, 0, 'the rest of the machine goes on');
  done(machine, 'destroy other');
  ended(one);
});

mute('a front end without time-out and a back end that answers: nothing is amiss', async () => {
  const one = await ends('linux', 'no-timeout');
  assert.is(states(one.machine, one.domain.domid), '4 4');
  assert.is(one.machine.xen.pcifront(one.domain.domid)?.hung, false);
  ended(one);
});

mute.run();

const netbsd = suite('NetBSD\'s back end');

netbsd('unfiltered: every register of the device is written as the guest says, where linux\'s lets nothing through', async () => {
  for (const [kind, through] of [['netbsd', true], ['linux', false]] as const) {
    const one = await ends(kind, 'linux', { kernel: 'idle' });
    const { machine, domain } = one;
    const front = machine.xen.pcifront(domain.domid);
    const seen = front?.devices[0]?.routing ?? -1;
    assert.is(seen, kind === 'netbsd' ? 0x20 : 0x00, 'host addresses, or the virtual bus');
    const hardware = configByEcam(machine.engine, 0x20);
    const [bar, line] = [hardware.read(0x10, 4), hardware.read(0x3c, 1)];
    assert.is(front?.writeConfig(seen, 0x10, 4, 0x12340000).code, 0);
    assert.is(front?.writeConfig(seen, 0x3c, 1, 0x55).code, 0);
    assert.is(hardware.read(0x10, 4), through ? 0x12340000 : bar);
    assert.is(hardware.read(0x3c, 1), through ? 0x55 : line);
    ended(one);
    // given back, the hardware is as it was when it was seized
    assert.equal([hardware.read(0x10, 4), hardware.read(0x3c, 1)], [bar, line]);
  }
});

netbsd('no vdev-N, no state-N; an unknown device and a wrong size have its answers', async () => {
  const one = await ends('netbsd', 'linux', { kernel: 'idle' });
  const { machine, domain } = one;
  assert.is(states(machine, domain.domid), '4 4');
  const keys = new XenstoreClient(machine.xenstore).directory(back(one));
  assert.ok(keys.includes('dev-0') && keys.includes('root-0'));
  assert.equal(keys.filter((key) => /^vdev-/.test(key)), []);
  assert.is(node(machine, `${back(one)}/state-0`), '1', 'as the toolstack left it');
  const front = machine.xen.pcifront(domain.domid);
  assert.is(front?.readConfig(0x28, 0, 4).code, 0, 'unknown: done, and no error was written');
  assert.is(front?.readConfig(0x20, 0, 3).code, 0, 'a read of three bytes: no error, whatever stood there');
  assert.is(front?.writeConfig(0x20, 0, 3, 0).code, 0x87);
  ended(one);
});

netbsd('only config space: a card with a line works, one that wants messages is told that there are none', async () => {
  const one = await ends('netbsd', 'linux');
  const { machine } = one;
  const link = machine.link(NIC);
  link.plugStore(generateStore('claims', 'imix', 64, 3), true);
  link.offer(200);
  machine.run(1e9);
  assert.equal([link.status().checked, link.status().mismatches], [200, 0], guestLog(one).join('\n'));
  ended(one);
  const messages = await ends('netbsd', 'linux', { kernel: 'e1000e', bdf: EXPRESS });
  assert.equal(messages.machine.xen.guestKernel(messages.domain.domid)?.activity, []);
  assert.ok(guestLog(messages).some((line) => /the back end refuses operation 4 .*: -4/.test(line)), guestLog(messages).join('\n'));
  ended(messages);
});

netbsd('no hot-plug: it stays in 7, xl gives up', async () => {
  const one = await ends('netbsd', 'linux');
  const { machine, domain } = one;
  assert.is(xl(machine, `pci-attach g ${EDU}`).code, 0, 'it does not wait for the handshake to end');
  machine.run(60e9);
  assert.is(states(machine, domain.domid), '7 7');
  assert.equal(machine.xen.pcifront(domain.domid)?.devices.map(({ name }) => name), ['0000:00:04.0']);
  const detached = xl(machine, `pci-detach g ${NIC}`);
  assert.match(detached.stderr, `Backend ${back(one)} not ready: its state is 7, the front end's 7; ${NIC} is taken from it`);
  assert.not.ok(domain.assigned.has(machine.routingOf(NIC)));
  ended(one);
});

netbsd('a front end that closes before it has connected takes its kernel down; ours lets go', async () => {
  const one = await ends('netbsd', 'none');
  const { machine, domain } = one;
  assert.is(states(machine, domain.domid), '3 1');
  machine.xen.guestKernel(domain.domid)?.kernel.store.write(`/local/domain/${domain.domid}/device/pci/0/state`, '6');
  machine.run(1e9);
  assert.is(states(machine, domain.domid), '6 6');
  ended(one);
});

netbsd.run();

const limits = suite('limits of linux\'s pciback, and of types');

limits('its command word does not outlive the guest, and permissive is not sticky (xen-observed.md 10)', async () => {
  const one = await ends('linux', 'linux', { kernel: 'idle' });
  const { machine } = one;
  const written = (): number => {
    const front = machine.xen.pcifront(domainOf(machine, 'g').domid);
    assert.is(front?.writeConfig(0, 0x04, 2, 0x0507).code, 0);
    return front?.readConfig(0, 0x04, 2).value ?? -1;
  };
  assert.is(written(), 0x0507);
  machine.sysfs.write('/sys/bus/pci/drivers/pciback/permissive', NIC);
  assert.match(machine.sysfs.read('/sys/bus/pci/drivers/pciback/permissive'), NIC);
  done(machine, 'destroy g');
  machine.run(1e9);
  assert.is(create(machine, 'g', 'idle', [NIC]).code, 0);
  machine.run(1e9);
  assert.not.match(machine.sysfs.read('/sys/bus/pci/drivers/pciback/permissive'), NIC);
  const front = machine.xen.pcifront(domainOf(machine, 'g').domid);
  assert.is((front?.readConfig(0, 0x04, 2).value ?? 0) & 0x0404, 0, 'neither bus master nor INTx disable');
  assert.is(backendOf(machine).exports.length, 1);
});

limits('a bridge is not exported: pciback does not take it', async () => {
  const machine = await machineOf({ devices: [{ model: 'root-port', bdf: '00:0b.0' }, { model: 'edu', bdf: '01:00.0' }] });
  const added = xl(machine, 'pci-assignable-add 00:0b.0');
  assert.is.not(added.code, 0);
  assert.is(done(machine, 'pci-assignable-list'), '');
  done(machine, 'pci-assignable-add 01:00.0');
  const made = create(machine, 'g', 'edu', ['01:00.0']);
  assert.is(made.code, 0, made.stderr);
  machine.run(1e9);
  const front = machine.xen.pcifront(domainOf(machine, 'g').domid);
  assert.equal(front?.devices.map(({ name }) => name), ['0000:00:00.0'], 'what is behind it comes alone, on the virtual bus');
});

limits('pvh: libxl does not support it', async () => {
  const machine = await machineOf();
  done(machine, `pci-assignable-add ${NIC}`);
  const made = create(machine, 'g', 'e1000', [NIC], 'type = "pvh"');
  assert.is(made.code, 6);
  assert.match(made.stderr, 'passthrough not yet supported for x86 PVH guests');
});

limits('another kind of end is named with those that there are', async () => {
  assert.is(await machineOf({ dom0: { pciback: { kind: 'mini-os' as BackKind } } }).then(() => 'none', (error: unknown) =>
    (error as { code: string }).code), 'UNKNOWN_PCIBACK');
  const machine = await machineOf();
  const made = create(machine, 'g', 'idle', [], 'pcifront = "mini-os"');
  assert.is.not(made.code, 0);
  assert.match(made.stderr, 'linux');
  assert.is(codeOf(() => domainOf(machine, 'g')) === 'none', false);
});

limits.run();
