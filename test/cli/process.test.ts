// The built command in a process of its own, as users meet it.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../scripts/files.mjs';
import { version } from '../../package.json';

const cli = path.join(root, 'build/cli.js');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-process-'));
const SMALL = ['--packets', '64', '--rounds', '0', '--workloads', '1500'];
const NATIVE = [...SMALL, '--owners', 'native'];

interface Outcome {
  code: number | null;
  out: string;
  err: string;
}

function portcullis(...args: string[]): Outcome {
  const { PORTCULLIS_DEBUG: _, PORTCULLIS_MACHINE: __, ...own } = process.env;
  // No machine of the user's is asked.
  const env = { ...own, XDG_RUNTIME_DIR: folder };
  // Elsewhere than in the project: nothing may depend on the folder.
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [cli, ...args], {
    encoding: 'utf8', cwd: folder, env, timeout: 60_000, maxBuffer: 1 << 26,
  });
  if (error) throw error;
  return { code: status, out: stdout, err: stderr };
}

function refused(code: number, args: string[]): string {
  const outcome = portcullis(...args);
  const what = `${args.join(' ')}: ${outcome.err}`;
  assert.is(outcome.code, code, what);
  assert.is(outcome.out, '', what);
  assert.match(outcome.err, /^portcullis: [^\n]+[^.\n]\n$/, what);
  return outcome.err;
}

test('a small comparison', () => {
  const { code, out, err } = portcullis('compare', ...NATIVE, '--policies', 'none,strict');
  assert.is(err, '');
  assert.is(code, 0);
  assert.match(out, /^Modelled on profile /);
  assert.match(out, /\nverified: every byte of [\d,]+ packets was right\n$/);
  assert.not.match(out, /\u001b/);
});

test('one JSON document alone on standard output', () => {
  const { code, out, err } = portcullis('compare', ...NATIVE, '--policies', 'none,strict', '--json');
  assert.is(err, '');
  assert.is(code, 0);
  const document = JSON.parse(out);
  assert.is(document.schemaVersion, 1);
  assert.is(document.verified, true);
  assert.is(document.manifest.node, process.version);
  assert.equal(document.results.map((result: { policy: string }) => result.policy).sort(), ['none', 'strict']);
});

test('a byte flipped on the wire is found', () => {
  const { code, out, err } = portcullis('compare', ...NATIVE, '--policies', 'none', '--inject', 'corrupt');
  assert.is(code, 1);
  assert.match(out, /\nNOT VERIFIED: native none 1500: /);
  assert.match(err, /^portcullis: not verified: /);
});

test('the packaged capture is found', () => {
  const { code, out, err } = portcullis('compare', '--rounds', '0', '--workloads', 'pcap', '--policies', 'none',
    '--owners', 'native');
  assert.is(code, 0, err);
  assert.match(out, /pcap/);
});

test('usage errors end with 2', () => {
  assert.match(refused(2, ['compare', '--polices', 'none']), 'did you mean --policies?');
  assert.match(refused(2, ['frob']), "unknown command 'frob'");
  assert.match(refused(2, ['compare', '--policies', 'strct']), 'there are none, bypass, static, strict, lazy');
  assert.match(refused(2, ['compare', '--owners', 'kvm']), 'there are native, xen, pv-iommu');
  assert.match(refused(2, ['compare', '--device', 'rtl8139']), 'there is only e1000');
  assert.match(refused(2, ['compare', '--packets', '1e3']), 'a whole number from 1 to');
  assert.match(refused(2, ['compare', '--profile', 'vax']), 'there are rio2014');
  assert.match(refused(2, ['compare', ...SMALL, '--set', 'cExti=1']), 'did you mean cExit?');
  assert.match(refused(2, ['compare', ...SMALL, '--set', 'cIrq=-1']), 'not negative');
});

test('a malformed capture ends with 2, a missing one with 3', () => {
  const file = path.join(folder, 'not.pcap');
  fs.writeFileSync(file, 'this is no capture, whatever its name says');
  const args = ['compare', '--rounds', '0', '--workloads', 'pcap', '--pcap', file];
  assert.match(refused(2, args), 'this is not a pcap file');
  assert.match(refused(3, ['compare', '--pcap', 'missing.pcap']), 'cannot read the capture missing.pcap');
});

test('help and version', () => {
  const help = portcullis('compare', '--help');
  assert.is(help.code, 0);
  assert.is(help.err, '');
  assert.match(help.out, /Usage: portcullis compare[^]*--policies[^]*\nExamples:\n/);
  assert.equal(portcullis('--version'), { code: 0, out: `${version}\n`, err: '' });
  assert.is(portcullis().code, 2);
});

test('lspci prints what `lspci -F` reads', () => {
  const { code, out, err } = portcullis('lspci');
  assert.is(err, '');
  assert.is(code, 0);
  assert.match(out, /^00:04\.0 Ethernet controller: .*\n00: 86 80 0e 10 /m);
  assert.match(out, /\n\n00:06\.0 .*\n00: 34 12 e8 11 /);
  assert.match(refused(3, ['lspci', 'missing.json']), 'cannot read the machine missing.json');
});

test('a reader that goes away is no error', () => {
  const command = `"${process.execPath}" "${cli}" compare ${SMALL.join(' ')} --json 2>err.txt | head -c 1 >head.txt; `
    + 'echo "${PIPESTATUS[0]}"';
  const { stdout, error } = spawnSync('bash', ['-c', command], { encoding: 'utf8', cwd: folder, timeout: 60_000 });
  if (error) throw error;
  assert.is(stdout, '0\n');
  assert.is(fs.readFileSync(path.join(folder, 'err.txt'), 'utf8'), '');
});

test.after(() => fs.rmSync(folder, { recursive: true }));
test.run();
