import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CommandError, endingOf, usage } from '../../src/cli/exit';
import { PortcullisError } from '../../src/errors';
import { PARAMETER_NAMES, resolveProfile } from '../../src/lab/cost/index';
import { HypercallError } from '../../src/xen/hypervisor/errors';

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

test('an error of the command line is one sentence with its own code', () => {
  assert.equal(endingOf(usage('--seed is \'x\''), false), { exitCode: 2, text: "portcullis: --seed is 'x'\n" });
  assert.is(endingOf(new CommandError(3, 'cannot read a file'), true).exitCode, 3);
});

test('codes of the library', () => {
  const codes: Array<[code: string, exitCode: number]> = [
    ['PCAP_BAD_MAGIC', 2], ['COST_UNKNOWN_PROFILE', 2], ['UNKNOWN_DEVICE', 2], ['MEMORY_SIZE', 2], ['BAD_BDF', 2],
    ['ENGINE_MEMORY', 3], ['DRIVER_TIMEOUT', 1], ['NO_TABLE_FRAME', 1], ['COST_BAD_COUNTS', 4],
  ];
  for (const [code, exitCode] of codes) {
    assert.is(endingOf(new PortcullisError(code, 'so it is'), false).exitCode, exitCode, code);
  }
  assert.is(endingOf(new HypercallError('EPERM', 'not yours'), false).exitCode, 1);
});

test('a sentence of several lines or with a full stop becomes one line without', () => {
  assert.is(endingOf(new PortcullisError('PCAP_EMPTY', 'it is empty:\n  record it again.'), false).text,
    'portcullis: it is empty: record it again\n');
});

test('a mistyped parameter gets a guess, a strange one the list', () => {
  const mistyped = caught(() => resolveProfile('rio2014', { cExti: 1 }));
  assert.is(endingOf(mistyped, false).text, "portcullis: unknown parameter 'cExti' in --set; did you mean cExit?\n");
  const strange = caught(() => resolveProfile('rio2014', { zzzzzz: 1 }));
  for (const name of PARAMETER_NAMES) assert.match(endingOf(strange, false).text, name);
});

test('anything else is our bug: one sentence, the stack only when asked for', () => {
  const error = new TypeError('x is undefined');
  assert.equal(endingOf(error, false), {
    exitCode: 4,
    text: 'portcullis: this is a bug of portcullis (TypeError: x is undefined): please report it with the command that '
      + 'you gave; PORTCULLIS_DEBUG=1 shows where\n',
  });
  assert.match(endingOf(error, true).text, /\n {4}at /);
  assert.is(endingOf('a string', false).exitCode, 4);
});

test.run();
