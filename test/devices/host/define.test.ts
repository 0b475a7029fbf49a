import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defineDevice } from '../../../src/index';
import type { HostRegister, PortcullisError } from '../../../src/index';

const config = {
  vendorId: 1, deviceId: 2, classCode: 0xff0000, revision: 0, subsystemVendorId: 0, subsystemId: 0, interruptPin: 0,
  bars: [{ kind: 'memory32' as const, size: 0x100 }],
};

test('names of registers and the shape of the state are checked where they are written', () => {
  defineDevice({
    model: 'typed', title: '', config, state: { count: 0 },
    registers: [{ bar: 0, size: 0x100, rows: [{ name: 'PLAIN', off: 0 }, { name: 'LOUD', off: 4, host: true }] }],
    handlers: {
      onRead(device, register) {
        const name: 'LOUD' = register;
        device.get('PLAIN');
        device.state.count.toFixed();
        // @ts-expect-error no such register
        device.get('PLIAN');
        // @ts-expect-error no such state
        device.state.amount;
        // @ts-expect-error a register handler does no DMA
        device.dmaRead;
        // @ts-expect-error only registers with host call the device
        const other: 'PLAIN' = register;
        return name.length + other.length;
      },
      onWrite(device) {
        // @ts-expect-error a value is a number
        device.set('LOUD', 'x');
      },
      load: () => ({ count: 1 }),
    },
  });
  // rows that are computed have any name
  const rows: HostRegister[] = [0, 4].map((off) => ({ name: `R${off}`, off, host: 'read' }));
  defineDevice({
    model: 'computed', title: '', config, state: {}, registers: [{ bar: 0, size: 0x100, rows }],
    handlers: { onRead: (device, register) => device.get(register) },
  });
});

const refused: Array<[RegExp, Partial<HostRegister>[], object?]> = [
  [/register A at 0x2 of BAR 0 is not aligned to its 4 bytes/, [{ off: 2 }]],
  [/not aligned to its 8 bytes/, [{ off: 4, bytes: 8 }]],
  [/out of order, or overlaps/, [{ off: 8 }, { name: 'B', off: 4 }]],
  [/out of order, or overlaps/, [{ off: 0, bytes: 8 }, { name: 'B', off: 4 }]],
  [/beyond the BAR's 256 bytes/, [{ off: 0x100 }]],
  [/a name that another has already/, [{ off: 0 }, { off: 4 }]],
  [/has reset -1; it has 32 bits/, [{ off: 0, reset: -1 }]],
  [/calls onRead, and there is none/, [{ off: 0, host: true }]],
  [/calls onWrite, and there is none/, [{ off: 0, host: 'write' }]],
  [/writes do not call the device/, [{ off: 0, handlerStores: true }]],
  [/256 bytes in config space, 512 in its registers/, [], { size: 512 }],
  [/registers of BAR 1, which its config space does not have/, [], { bar: 1 }],
];

for (const [message, rows, table] of refused) {
  test(`refuses: ${message.source}`, () => {
    const registers = [{ bar: 0, size: 0x100, rows: rows.map((row) => ({ name: 'A', off: 0, ...row })), ...table }];
    assert.throws(() => defineDevice({ model: 'bad', title: '', config, state: {}, registers, handlers: {} }),
      (error: PortcullisError) => error.code === 'DEVICE_DEFINITION' && message.test(error.message));
  });
}

test('refuses a model name that cannot be written in a description, and a BAR that cannot be', () => {
  const make = (model: string, size: number): unknown => defineDevice({
    model, title: '', config: { ...config, bars: [{ kind: 'memory32', size }] }, state: {}, registers: [], handlers: {},
  });
  assert.throws(() => make('My Device', 0x100), /lower case/);
  assert.throws(() => make('fine', 100), /power of two/);
});

test.run();
