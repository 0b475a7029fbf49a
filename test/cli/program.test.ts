import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { version } from '../../package.json';
import { run } from '../../src/cli/program';
import type { CompareDocument, CompareOptions } from '../../src/lab/result';
import { toJson } from '../../src/report/json';
import { toTable } from '../../src/report/table';
import { compareFixture } from '../helpers/compare-fixture';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-cli-'));
const capture = path.join(folder, 'packaged.pcap');
fs.writeFileSync(capture, 'packaged');
const own = path.join(folder, 'own.pcap');
fs.writeFileSync(own, 'own');

interface Outcome {
  code: number;
  out: string;
  err: string;
  /** What compare was asked, each time that it was. */
  asked: CompareOptions[];
  /** Whether a progress bar was wanted. */
  bars: boolean[];
}

/** Runs a command line with a comparison that is only made up. */
async function command(line: string, document: CompareDocument | Error = compareFixture()): Promise<Outcome> {
  const outcome: Outcome = { code: -1, out: '', err: '', asked: [], bars: [] };
  outcome.code = await run(line.split(' ').filter(Boolean), {
    capture: pathToFileURL(capture),
    out: async (text) => { outcome.out += text; },
    outBytes: async (bytes) => { outcome.out += Buffer.from(bytes).toString('latin1'); },
    err: (text) => { outcome.err += text; },
    colour: false,
    debug: false,
    env: { XDG_RUNTIME_DIR: folder },
    input: () => Promise.resolve(''),
    stop: () => Promise.resolve(),
    progress: (wanted) => {
      outcome.bars.push(wanted);
      return { update: () => undefined, stop: () => undefined };
    },
    compare: async (options) => {
      outcome.asked.push(options);
      if (document instanceof Error) throw document;
      return document;
    },
  });
  return outcome;
}

function oneSentence({ err, out }: Outcome): string {
  assert.is(out, '');
  assert.match(err, /^portcullis: [^\n]+[^.\n]\n$/);
  return err;
}

test('without options, the defaults are the library\'s', async () => {
  const { code, out, err, asked, bars } = await command('compare');
  assert.is(code, 0);
  assert.is(err, '');
  assert.is(out, toTable(compareFixture()));
  assert.equal(bars, [true]);
  assert.equal(Object.keys(asked[0] ?? {}).sort(), ['host', 'onProgress', 'pcap']);
  assert.is(asked[0]?.host?.node, process.version);
  assert.is(asked[0]?.pcap?.name, 'traffic.pcap.gz');
  assert.is(Buffer.from(asked[0]?.pcap?.bytes ?? []).toString(), 'packaged');
});

test('every option arrives', async () => {
  const { code, asked } = await command('compare --policies none,strict --owners native --workloads 64,pcap '
    + `--device e1000 --pcap ${own} --packets 100 --profile icx2023 --set cExit=1 --set cIrq=2.5 --allocator tree `
    + '--batch 32 --rounds 0 --seed 7 --inject corrupt --quiet');
  assert.is(code, 0);
  const { host, onProgress, pcap, ...rest } = asked[0] as CompareOptions;
  assert.ok(host && onProgress);
  assert.is(pcap?.name, own);
  assert.is(Buffer.from(pcap?.bytes ?? []).toString(), 'own');
  assert.equal(rest, {
    owners: ['native'], policies: ['none', 'strict'], workloads: ['64', 'pcap'], packets: 100, profile: 'icx2023',
    parameters: { cExit: 1, cIrq: 2.5 }, allocator: 'tree', batch: 32, rounds: 0, seed: 7, inject: 'corrupt',
  });
});

test('a capture is read only for the workload pcap', async () => {
  assert.is((await command('compare --workloads imix')).asked[0]?.pcap, undefined);
  const outcome = await command(`compare --workloads imix --pcap ${own}`);
  assert.is(outcome.code, 2);
  assert.match(oneSentence(outcome), 'would not be used; add pcap to --workloads');
});

test('JSON alone on standard output, or in a file beside the tables', async () => {
  for (const line of ['compare --json', 'compare --json -', 'compare --json --policies none']) {
    const { out, err, bars } = await command(line);
    assert.is(out, toJson(compareFixture()), line);
    assert.is(err, '');
    assert.equal(bars, [false]);
  }
  const file = path.join(folder, 'result.json');
  const { out, bars } = await command(`compare --json ${file}`);
  assert.is(out, toTable(compareFixture()));
  assert.equal(bars, [true]);
  assert.is(fs.readFileSync(file, 'utf8'), toJson(compareFixture()));
});

test('a file that cannot be written is refused before the work', async () => {
  for (const file of [folder, path.join(folder, 'none', 'x.json')]) {
    const outcome = await command(`compare --json ${file}`);
    assert.is(outcome.code, 3);
    assert.match(oneSentence(outcome), `cannot write ${file} (`);
    assert.equal(outcome.asked, []);
  }
  assert.is((await command('compare --json=')).code, 2);
});

test('packets that were not right: the report all the same, and 1', async () => {
  const document = compareFixture(['1500']);
  document.verified = false;
  Object.assign(document.results[0] ?? {}, { verified: false, problem: 'byte 7 differs' });
  const { code, out, err } = await command('compare', document);
  assert.is(code, 1);
  assert.match(out, 'NOT VERIFIED: native none 1500: byte 7 differs');
  assert.match(err, /^portcullis: not verified: packets were not right in 1 of 10 runs; [^\n]+\n$/);
});

test('nothing that could be compared is a usage error with the reasons', async () => {
  const outcome = await command('compare --owners xen --policies strict', { ...compareFixture(['1500']), results: [] });
  assert.is(outcome.code, 2);
  assert.match(oneSentence(outcome), 'xen strict: stock Xen gives a guest no call');
});

test('what fails inside is one sentence, too', async () => {
  const outcome = await command('compare', new RangeError('out of something'));
  assert.is(outcome.code, 4);
  assert.match(oneSentence(outcome), 'this is a bug of portcullis (RangeError: out of something)');
});

test('usage errors', async () => {
  const lines: Array<[line: string, sentence: string]> = [
    ['frob', "unknown command 'frob'; see portcullis --help"],
    ['compar', "unknown command 'compar' (did you mean compare?); see portcullis --help"],
    ['--bogus', "unknown option '--bogus'; see portcullis --help"],
    ['compare --polices x', "unknown option '--polices' (did you mean --policies?); see portcullis compare --help"],
    ['compare --policies', "option '--policies <LIST>' argument missing; see portcullis compare --help"],
    ['compare more', "too many arguments for 'compare': expected 0 arguments but got 1; see portcullis compare --help"],
    ['compare --device nvme', "unknown device 'nvme' in --device; there is only e1000"],
    ['compare --inject loss', "--inject is 'loss'; there is only corrupt"],
  ];
  for (const [line, sentence] of lines) {
    const outcome = await command(line);
    assert.is(outcome.code, 2, line);
    assert.is(oneSentence(outcome), `portcullis: ${sentence}\n`);
    assert.equal(outcome.asked, []);
  }
});

test('help and version go to standard output', async () => {
  assert.equal(await command('--version'), { code: 0, out: `${version}\n`, err: '', asked: [], bars: [] });
  const { code, out, err } = await command('compare --help');
  assert.is(code, 0);
  assert.is(err, '');
  assert.ok(out.indexOf('--policies') < out.indexOf('Examples:'));
  const bare = await command('');
  assert.is(bare.code, 2);
  assert.match(bare.err, 'Usage: portcullis');
});

test('machines that lspci cannot read', async () => {
  const file = path.join(folder, 'machine.json');
  const cases: Array<[text: string, sentence: string]> = [
    ['{', 'is no JSON'], ['[]', 'a machine is a JSON object'], ['null', 'a machine is a JSON object'],
    ['{"devices": 5}', 'devices must be a list'], ['{"devices": [null]}', 'devices must be a list'],
    ['{"dom0": null}', 'dom0 must be an object'], ['{"iommu": 3}', 'iommu must be'],
    ['{"devices": [{"model": "nic", "bdf": "00:04.0"}]}', 'there is no device model "nic"'],
    ['{"ram": "1GiB"}', 'has no field "ram"'],
  ];
  for (const [text, sentence] of cases) {
    fs.writeFileSync(file, text);
    const outcome = await command(`lspci ${file}`);
    assert.is(outcome.code, 2, text);
    const said = oneSentence(outcome);
    assert.match(said, file);
    assert.match(said, sentence);
  }
  assert.is((await command(`lspci ${path.join(folder, 'none.json')}`)).code, 3);
});

test.after(() => fs.rmSync(folder, { recursive: true }));
test.run();
