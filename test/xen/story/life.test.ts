// A device's life on the observed machine, and what each room shows of it after each step (xen-observed.md 3, 4, 7, 8).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DRIVERS, PCIBACK, type Story, story } from '../../helpers/story';

const BE = '/local/domain/0/backend/pci/1/0';
const FE = '/local/domain/1/device/pci/0';
const OPTS = 'msitranslate=0,power_mgmt=0,permissive=0,rdm_policy=strict';

const life = suite('the life of a device');

/** Owner of a function's DMA: the domain id in its context entry's tag, 0 for none. */
function tables(one: Story, bdf: string): { present: boolean; did: number; root: number } {
  const [low, , high] = one.machine.hypervisor.iommu?.context(one.machine.routingOf(bdf)) ?? [0, 0, 0, 0];
  return { present: (low & 1) === 1, did: (high as number) >>> 8, root: Math.floor((low as number) / 4096) };
}

const file = (one: Story, name: string): string => one.sysfs(`${PCIBACK}/${name}`);

/** How many interrupts pciback has seen depends on the traffic. */
const handlers = (one: Story): string => file(one, 'irq_handlers').replace(/:\d+$/gm, ':N');

async function given(): Promise<Story> {
  const one = await story();
  one.assignable('00:04.0', '00:06.0');
  one.started(['00:04.0', '00:06.0']);
  one.pass(2000);
  return one;
}

function traffic(one: Story): void {
  const [nic, edu] = one.kernel().activity;
  assert.is(nic?.driver, 'e1000');
  assert.equal([nic?.nic?.sent, nic?.nic?.returned, nic?.nic?.received], [4, 4, 4]);
  assert.ok((nic?.nic?.interrupts ?? 0) > 0);
  assert.is(edu?.driver, 'edu');
  assert.equal(edu?.rounds, { right: 4, wrong: 0 });
}

life('bound to pciback by hand, in sysfs: what pci-assignable-add would do, but for its book and the quarantine', async () => {
  const one = await story();
  const { sysfs } = one.machine;
  sysfs.write(`${DRIVERS}/e1000/unbind`, '0000:00:04.0');
  assert.is(one.driver('00:04.0'), undefined);
  sysfs.write(`${PCIBACK}/new_slot`, '0000:00:04.0');
  sysfs.write(`${PCIBACK}/bind`, '0000:00:04.0');
  assert.is(one.driver('00:04.0'), 'pciback');
  assert.is(file(one, 'slots'), '0000:00:04.0\n');
  assert.is(one.hardware('00:04.0', 4, 2), 0x0103);
  assert.is(one.read('/libxl/pci/0000-00-04-0/driver_path'), undefined);
  assert.is(one.ok('pci-assignable-list'), '0000:00:04.0 \n');
  one.started(['00:04.0']);
  one.pass();
  assert.is(one.read(`${BE}/state`), '4');
  assert.is(one.kernel().activity[0]?.nic?.returned, 4);
  one.xl('destroy', 'guest');
  sysfs.write(`${PCIBACK}/unbind`, '0000:00:04.0');
  sysfs.write(`${PCIBACK}/remove_slot`, '0000:00:04.0');
  sysfs.write(`${DRIVERS}/e1000/bind`, '0000:00:04.0');
  assert.is(one.driver('00:04.0'), 'e1000');
});

life('seized: sysfs, dmesg, COMMAND 0103, quarantine', async () => {
  const one = await story();
  assert.ok(tables(one, '00:04.0').present, 'dom0 has it');
  one.assignable('00:04.0', '00:06.0');
  assert.equal([one.driver('00:04.0'), one.driver('00:06.0')], ['pciback', 'pciback']);
  assert.is(file(one, 'slots'), '0000:00:04.0\n0000:00:06.0\n');
  assert.is(file(one, 'permissive'), '');
  assert.is(handlers(one), '0000:00:04.0:off:not acking:N\n0000:00:06.0:off:not acking:N\n');
  const header = ['00:2', '02:2', '04:2', '3c:1', '3d:1', '0c:1', '0d:1', '0f:1', '10:4', '14:4', '18:4', '1c:4', '20:4', '24:4', '30:4'];
  const fields = (...more: string[]): string => [...header, ...more].map((one) => `\t\t000000${one}:00000000\n`).join('');
  assert.is(file(one, 'quirks'), `00:04.0\n\t8086:100e:1af4:1100\n${fields()}00:06.0\n\t1234:11e8:1af4:1100\n${fields('40:2', '42:2')}`);
  assert.equal(one.machine.xen.kernel.log.filter((line) => line.includes('0000:00:04.0: xen-pciback')),
    ['seizing device', 'enabling device', 'save state', 'resetting (FLR, D3, etc)', 'reset device']
      .map((text) => `pciback 0000:00:04.0: xen-pciback: ${text}`));
  for (const bdf of ['00:04.0', '00:06.0']) {
    assert.is(one.hardware(bdf, 4, 2), 0x0103, bdf);
    assert.not.ok(tables(one, bdf).present, 'its DMA reaches nothing');
    assert.is(one.machine.hypervisor.ownerOf(one.machine.routingOf(bdf)), 0x7ff1, 'DOMID_IO');
  }
});

life('created: every key with its value and permissions', async () => {
  const one = await given();
  assert.equal(one.tree(BE).sort(), [
    `${BE} = "" (n0,r1)`,
    ...Object.entries({
      frontend: FE, 'frontend-id': 1, online: 1, state: 4, domain: 'guest',
      'key-0': '0000:00:04.0', 'dev-0': '0000:00:04.0', 'vdev-0': '0000:00:00.00', 'opts-0': OPTS, 'state-0': 3,
      'key-1': '0000:00:06.0', 'dev-1': '0000:00:06.0', 'vdev-1': '0000:00:01.00', 'opts-1': OPTS, 'state-1': 3,
      num_devs: 2, 'root-0': '0000:00', root_num: 1,
    }).map(([key, value]) => `${BE}/${key} = "${value}" (n0,r1)`),
  ].sort());
  assert.equal(one.tree('/local/domain/1/device/pci').sort(), [
    '/local/domain/1/device/pci = "" (n0,r1)', `${FE} = "" (n1,r0)`,
    ...Object.entries({ backend: BE, 'backend-id': 0, state: 4, 'pci-op-ref': 8, 'event-channel': 8, magic: 7 })
      .map(([key, value]) => `${FE}/${key} = "${value}" (n1,r0)`),
  ].sort());
  assert.equal(one.tree('/libxl/pci'), [
    '/libxl/pci = "" (n0)', '/libxl/pci/0000-00-04-0 = "" (n0)',
    '/libxl/pci/0000-00-04-0/driver_path = "/sys/bus/pci/drivers/e1000" (n0)', '/libxl/pci/0000-00-04-0/domid = "1" (n0)',
    '/libxl/pci/0000-00-06-0 = "" (n0)', '/libxl/pci/0000-00-06-0/domid = "1" (n0)',
  ]);
  assert.is(one.read('/libxl/1/device/pci'), undefined);
});

life('created: rights, COMMAND, handlers, tables, traffic', async () => {
  const one = await given();
  traffic(one);
  // edu's MSI beside the two lines
  assert.equal(one.rights(1), { irq: '20, 22, 38', iomem: 'fe400-fe53f, fe640-fe65f', ioport: 'd2c0-d2ff' });
  assert.equal([one.hardware('00:04.0', 4, 2), one.hardware('00:06.0', 4, 2)], [0x0107, 0x0507]);
  const front = one.kernel().front;
  assert.is((front?.readConfig(8, 4, 2).value ?? 0) & 0xffff, 0x0507, 'as the guest reads it');
  assert.equal([front?.readConfig(0, 0x10, 4).value, front?.readConfig(8, 0x10, 4).value], [0xfe640000, 0xfe400000], 'machine addresses');
  assert.is(handlers(one), '0000:00:04.0:on:acking:N\n0000:00:06.0:on:not acking:N\n');
  const [nic, edu] = [tables(one, '00:04.0'), tables(one, '00:06.0')];
  assert.ok(nic.present && edu.present);
  assert.equal([nic.did, nic.root], [edu.did, edu.root], 'one domain, one set of tables');
  const dom0 = tables(one, '01:00.0');
  assert.not.equal(nic.did, dom0.did);
  assert.is.not(nic.root, dom0.root);
  for (const bdf of ['00:04.0', '00:06.0']) assert.is(one.machine.hypervisor.ownerOf(one.machine.routingOf(bdf)), 1);
  assert.is(one.ok('pci-list', 'guest'), 'Vdev Device\n00.0 0000:00:04.0\n00.0 0000:00:06.0\n');
  assert.is(one.ok('pci-assignable-list'), '');
  // dom0 keeps all of its own
  const dom0Rights = one.machine.hypervisor.domain(0);
  assert.ok(dom0Rights.iomem.has(0xfe640, 0xfe65f) && dom0Rights.ioport.has(0xd2c0, 0xd2ff) && dom0Rights.irq.has(20, 22));
});

life('created: what Xen prints at q, e, i and M', async () => {
  const one = await given();
  const q = one.key('q');
  assert.equal(q.slice(q.indexOf('(XEN) Rangesets belonging to domain 1:')).slice(1, 4), [
    '(XEN)     Interrupts { 20, 22, 38 }', '(XEN)     I/O Memory { fe400-fe53f, fe640-fe65f }', '(XEN)     I/O Ports  { d2c0-d2ff }',
  ]);
  const e = one.key('e');
  const guest = e.slice(e.indexOf('(XEN) Event channel information for domain 1:'));
  const dom0Port = /p=(\d+)$/.exec(guest.find((line) => line.includes(' 8 [')) ?? '')?.[1];
  assert.ok(guest.includes(`(XEN)        8 [0/0]: s=3 n=0 x=0 d=0 p=${dom0Port}`), guest.join('\n'));
  assert.ok(e.some((line) => line.endsWith(`${dom0Port} [0/0]: s=3 n=0 x=0 d=1 p=8`)));
  assert.ok(guest.some((line) => line.endsWith('s=4 n=0 x=0 p=20 i=20')), 'INTx of the NIC');
  assert.ok(guest.some((line) => line.endsWith('s=4 n=0 x=0 p=55 i=38')), 'MSI of edu');
  const i = one.key('i');
  assert.ok(i.some((line) => line.endsWith(' d0: 20(---),d1: 20(---)')), 'bound in both domains');
  assert.ok(i.some((line) => /IRQ: +38 PCI-MSI .*d1: 55\(---\)$/.test(line)));
  assert.ok(one.key('M').some((line) => /MSI +38 .*dev=0000:00:06\.0/.test(line)));
});

life('edu alone: its MSI arrives at port 9, and goes when it is disabled', async () => {
  const one = await story();
  one.assignable('00:06.0');
  one.started(['00:06.0']);
  one.pass(2000);
  assert.ok(one.key('e').some((line) => line === '(XEN)        9 [0/0]: s=4 n=0 x=0 p=55 i=38'));
  assert.equal(one.rights(1).irq, '22, 38');
  const front = one.kernel().front;
  // control, address and data, as dom0 wrote them
  assert.is((front?.readConfig(0, 0x42, 2).value ?? 0) & 1, 1);
  const address = front?.readConfig(0, 0x44, 4).value ?? 0;
  assert.is((address & 0xfff00010) >>> 0, 0xfee00010, 'the remappable format');
  assert.is(front?.readConfig(0, 0x4c, 2).value, 0);
  assert.is(one.hardware('00:06.0', 0x44, 4), address);
  assert.is((front?.readConfig(0, 0x3c, 1).value ?? 0) & 0xff, 0x34, 'the message\'s number in dom0');
  front?.disableMsi(0);
  assert.is((front?.readConfig(0, 0x42, 2).value ?? 1) & 1, 0);
  assert.is(front?.readConfig(0, 0x44, 4).value, address, 'the address stays');
  assert.is((front?.readConfig(0, 0x3c, 1).value ?? 0) & 0xff, 22);
  assert.is(one.rights(1).irq, '22');
});

life('what the guest\'s kernel says', async () => {
  const one = await given();
  assert.equal(one.kernel().kernel.log.filter((line) => !line.startsWith('edu') && !/link is up|frames sent/.test(line)), [
    'pcifront pci-0: Allocated pdev, sh_info', 'pcifront pci-0: publishing successful!', 'pcifront pci-0: Installing PCI frontend',
    'pcifront pci-0: Creating PCI Frontend Bus 0000:00', 'pcifront pci-0: PCI host bridge to bus 0000:00',
    'pci_bus 0000:00: root bus resource [io  0x0000-0xffff]', 'pci_bus 0000:00: root bus resource [mem 0x00000000-0xffffffffff]',
    'pci_bus 0000:00: root bus resource [bus 00-ff]',
    'pcifront pci-0: claiming resource 0000:00:00.0/0', 'pcifront pci-0: claiming resource 0000:00:00.0/1',
    'pcifront pci-0: claiming resource 0000:00:00.0/6', 'pcifront pci-0: claiming resource 0000:00:01.0/0',
    'e1000 0000:00:00.0: Xen PCI mapped GSI20 to IRQ8',
  ]);
  const [config] = JSON.parse(one.ok('list', '-l', 'guest'));
  assert.is(config.config.b_info['type.pv'].e820_host, 'True');
});

life('plugged: rights, vectors, messages; unplugged: all of it gone, the device dom0\'s to give', async () => {
  const one = await given();
  one.assignable('00:05.0');
  one.ok('pci-attach', 'guest', '00:05.0');
  one.pass(2000);
  assert.is(one.kernel().activity.at(-1)?.nic?.returned, 4);
  assert.equal(one.rights(1).iomem, 'fe400-fe57f, fe640-fe69f, fe6c4-fe6c7');
  assert.equal(one.rights(1).ioport, 'd2c0-d2ff, d340-d35f');
  const interrupts = one.rights(1).irq;
  assert.match(interrupts, /^20-22, /);
  assert.is(one.machine.hypervisor.vectors.filter(({ domid }) => domid === 1).length, 1 + 3);
  assert.is(one.hardware('00:05.0', 4, 2), 0x0507);
  assert.is(one.hardware('00:05.0', 0xa2, 2), 0x8004);
  assert.is((one.kernel().front?.readConfig(0x10, 0xa2, 2).value ?? 0) & 0xffff, 0x8004);
  assert.is((one.kernel().front?.readConfig(0x10, 4, 2).value ?? 0) & 0xffff, 0x0507);
  assert.is(handlers(one), '0000:00:04.0:on:acking:N\n0000:00:06.0:on:not acking:N\n0000:00:05.0:on:not acking:N\n');
  let log = one.kernel().kernel.log;
  assert.ok(log.includes('pcifront pci-0: Rescanning PCI Frontend Bus 0000:00'));
  assert.ok(log.includes('pcifront pci-0: New device on 0000:00:02.0 found.'));
  assert.is(one.ok('pci-list', 'guest'), 'Vdev Device\n00.0 0000:00:04.0\n00.0 0000:00:06.0\n00.0 0000:00:05.0\n');
  one.ok('pci-detach', 'guest', '00:05.0');
  assert.equal(one.rights(1), { irq: '20, 22, 38', iomem: 'fe400-fe53f, fe640-fe65f', ioport: 'd2c0-d2ff' });
  log = one.kernel().kernel.log;
  const gone = log.indexOf('pcifront pci-0: PCI device 0000:00:02.0 removed.');
  assert.ok(gone >= 0);
  assert.ok(log.indexOf('pcifront pci-0: Rescanning PCI Frontend Bus 0000:00', gone) > gone);
  assert.is(one.hardware('00:05.0', 4, 2), 0x0103, 'no bus master');
  assert.is(one.hardware('00:05.0', 0xa2, 2) & 0x8000, 0);
  assert.not.ok(tables(one, '00:05.0').present, 'in quarantine');
  assert.is(one.driver('00:05.0'), 'pciback');
  assert.is(one.ok('pci-assignable-list'), '0000:00:05.0 \n');
  traffic(one);
  one.ok('pci-attach', 'guest', '00:05.0');
  one.pass(2000);
  assert.is(one.kernel().activity.at(-1)?.nic?.returned, 4, 'and again');
});

life('destroyed: nothing of the guest is left, the devices go back to dom0\'s own drivers and work there', async () => {
  const one = await given();
  assert.is(one.xl('destroy', 'guest').code, 0);
  for (const path of ['/local/domain/1', '/local/domain/0/backend/pci/1', '/libxl/1', '/libxl/pci/0000-00-04-0/domid', '/libxl/pci/0000-00-06-0/domid']) {
    assert.not.ok(one.there(path), path);
  }
  assert.is(one.ok('pci-assignable-list'), '0000:00:04.0 \n0000:00:06.0 \n');
  assert.is(handlers(one), '0000:00:04.0:off:not acking:N\n0000:00:06.0:off:not acking:N\n');
  for (const bdf of ['00:04.0', '00:06.0']) {
    assert.is(one.hardware(bdf, 4, 2), 0x0103);
    assert.not.ok(tables(one, bdf).present);
    assert.is(one.machine.hypervisor.ownerOf(one.machine.routingOf(bdf)), 0x7ff1);
  }
  const back = one.xl('pci-assignable-remove', '-r', '00:04.0');
  assert.equal([back.code, back.stderr], [0, 'libxl: info: Rebinding to driver at /sys/bus/pci/drivers/e1000\n']);
  assert.is(one.driver('00:04.0'), 'e1000');
  assert.is(file(one, 'slots'), '0000:00:06.0\n');
  assert.not.ok(one.there('/libxl/pci/0000-00-04-0/driver_path'));
  const [own, nic] = [tables(one, '01:00.0'), tables(one, '00:04.0')];
  assert.equal([nic.did, nic.root], [own.did, own.root], 'dom0\'s tables');
  one.pass();
  assert.is(one.machine.xen.nic(one.machine.routingOf('00:04.0'))?.returned, 4);
});

life('powered off: the states, what pciback says, everything back', async () => {
  const one = await given();
  const before = one.machine.xen.kernel.log.length;
  one.trace.take();
  assert.is(one.xl('shutdown', 'guest').code, 0);
  one.pass();
  assert.is(one.trace.states(), 'F5 B5 F6 B6');
  const said = one.machine.xen.kernel.log.slice(before).filter((line) => line.startsWith('pciback pci-1-0: fe'));
  assert.equal(said, ['pciback pci-1-0: fe state changed 5', 'pciback pci-1-0: fe state changed 6']);
  assert.equal(one.machine.hypervisor.domains.map(({ domid }) => domid), [0]);
  assert.is(handlers(one), '0000:00:04.0:off:not acking:N\n0000:00:06.0:off:not acking:N\n');
  assert.is(one.ok('pci-assignable-list'), '0000:00:04.0 \n0000:00:06.0 \n');
  one.started(['00:04.0', '00:06.0']);
  one.pass(2000);
  assert.equal(one.kernel(2).activity.map(({ driver }) => driver), ['e1000', 'edu']);
});

life.run();
