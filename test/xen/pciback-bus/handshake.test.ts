// The PCI handshake as it was observed: states, keys, formats and order, recorded by a watch (xen-observed.md 3 and 4).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EDU, E1000, PciSplit } from '../../helpers/pci-split';

const connecting = suite('connecting');

connecting('two devices, the second while the guest is still paused', async () => {
  const split = await PciSplit.create();
  split.connect();
  assert.is(split.states, 'B1 F1 B2 B3 F3 B4 F4');
  const opts = 'msitranslate=0,power_mgmt=0,permissive=0,rdm_policy=strict';
  assert.equal(split.trace.filter((line) => /=/.test(line)), [
    `B/frontend=/local/domain/${split.domid}/device/pci/0`, `B/frontend-id=${split.domid}`, 'B/online=1', 'B/state=1',
    'B/domain=guest', `F/backend=/local/domain/0/backend/pci/${split.domid}/0`, 'F/backend-id=0', 'F/state=1',
    'B/key-0=0000:00:04.0', 'B/dev-0=0000:00:04.0', `B/opts-0=${opts}`, 'B/state-0=1', 'B/num_devs=1',
    'B/state=2', 'B/vdev-0=0000:00:00.00', 'B/state-0=3', 'B/root-0=0000:00', 'B/root_num=1', 'B/state=3',
    'B/key-1=0000:00:06.0', 'B/dev-1=0000:00:06.0', `B/opts-1=${opts}`, 'B/state-1=1', 'B/num_devs=2',
    'B/vdev-1=0000:00:01.00', 'B/state-1=3',
    'F/pci-op-ref=8', 'F/event-channel=1', 'F/magic=7', 'F/state=3', 'B/state=4', 'F/state=4',
  ]);
  assert.equal(split.pcifront?.devices.map(({ name }) => name), ['0000:00:00.0', '0000:00:01.0']);
});

connecting('without a front end the back end waits in 3, and a late one completes the handshake', async () => {
  const split = await PciSplit.create({ front: 'none' });
  split.connect();
  assert.is(split.states, 'B1 F1 B2 B3');
  assert.is(split.read(`${split.back}/state-1`), '3');
  const late = await PciSplit.create();
  late.record();
  late.addFirst('0000:00:04.0');
  late.boot();
  late.frontBus.unregister(late.pcifront as NonNullable<typeof late.pcifront>);
  late.scheduler.settle();
  assert.is(late.states, 'B1 F1 B2 B3');
  late.frontBus.register(late.pcifront as NonNullable<typeof late.pcifront>);
  late.scheduler.settle();
  assert.is(late.states, 'B1 F1 B2 B3 F3 B4 F4');
});

connecting('a front end that publishes before the back end has seen it', async () => {
  const split = await PciSplit.create();
  split.boot();
  split.scheduler.settle();
  split.record();
  split.addFirst('0000:00:04.0');
  split.dom0.schedule(() => undefined);
  split.scheduler.settle();
  assert.is(split.states.replace(/B. ?/g, '').trim(), 'F1 F3 F4');
  assert.is(split.states.replace(/F. ?/g, '').trim(), 'B1 B2 B3 B4');
});

connecting('without a back end the front end waits in 3', async () => {
  const split = await PciSplit.create({ back: 'none' });
  split.connect();
  assert.is(split.states, 'B1 F1 F3');
});

connecting('host addresses: a root for each bus', async () => {
  const split = await PciSplit.create({ hostAddresses: true, devices: [E1000, { ...EDU, routing: 0x100 }] });
  split.record();
  split.addFirst('0000:00:04.0');
  split.scheduler.settle();
  split.addBeforeStart(1, '0000:01:00.0');
  split.scheduler.settle();
  split.boot();
  split.scheduler.settle();
  const keys = ['vdev-0', 'vdev-1', 'root-0', 'root-1', 'root_num'].map((key) => `${key}=${split.read(`${split.back}/${key}`)}`);
  assert.equal(keys, ['vdev-0=0000:00:04.00', 'vdev-1=0000:01:00.00', 'root-0=0000:00', 'root-1=0000:01', 'root_num=2']);
  assert.equal(split.pcifront?.devices.map(({ name }) => name), ['0000:00:04.0', '0000:01:00.0']);
});

connecting.run();

const hotplug = suite('hot-plug');

hotplug('a third device comes and goes: B7 F7 B8 F4 B4', async () => {
  const split = await PciSplit.create();
  split.connect();
  const told: string[] = [];
  const front = split.pcifront as NonNullable<typeof split.pcifront>;
  front.onDevice = ({ name }) => told.push(`+${name} at F${split.state('F')}`);
  front.onDeviceGone = ({ name }) => told.push(`-${name} at F${split.state('F')}`);
  split.trace.length = 0;
  split.plug(2, '0000:00:07.0');
  split.scheduler.settle();
  assert.is(split.states, 'B7 F7 B8 F4 B4');
  assert.equal(split.trace.slice(4), ['B/num_devs=3', 'B/state=7', 'F/state=7', 'B/vdev-2=0000:00:02.00', 'B/state-2=3',
    'B/state=8', 'F/state=4', 'B/state=4']);
  // its driver is bound before the state says so
  assert.equal(told, ['+0000:00:02.0 at F7']);
  split.trace.length = 0;
  split.unplug(2);
  split.scheduler.settle();
  assert.is(split.states, 'B7 F7 B8 F4 B4');
  assert.equal(split.trace, ['B/state-2=5', 'B/state=7', 'F/state=7', 'B/state=8', 'F/state=4', 'B/state=4']);
  assert.equal(told, ['+0000:00:02.0 at F7', '-0000:00:02.0 at F4']);
  const rtl = split.stub.seized[2];
  assert.equal([rtl?.owner, rtl?.gaveBack], [undefined, 1]);
  const lines = split.domU.log.join('\n');
  assert.match(lines, 'New device on 0000:00:02.0 found.');
  assert.match(lines, 'PCI device 0000:00:02.0 removed.\npcifront pci-0: Rescanning PCI Frontend Bus 0000:00');
});

hotplug('the first of two goes; the second keeps its virtual slot when its entry is moved', async () => {
  const split = await PciSplit.create();
  split.connect();
  split.unplug(0);
  split.scheduler.settle();
  split.tool.transaction((store) => {
    for (const key of ['state', 'dev', 'key', 'vdev', 'opts']) {
      store.write(`${split.back}/${key}-0`, store.read(`${split.back}/${key}-1`));
      store.rm(`${split.back}/${key}-1`);
    }
    store.write(`${split.back}/num_devs`, '1');
  });
  split.scheduler.settle();
  assert.is(split.read(`${split.back}/vdev-0`), '0000:00:01.00');
  assert.equal(split.pcifront?.devices.map(({ name }) => name), ['0000:00:01.0']);
  split.unplug(0);
  split.scheduler.settle();
  assert.equal(split.stub.seized.map(({ owner }) => owner), [undefined, undefined, undefined]);
  assert.is(`${split.state('B')}${split.state('F')}`, '44');
});

hotplug('a device that is not to be had: the back end closes, everything is let go', async () => {
  const split = await PciSplit.create();
  split.connect();
  const gone: string[] = [];
  if (split.pcifront) split.pcifront.onDeviceGone = ({ name }) => gone.push(name);
  split.trace.length = 0;
  split.plug(2, '0000:00:1e.0');
  split.scheduler.settle();
  assert.is(split.states, 'B7 F7 B5 F6 B6');
  assert.equal(gone, ['0000:00:00.0', '0000:00:01.0']);
  assert.equal([split.pages.length, split.grants.used.length], [0, 0]);
  split.removeDirectories();
  split.scheduler.settle();
  assert.equal(split.stub.seized.map(({ owner }) => owner), [undefined, undefined, undefined]);
});

hotplug('a device is unbound from pciback while a guest has it: nobody is there any more', async () => {
  const split = await PciSplit.create();
  split.connect();
  const edu = split.stub.seized[1] as NonNullable<typeof split.stub.seized[1]>;
  split.stub.onTaken?.(edu);
  assert.is(split.pcifront?.readConfig(8, 0, 4).code, 0x86);
  assert.is(split.pcifront?.readConfig(0, 0, 4).code, 0);
  // the stub has it already
  split.unplug(1);
  split.scheduler.settle();
  assert.is(`${split.state('B')}${split.state('F')} ${edu.gaveBack}`, '44 0');
});

hotplug('power-off: F5 B5 F6 B6', async () => {
  const split = await PciSplit.create();
  split.connect();
  split.trace.length = 0;
  const front = split.pcifront as NonNullable<typeof split.pcifront>;
  split.scheduler.run('shutdown', split.domid, front.shutdown());
  split.scheduler.settle();
  assert.is(split.states, 'F5 B5 F6 B6');
  assert.match(split.dom0.log.join('\n'), 'fe state changed 5');
  assert.equal([split.pages.length, split.grants.used.length], [0, 0]);
  // the devices stay with the front end until the directories go
  assert.equal(split.stub.seized.map(({ owner }) => owner), [split.domid, split.domid, undefined]);
  split.removeDirectories();
  split.scheduler.settle();
  assert.equal(split.stub.seized.map(({ owner }) => owner), [undefined, undefined, undefined]);
});

hotplug.run();

