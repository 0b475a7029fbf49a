import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defineDevice } from '../../src/devices/host/define';
import { Machine } from '../../src/machine/machine';

const dice = defineDevice({
  model: 'dice',
  title: 'Unassigned class [ff00]: Device 1234:d1ce',
  config: {
    vendorId: 0x1234, deviceId: 0xd1ce, classCode: 0xff0000, revision: 1, subsystemVendorId: 0, subsystemId: 0, interruptPin: 0,
    bars: [{ kind: 'memory32', size: 0x1000 }],
  },
  registers: [{ bar: 0, size: 0x1000, rows: [{ name: 'SIDES', off: 0, reset: 100, writeMask: 0xff }, { name: 'ROLL', off: 4, host: 'read' }] }],
  state: { rolls: 0 },
  handlers: {
    onRead(device) {
      device.state.rolls++;
      return 1 + device.random.below(device.get('SIDES') || 1);
    },
  },
});

test('a device in TypeScript goes on where it was: its data, its registers, its randomness', async () => {
  const machine = await Machine.create({ devices: [{ model: 'dice', bdf: '00:05.0' }] }, { devices: [dice] });
  const roll = (one: Machine): number => one.engine.exports.registerRead(one.functionOf('00:05.0'), 0, 4, 4);
  machine.engine.exports.registerWrite(machine.functionOf('00:05.0'), 0, 0, 4, 200, 0);
  for (let i = 0; i < 5; i++) roll(machine);
  const snapshot = machine.save();
  const expected = Array.from({ length: 10 }, () => roll(machine));
  const document = JSON.parse(JSON.stringify(snapshot.document)) as typeof snapshot.document;
  const restored = await Machine.restore({ ...snapshot, document }, { devices: [dice] });
  assert.equal(Array.from({ length: 10 }, () => roll(restored)), expected);
  assert.equal(restored.hostDevice('00:05.0').state, { rolls: 15 });
});

test('a snapshot with a device that the host does not give is refused', async () => {
  const machine = await Machine.create({ devices: [{ model: 'dice', bdf: '00:05.0' }] }, { devices: [dice] });
  const snapshot = machine.save();
  try {
    await Machine.restore(snapshot);
  } catch (error) {
    assert.match((error as Error).message, /dice/);
    return;
  }
  assert.unreachable('it was restored');
});

test.run();
