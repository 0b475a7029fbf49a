// Where a guest sees its devices (xen-passthrough.md 5, xen-observed.md 4.7).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { HostBuses, VirtualBus } from '../../../src/xen/pciback/topology';
import { ExportError, type SeizedDevice, type Topology, type VirtualAddress } from '../../../src/xen/pciback/types';
import { BEHIND, E1000, fakePciback, PAIR_0, PAIR_1, ROOT_PORT } from '../../helpers/fake-pciback';

/** As far as topologies look at one. */
function device(routing: number, options: { virtualFunction?: boolean; baseClass?: number } = {}): SeizedDevice {
  const { virtualFunction = false, baseClass = 2 } = options;
  const result = { err: 0, value: 0 };
  return {
    name: routing.toString(16), routing, owner: 1, virtualFunction,
    configRead: (off, size) => ({ err: 0, value: off === 0x0b && size === 1 ? baseClass : 0 }), configWrite: () => result,
    enableMsi: () => result, disableMsi: () => result, enableMsix: () => ({ ...result, pirqs: [] }), disableMsix: () => result,
    updateIntx: () => {},
  };
}

const at = (routing: number, slot: number, func: number): number => routing << 8 | slot << 3 | func;
const shown = ({ segment, bus, devfn }: VirtualAddress): string => `${segment}:${bus}:${devfn >> 3}.${devfn & 7}`;

function refusal(call: () => unknown): [errno: number, message: string] {
  try {
    call();
  } catch (error) {
    if (error instanceof ExportError) return [error.errno, error.message];
    throw error;
  }
  throw new Error('nothing was refused');
}

const vpci = suite('one virtual bus');

vpci('functions of one device share a slot, others get the first empty one', () => {
  const bus = new VirtualBus();
  const added = [at(0, 10, 0), at(0, 10, 1), at(1, 0, 0), at(0, 9, 0)].map((routing) => shown(bus.add(device(routing))));
  assert.equal(added, ['0:0:0.0', '0:0:0.1', '0:0:1.0', '0:0:2.0']);
  assert.equal(bus.roots(), [{ segment: 0, bus: 0 }]);
  assert.is(new VirtualBus().roots().length, 1, 'without devices, too');
});

vpci('the function number is the host\'s, and there may be no function 0', () => {
  const bus = new VirtualBus();
  const one = device(at(3, 0, 2));
  assert.is(shown(bus.add(one)), '0:0:0.2');
  assert.is(bus.find(0, 0, 0), undefined);
  assert.is(bus.find(0, 0, 2), one);
  assert.is(shown(bus.add(device(at(3, 0, 0)))), '0:0:0.0', 'function 0 joins later');
});

vpci('slots are joined by segment, bus and slot of the host', () => {
  const bus = new VirtualBus();
  const added = [at(0, 5, 0), at(1, 5, 1), at(0, 6, 1), at(1, 5, 0), at(0, 5, 7)]
    .map((routing) => shown(bus.add(device(routing))));
  assert.equal(added, ['0:0:0.0', '0:0:1.1', '0:0:2.1', '0:0:1.0', '0:0:0.7']);
});

vpci('a virtual function 0 is alone in its slot', () => {
  const bus = new VirtualBus();
  const vf = (routing: number): SeizedDevice => device(routing, { virtualFunction: true });
  assert.is(shown(bus.add(vf(at(2, 16, 0)))), '0:0:0.0');
  assert.is(shown(bus.add(vf(at(2, 16, 1)))), '0:0:1.1', 'nothing joins it');
  assert.is(shown(bus.add(vf(at(2, 16, 2)))), '0:0:1.2', 'other virtual functions join each other');
  assert.is(shown(bus.add(vf(at(2, 17, 0)))), '0:0:2.0');
  const other = new VirtualBus();
  other.add(device(at(2, 0, 1)));
  assert.is(shown(other.add(vf(at(2, 0, 0)))), '0:0:1.0', 'nor does it join');
});

vpci('32 slots, and no more; an emptied one is used again, the lowest first', () => {
  const bus = new VirtualBus();
  const all = Array.from({ length: 32 }, (_, slot) => device(at(1, slot, 0)));
  for (const one of all) bus.add(one);
  assert.equal(refusal(() => bus.add(device(at(2, 0, 0)))), [12, 'No more space on root virtual PCI bus']);
  assert.is(bus.devices().length, 32);
  assert.is(shown(bus.add(device(at(1, 7, 3)))), '0:0:7.3', 'a function of a device that is there has room');
  bus.remove(all[20] as SeizedDevice);
  bus.remove(all[4] as SeizedDevice);
  assert.is(bus.find(0, 0, 4 << 3), undefined);
  assert.is(bus.addressOf(all[4] as SeizedDevice), undefined);
  assert.is(shown(bus.add(device(at(2, 0, 0)))), '0:0:4.0');
  assert.is(shown(bus.add(device(at(2, 1, 0)))), '0:0:20.0');
  bus.remove(all[4] as SeizedDevice);
  assert.is(bus.devices().length, 33);
});

vpci('a slot goes on while one function of it is left', () => {
  const bus = new VirtualBus();
  const [first, second] = [device(at(0, 10, 0)), device(at(0, 10, 1))];
  bus.add(first);
  bus.add(second);
  bus.remove(first);
  assert.is(bus.find(0, 0, 0), undefined);
  assert.is(bus.find(0, 0, 1), second);
  assert.is(shown(bus.add(device(at(0, 11, 0)))), '0:0:1.0');
  assert.is(shown(bus.add(first)), '0:0:0.0');
});

vpci('nothing is elsewhere', () => {
  const bus = new VirtualBus();
  const one = device(at(0, 4, 0));
  bus.add(one);
  assert.is(bus.find(0, 0, 0), one);
  const elsewhere = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 8], [0, 0, 256], [0, 0, -1], [0xffffffff, 0, 0]] as const;
  for (const [segment, number, devfn] of elsewhere) {
    assert.is(bus.find(segment, number, devfn), undefined);
  }
});

vpci.run();

const host = suite('the host\'s buses');

host('addresses are the host\'s; a root for each bus, in the order in which they came', () => {
  const buses = new HostBuses();
  const [one, other] = [device(at(0, 4, 0)), device(at(1, 0, 0))];
  assert.equal([one, other, device(at(0, 10, 1))].map((added) => shown(buses.add(added))), ['0:0:4.0', '0:1:0.0', '0:0:10.1']);
  assert.equal(buses.roots(), [{ segment: 0, bus: 0 }, { segment: 0, bus: 1 }]);
  assert.is(buses.find(0, 1, 0), other);
  assert.is(buses.find(0, 0, 0), undefined);
  assert.is(buses.find(1, 1, 0), undefined);
  assert.equal(buses.addressOf(one), { segment: 0, bus: 0, devfn: 0x20 });
  buses.remove(one);
  buses.remove(one);
  assert.is(buses.addressOf(one), undefined);
  assert.is(buses.find(0, 0, 0x20), undefined);
  assert.is(buses.devices().length, 2);
});

host('more than a virtual bus has', () => {
  const buses = new HostBuses();
  for (let routing = 0; routing < 1024; routing++) buses.add(device(routing));
  assert.is(buses.roots().length, 4);
});

host.run();

const bridges = suite('bridges');

bridges('are not exported, in neither topology', () => {
  for (const topology of [new VirtualBus(), new HostBuses()] satisfies Topology[]) {
    const bridge = device(at(0, 28, 0), { baseClass: 6 });
    assert.equal(refusal(() => topology.add(bridge)), [14, 'Can\'t export bridges on the virtual PCI bus']);
    assert.equal(topology.devices(), []);
  }
});

bridges('as the stub has them, with the topology that the module was loaded with', () => {
  for (const passthrough of [false, true]) {
    const back = fakePciback({ passthrough });
    const topology = back.stub.topology();
    assert.is(refusal(() => topology.add(back.take(ROOT_PORT)))[0], 14);
    const added = [PAIR_0, PAIR_1, BEHIND, E1000].map((routing) => shown(topology.add(back.take(routing))));
    assert.equal(added, passthrough ? ['0:0:10.0', '0:0:10.1', '0:1:0.0', '0:0:4.0']
      : ['0:0:0.0', '0:0:0.1', '0:0:1.0', '0:0:2.0']);
    assert.is(back.stub.topology().devices().length, 0, 'one for each front end');
  }
});

bridges.run();
