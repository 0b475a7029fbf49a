// The grammar of setpci, and what it does to a function. What the stock one says was tried on pciutils 3.9.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findProgram } from '../../scripts/debian.mjs';
import { root } from '../../scripts/files.mjs';
import { PortcullisError } from '../../src/errors';
import { applyOperations } from '../../src/pci/setpci/apply';
import { parseOperation } from '../../src/pci/setpci/operation';
import { parseSlotFilter } from '../../src/pci/slot-filter';
import { registerTable } from '../../src/cli/commands/setpci';
import { fakeFunction, nicBytes } from '../helpers/fake-control';
import { skipTest } from '../helpers/skip';

const cap = (id: number, extended = false, instance = 0): object => ({ id, extended, instance });

const GOOD: Array<[text: string, capability: object | undefined, off: number, width: number, values: Array<[number, number]>]> = [
  ['VENDOR_ID', undefined, 0x00, 2, []],
  ['vendor_id.l', undefined, 0x00, 4, []],
  ['COMMAND=7', undefined, 0x04, 2, [[7, 0xffff]]],
  ['COMMAND=4:4', undefined, 0x04, 2, [[4, 4]]],
  ['4.w', undefined, 4, 2, []],
  ['0x40.B', undefined, 0x40, 1, []],
  ['40.b=1,2,ff:f', undefined, 0x40, 1, [[1, 0xff], [2, 0xff], [0xff, 0x0f]]],
  ['BASE_ADDRESS_0=ffffffff', undefined, 0x10, 4, [[0xffffffff, 0xffffffff]]],
  ['STATUS+1.b', undefined, 0x07, 1, []],
  ['LATENCY_TIMER=40', undefined, 0x0d, 1, [[0x40, 0xff]]],
  ['BRIDGE_CONTROL', undefined, 0x3e, 2, []],
  ['CAP_EXP+8.w', cap(0x10), 8, 2, []],
  ['cap_msi+2.w=80', cap(0x05), 2, 2, [[0x80, 0xffff]]],
  ['CAP05+2.w', cap(0x05), 2, 2, []],
  ['CAP_PM.w@1', cap(0x01, false, 1), 0, 2, []],
  ['ECAP_AER+4.l', cap(0x0001, true), 4, 4, []],
  ['ECAP0003+8.l', cap(0x0003, true), 8, 4, []],
  ['ffc.l', undefined, 0xffc, 4, []],
  ['5.w', undefined, 5, 2, []],
];

test('operations', () => {
  for (const [text, capability, off, width, values] of GOOD) {
    const { layouts: _, ...operation } = parseOperation(text);
    assert.equal(operation, { text, capability, off, width, values: values.map(([value, mask]) => ({ value, mask })) }, text);
  }
});

test('what is no operation is refused with its reason', () => {
  const table: Array<[text: string, why: string]> = [
    ['4', 'width is missing'], ['CAP_EXP+8', 'width is missing'], ['4.q', 'the width "q"'], ['4.ww', 'the width "ww"'], ['4.', 'the width ""'],
    ['CAP_FOO.w', 'no register has the name "CAP_FOO"'], ['ECAP_.l', 'no register'], ['', 'no register has the name ""'],
    ['COMMANDS', 'no register has the name'], ['4.w=zz', 'the value "zz" is no hexadecimal number'], ['4.w=', 'the value ""'],
    ['4.b=100', 'the value "100" is more than ff'], ['4.w=7:fffff', 'the mask "fffff" is more than ffff'],
    ['4.w=1:2:3', 'more than one mask'], ['1000.w', 'the register "1000" is more than fff'], ['ffe.l', 'beyond fff'],
    ['ffc.l=1,2', 'beyond fff'], ['COMMAND+zz.b', 'the offset "zz"'], ['CAP100.b', 'the capability "100" is more than ff'],
    ['4.w@1', 'only a capability has instances'], ['CAP_PM.w@x', 'the instance "x"'], ['4.w,6.w', 'the width "w,6.w"'],
    ['4.w=-1', 'the value "-1"'], ['123456789.b', 'is no hexadecimal number'],
  ];
  for (const [text, why] of table) {
    try {
      parseOperation(text);
      assert.unreachable(text);
    } catch (error) {
      assert.instance(error, PortcullisError, text);
      assert.is((error as PortcullisError).code, 'BAD_REGISTER', text);
      assert.match((error as PortcullisError).message, why);
    }
  }
});

test('reads, writes and writes under a mask', () => {
  const bytes = nicBytes();
  const nic = fakeFunction(0x28, bytes, { refused: 0xd2 });
  const run = (...texts: string[]): unknown[] => applyOperations([nic], texts.map(parseOperation))
    .map(({ off, value, code, problem }) => problem ?? [off, value, code]);
  assert.equal(run('COMMAND', 'VENDOR_ID.l', 'CAP_MSI+2.w', 'ECAP_AER.l', 'ECAP_DSN+0.w'),
    [[0x04, 0x0103, 0], [0x00, 0x10d38086, 0], [0xd2, 0x80, 0], [0x100, 0x14020001, 0], [0x140, 0x0003, 0]]);
  assert.equal(run('COMMAND=4:4', 'COMMAND', '40.b=1,2,3', '40.l'), [[0x04, undefined, 0], [0x04, 0x0107, 0],
    [0x40, undefined, 0], [0x41, undefined, 0], [0x42, undefined, 0], [0x40, 0x030201, 0]]);
  // The way there says what it does not do.
  assert.equal(run('CAP_MSI+2.w=81', 'CAP_MSI+2.w', '5.w'), [[0xd2, undefined, 0x88], [0xd2, 0x80, 0], [0x05, undefined, 0x87]]);
  assert.equal(run('CAP_AGP.w', 'CAP_PM.w@1', 'ECAP_ACS.l'), ['no capability 02 here',
    'capability 01 is here 1 times, from instance 0 on', 'no extended capability 000d here']);
});

test('a name is a register of the headers that have it', () => {
  const bridge = nicBytes();
  bridge[0x0e] = 0x81;
  const run = (bytes: Uint8Array, text: string): string | undefined =>
    applyOperations([fakeFunction(0x28, bytes)], [parseOperation(text)])[0]?.problem;
  const none = 'the header of this function has no such register';
  assert.equal(['COMMAND', 'BRIDGE_CONTROL', 'BASE_ADDRESS_2', 'CB_MEMORY_BASE_0', '3e.w'].map((text) => run(nicBytes(), text)),
    [undefined, none, undefined, none, undefined]);
  assert.equal(['COMMAND', 'BRIDGE_CONTROL', 'BASE_ADDRESS_2', 'CB_MEMORY_BASE_0', '3e.w'].map((text) => run(bridge, text)),
    [undefined, undefined, none, none, undefined]);
});

test('an answer with more bits than were asked for is cut', () => {
  const read = (): { code: number; value: number } => ({ code: 0, value: 0xfe660107 });
  const [one] = applyOperations([{ routing: 0, config: { read, write: () => 0 } }], [parseOperation('4.b')]);
  assert.is(one?.value, 0x07);
});

test('every register of several functions', () => {
  const functions = [fakeFunction(0x20, nicBytes()), fakeFunction(0x28, nicBytes())];
  const results = applyOperations(functions, [parseOperation('VENDOR_ID'), parseOperation('DEVICE_ID')]);
  assert.equal(results.map(({ bdf, value }) => [bdf, value]), [['0000:00:04.0', 0x8086], ['0000:00:05.0', 0x8086],
    ['0000:00:04.0', 0x10d3], ['0000:00:05.0', 0x10d3]]);
});

test('choices of functions', () => {
  const all = [0x0000, 0x0020, 0x0023, 0x0100, 0x0120];
  const chosen = (text: string): number[] => all.filter(parseSlotFilter(text));
  assert.equal(chosen('00:04.0'), [0x20]);
  assert.equal(chosen('0000:00:04.0'), [0x20]);
  assert.equal(chosen('4'), [0x20, 0x23, 0x120]);
  assert.equal(chosen('1:'), [0x100, 0x120]);
  assert.equal(chosen('.3'), [0x23]);
  assert.equal(chosen('*:4.*'), [0x20, 0x23, 0x120]);
  assert.equal(chosen('1:0:0'), []);
  assert.equal(chosen(''), all);
  for (const text of ['zz', '00:20.0', '0:0:0:0', '100:0', '4.8', '4.0.0', '10000::', '-1']) {
    assert.throws(() => parseSlotFilter(text), (error: PortcullisError) => error.code === 'BAD_SLOT', text);
  }
});

const setpci = findProgram('setpci');
if (setpci === undefined) {
  skipTest('the names and the readings are those of the stock setpci', 'no setpci here (Debian\'s package pciutils)');
} else {
  test('the names are those of the stock setpci', () => {
    const { stdout } = spawnSync(setpci, ['--dumpregs'], { encoding: 'utf8' });
    // A later one has more capabilities.
    const theirs = stdout.trimEnd().split('\n');
    for (const line of registerTable().trimEnd().split('\n')) assert.ok(theirs.includes(line), line);
  });

  test('the stock setpci reads the same', () => {
    const bytes = nicBytes();
    const rows = Array.from({ length: 256 }, (_, i) => `${(16 * i).toString(16).padStart(2, '0')}: `
      + [...bytes.subarray(16 * i, 16 * i + 16)].map((byte) => byte.toString(16).padStart(2, '0')).join(' '));
    const file = path.join(root, 'build/setpci.txt');
    fs.writeFileSync(file, `00:05.0 Ethernet controller\n${rows.join('\n')}\n`);
    const texts = GOOD.filter(([, , off, width, values]) => values.length === 0 && off % width === 0).map(([text]) => text)
      .filter((text) => !/@1|BRIDGE/.test(text));
    const { stdout, status, stderr } = spawnSync(setpci, ['-A', 'dump', '-O', `dump.name=${file}`, '-s', '5.0', ...texts],
      { encoding: 'utf8' });
    assert.is(status, 0, stderr);
    const ours = applyOperations([fakeFunction(0x28, bytes)], texts.map(parseOperation));
    assert.is(ours.map(({ value, width }) => `${value?.toString(16).padStart(2 * width, '0')}\n`).join(''), stdout);
  });
}

test.run();
