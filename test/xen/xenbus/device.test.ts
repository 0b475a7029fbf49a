// The rules of xenbus for one end (xen-abi.md 2.3, xen-passthrough.md 2.3), with a driver that only records.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { XenbusBus, type XenbusDriver } from '../../../src/xen/xenbus/bus';
import { XenbusDevice } from '../../../src/xen/xenbus/device';
import { XenbusFailure } from '../../../src/xen/xenbus/errors';
import { parseState } from '../../../src/xen/xenbus/states';
import { PciSplit } from '../../helpers/pci-split';

class Recorder implements XenbusDriver {
  readonly type = 'vif';
  readonly said: string[] = [];
  onProbe: ((device: XenbusDevice) => void) | undefined;
  onChanged: ((device: XenbusDevice, state: number) => void) | undefined;

  probe(device: XenbusDevice): void {
    this.said.push(`probe ${device.node} of ${device.otherDomid}`);
    this.onProbe?.(device);
  }

  otherEndChanged(device: XenbusDevice, state: number): void {
    this.said.push(`${device.node} ${state}`);
    this.onChanged?.(device, state);
  }

  remove(device: XenbusDevice): void {
    this.said.push(`remove ${device.node}`);
  }
}

interface Pair {
  split: PciSplit;
  driver: Recorder;
  bus: XenbusBus;
  front: string;
  back: string;
}

async function pair(): Promise<Pair> {
  const split = await PciSplit.create({ back: 'none', front: 'none' });
  split.boot();
  const driver = new Recorder();
  split.frontBus.register(driver);
  return {
    split, driver, bus: split.frontBus,
    front: `/local/domain/${split.domid}/device/vif/3`,
    back: `/local/domain/0/backend/vif/${split.domid}/3`,
  };
}

function make({ split, front, back }: Pair, values: Record<string, string> = {}): void {
  const parent = front.slice(0, -2);
  split.tool.transaction((store) => {
    store.mkdir(back);
    store.setPermissions(back, 'n0', `r${split.domid}`);
    store.write(`${back}/state`, '1');
    store.mkdir(parent);
    store.setPermissions(parent, 'n0', `r${split.domid}`);
    store.mkdir(front);
    store.setPermissions(front, `n${split.domid}`, 'r0');
    const all = { backend: back, 'backend-id': '0', state: '1', ...values };
    for (const [key, value] of Object.entries(all)) store.write(`${front}/${key}`, value);
  });
  split.scheduler.settle();
}

const rules = suite('xenbus');

rules('states are one digit from 0 to 8; all else is unknown', () => {
  assert.equal(['0', '1', '8', '9', '', '10', '-1', 'x', ' 4', undefined].map(parseState), [0, 1, 8, 0, 0, 0, 0, 0, 0, 0]);
});

rules('a device is probed in state 1 only, once, and told of the other end', async () => {
  const one = await pair();
  make(one);
  assert.equal(one.driver.said, ['probe device/vif/3 of 0', 'device/vif/3 1']);
  one.split.tool.write(`${one.back}/state`, '2');
  one.split.scheduler.settle();
  // a write of anything in the directories starts nothing anew
  one.split.tool.write(`${one.front}/mac`, '00:16:3e:00:00:01');
  one.split.scheduler.settle();
  assert.equal(one.driver.said.slice(2), ['device/vif/3 2']);
  for (const state of ['2', '3', '4', '5', '6', '0', '']) {
    const other = await pair();
    make(other, { state });
    assert.equal(other.driver.said, []);
  }
});

rules('without another end that can be read: an error node, and Closing', async () => {
  const nowhere = ['/local/domain/0/backend/vif/9/9', 'nowhere', ''].map((backend) => ({ backend }));
  for (const values of [...nowhere, { 'backend-id': 'x' }]) {
    const one = await pair();
    make(one, values);
    assert.equal(one.driver.said, []);
    assert.is(one.split.read(`${one.front}/state`), '5');
    const text = one.split.read(`/local/domain/${one.split.domid}/error/device/vif/3/error`);
    assert.is(text, '2 unable to read other end from device/vif/3');
  }
});

rules('a state is written once, within a transaction, and never into a directory that is gone', async () => {
  const one = await pair();
  make(one);
  const device = one.bus.devices[0] as XenbusDevice;
  const seen: string[] = [];
  const { tool } = one.split;
  one.split.store.connect(0);
  const watcher = tool;
  watcher.onEvent = ({ path }) => seen.push(path);
  watcher.watch(`${one.front}/state`, 'w');
  seen.length = 0;
  device.switchState(3);
  device.switchState(3);
  assert.is(seen.length, 1);
  tool.write(`${one.front}/state`, '4');
  seen.length = 0;
  device.switchState(4);
  assert.equal(seen, []);
  tool.rm(one.front);
  device.switchState(6);
  assert.is(tool.readIfThere(one.front), undefined);
});

rules('the state is read again when somebody was in the way', async () => {
  const one = await pair();
  make(one);
  const device = one.bus.devices[0] as XenbusDevice;
  const { store } = one.split.domU;
  const read = store.within.bind(store);
  let interfered = false;
  store.within = (id) => {
    const inside = read(id);
    if (!interfered) {
      interfered = true;
      inside.read(`${one.front}/state`);
      one.split.tool.write(`${one.front}/state`, '7');
    }
    return inside;
  };
  device.switchState(3);
  assert.is(one.split.read(`${one.front}/state`), '3');
  assert.is(interfered, true);
});

rules('a directory that goes takes the driver with it; one that comes again is a new device', async () => {
  const one = await pair();
  make(one);
  const { tool, scheduler } = one.split;
  for (const path of [one.front, one.front.slice(0, -2), `/local/domain/${one.split.domid}/device`]) {
    one.driver.said.length = 0;
    tool.rm(path);
    scheduler.settle();
    assert.equal(one.driver.said.filter((line) => line.startsWith('remove')), ['remove device/vif/3']);
    assert.equal(one.bus.devices, []);
    if (path.endsWith('device')) {
      tool.mkdir(path);
      tool.setPermissions(path, 'n0', `r${one.split.domid}`);
    }
    make(one);
    assert.is(one.bus.devices.length, 1);
  }
});

rules('the other end goes: its state is unknown', async () => {
  const one = await pair();
  make(one);
  one.split.tool.rm(one.back);
  one.split.scheduler.settle();
  assert.equal(one.driver.said.slice(2), ['device/vif/3 0']);
});

rules('a driver that fails ends its own device and no other', async () => {
  const one = await pair();
  one.driver.onProbe = () => { throw new XenbusFailure(12, 'no room'); };
  make(one);
  assert.is(one.split.read(`${one.front}/state`), '5');
  assert.is(one.split.read(`/local/domain/${one.split.domid}/error/device/vif/3/error`), '12 no room');
  const other = await pair();
  other.driver.onChanged = (device) => device.readOther('state') && device.kernel.store.write('/not/mine', 'x');
  make(other);
  assert.is(other.split.read(`${other.front}/state`), '5');
  assert.match(other.split.read(`/local/domain/${other.split.domid}/error/device/vif/3/error`) ?? '', /^13 /);
});

rules('a bug of a driver is not hidden', async () => {
  const one = await pair();
  one.driver.onProbe = () => { throw new TypeError('a bug'); };
  assert.throws(() => make(one), /a bug/);
});

rules('a driver that leaves closes its devices, and hears nothing more', async () => {
  const one = await pair();
  make(one);
  one.bus.unregister(one.driver);
  assert.is(one.split.read(`${one.front}/state`), '6');
  one.driver.said.length = 0;
  one.split.tool.write(`${one.back}/state`, '4');
  one.split.scheduler.settle();
  assert.equal(one.driver.said, []);
});

rules('a device that is given up from within', async () => {
  const one = await pair();
  one.driver.onChanged = (device, state) => { if (state === 6) device.leave(); };
  make(one);
  one.split.tool.write(`${one.back}/state`, '6');
  one.split.scheduler.settle();
  assert.equal(one.driver.said.slice(-2), ['device/vif/3 6', 'remove device/vif/3']);
  assert.equal(one.bus.devices, []);
  assert.is(one.split.read(`${one.front}/state`), '6');
});

rules('the back bus finds its devices by type, domain and number', async () => {
  const split = await PciSplit.create({ back: 'none', front: 'none' });
  const driver = new Recorder();
  split.backBus.register(driver);
  split.tool.transaction((store) => {
    for (const domid of [split.domid, 9]) {
      const [back, front] = [`/local/domain/0/backend/vif/${domid}/0`, `/local/domain/${domid}/device/vif/0`];
      store.write(`${front}/state`, '1');
      const keys = { frontend: front, 'frontend-id': String(domid), state: '1' };
      for (const [key, value] of Object.entries(keys)) store.write(`${back}/${key}`, value);
    }
  });
  split.scheduler.settle();
  assert.equal(driver.said.filter((line) => line.startsWith('probe')).sort(),
    [`probe backend/vif/${split.domid}/0 of ${split.domid}`, 'probe backend/vif/9/0 of 9']);
  split.tool.rm('/local/domain/0/backend/vif/9');
  split.scheduler.settle();
  assert.is(driver.said.at(-1), 'remove backend/vif/9/0');
});

rules.run();
