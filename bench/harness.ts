// The one way to measure here: variants take turns in rounds, and what counts is the ratio of two of them within a
// round. Absolute times on a shared machine mean little; their ratio within a few milliseconds means something.
import fs from 'node:fs';
import path from 'node:path';
import Benchmark from 'benchmark';
import Table from 'cli-table3';
import { quartiles } from '../src/lab/statistics';

/** Something to time. `round` performs batches of n operations and gives the median ns of one operation. */
export interface Variant {
  readonly name: string;
  round(n: number): number | Promise<number>;
  /** One batch of n operations: what the ops/s report and the calibration run; absent for a child process. */
  readonly batch?: (n: number) => unknown;
}

export interface Target {
  /** As in the project's goals, such as `<= 1.4 of C`. */
  text: string;
  /** The bound, and on which side of it the median shall be. */
  value?: number;
  sense?: 'at most' | 'at least';
}

/** One record of the JSON document: one question, answered by a ratio. */
export interface Answer {
  name: string;
  baseline: string;
  ratio: { q1: number; median: number; q3: number };
  /** Ratio of the fastest round of each: least touched by what else runs on the machine. */
  fastest: number;
  target: Target;
  rounds: number;
}

export interface Question {
  name: string;
  /** Time: ours over the baseline's (small is good). Speed: the baseline's over ours (large is good). */
  as: 'time' | 'speed';
  ours: Variant;
  baseline: Variant;
  target?: Target;
}

export interface Options {
  /** Operations of a batch; calibrated to about a millisecond when left out. */
  batch?: number;
  rounds?: number;
}

const ROUNDS = 21;
const BATCHES = 5;
const BATCH_NS = 1_000_000;
const WARM_UP_NS = 60_000_000;

const answers: Answer[] = [];

export function fail(message: string): never {
  throw new Error(message);
}

function timeOf(batch: (n: number) => unknown, n: number): number {
  const start = process.hrtime.bigint();
  batch(n);
  return Number(process.hrtime.bigint() - start);
}

/** A variant in this process. */
export function variant(name: string, batch: (n: number) => unknown): Variant {
  return {
    name,
    batch,
    round: (n) => {
      batch(n);
      const times = Array.from({ length: BATCHES }, () => timeOf(batch, n));
      return quartiles(times).median / n;
    },
  };
}

/** Runs each often enough, in several calls, that V8 has compiled it with its optimising compiler. */
async function warmUp(variants: readonly Variant[]): Promise<void> {
  for (const { batch } of variants) {
    if (batch === undefined) continue;
    for (let spent = 0, n = 64; spent < WARM_UP_NS;) {
      const ns = timeOf(batch, n);
      spent += ns;
      if (ns < BATCH_NS) n *= 2;
    }
  }
  // the compilers work in the background
  await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Operations with which the fastest variant takes about a millisecond, and none of them more than five. */
function calibrate(variants: readonly Variant[]): number {
  const perOperation = variants.flatMap(({ batch }) => {
    if (batch === undefined) return [];
    let n = 16;
    while (timeOf(batch, n) < BATCH_NS / 4) n *= 2;
    return [timeOf(batch, n) / n];
  });
  const n = Math.min(BATCH_NS / Math.min(...perOperation), 5 * BATCH_NS / Math.max(...perOperation));
  return Math.max(16, Math.round(n));
}

/** Measures all variants of the questions in the same rounds and answers each question. */
export async function ask(questions: readonly Question[], options: Options = {}): Promise<void> {
  const variants = [...new Set(questions.flatMap(({ ours, baseline }) => [ours, baseline]))];
  await warmUp(variants);
  const n = options.batch ?? calibrate(variants);
  const rounds = options.rounds ?? ROUNDS;
  const times = new Map(variants.map((one) => [one, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    // forwards and backwards in turn: what a variant leaves in the caches favours nobody
    for (const one of round % 2 === 0 ? variants : [...variants].reverse()) times.get(one)?.push(await one.round(n));
  }
  for (const question of questions) {
    answer(question, times.get(question.ours) ?? [], times.get(question.baseline) ?? []);
  }
}

function answer(question: Question, own: readonly number[], other: readonly number[]): void {
  const { name, as, ours, baseline, target } = question;
  const [above, below] = as === 'time' ? [own, other] : [other, own];
  const { low, median, high } = quartiles(above.map((ns, i) => ns / (below[i] as number)));
  record({
    name: `${name}: ${ours.name}, ${as}`, baseline: baseline.name, ratio: { q1: low, median, q3: high },
    fastest: Math.min(...above) / Math.min(...below), target: target ?? { text: '' }, rounds: own.length,
  });
}

/** Adds an answer that was measured otherwise. */
export function record(one: Answer): void {
  answers.push(one);
}

export function atMost(value: number, of: string): Target {
  return { text: `<= ${value} of ${of}`, value, sense: 'at most' };
}

export function atLeast(value: number, than: string): Target {
  return { text: `>= ${value} times as fast as ${than}`, value, sense: 'at least' };
}

/** Operations per second by benchmark.js, in short runs: for orientation, no claim rests on it. */
export function plainReport(variants: readonly Variant[], n: number): void {
  const suite = new Benchmark.Suite();
  for (const { name, batch } of variants) {
    if (batch !== undefined) suite.add(name, () => batch(n), { maxTime: 0.1, minSamples: 5 });
  }
  suite.on('cycle', ({ target }: { target: { name: string; hz: number; stats: { rme: number } } }) => {
    const perSecond = Math.round(target.hz * n).toLocaleString('en');
    console.log(`  ${target.name}: ${perSecond} operations/s ±${target.stats.rme.toFixed(0)} % (benchmark.js)`);
  });
  suite.run({ async: false });
}

function verdict({ ratio, target }: Answer): string {
  if (target.value === undefined) return '';
  return (target.sense === 'at least' ? ratio.median >= target.value : ratio.median <= target.value) ? 'met' : 'MISSED';
}

function jsonFile(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => arg === '--json' || arg.startsWith('--json='));
  const arg = args[at];
  return arg === undefined ? undefined : arg === '--json' ? args[at + 1] : arg.slice('--json='.length);
}

/** Runs one benchmark file: its question, its table, its document. */
export async function bench(question: string, run: () => Promise<void>): Promise<void> {
  console.log(`\n${question}`);
  await run();
  const table = new Table({
    head: ['question', 'baseline', 'q1', 'median', 'q3', 'min/min', 'target', ''],
    style: { head: [], border: [] },
  });
  for (const one of answers) {
    const { q1, median, q3 } = one.ratio;
    const ratios = [q1, median, q3, one.fastest].map((x) => x.toFixed(2));
    table.push([one.name, one.baseline, ...ratios, one.target.text, verdict(one)]);
  }
  console.log(table.toString());
  const flags = process.execArgv.join(' ');
  console.log(`${answers[0]?.rounds ?? 0} rounds; node ${process.version} ${flags}`);
  const file = jsonFile(process.argv.slice(2));
  if (file === undefined) return;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const document = { question, node: process.version, flags: process.execArgv, answers };
  fs.writeFileSync(file, `${JSON.stringify(document, null, 2)}\n`);
}
