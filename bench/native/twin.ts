// Builds and runs the C twin as a child process. Where there is no compiler, the comparison is skipped by name.
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { State } from '../../assembly/spec/state';
import { Machine } from '../../assembly/spec/machine';
import type { Engine } from '../../src/engine/index';
import { fail, type Variant } from '../harness';

const OUT = 'build/bench/native';
/** For any x86-64: no wider vectors than the baseline has, as the engine has none. */
const FLAGS = ['-O3', '-std=c11', '-Wall', '-Wextra'];
/** Batches of one round, of which the twin gives the median; the harness does the same with its own variants. */
export const TIMES = 5;

/** The const enums of assembly/spec as #defines, so that layouts live once. */
function layoutHeader(): string {
  const lines = ['#pragma once'];
  for (const name of fs.readdirSync('assembly/spec').sort()) {
    const text = fs.readFileSync(path.join('assembly/spec', name), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    for (const [, enumName, body] of text.matchAll(/export const enum (\w+) \{([^}]*)\}/g)) {
      for (const [, member, value] of (body ?? '').matchAll(/(\w+) = (0x[0-9a-fA-F]+|\d+)\b/g)) {
        lines.push(`#define ${enumName}_${member} ${value}u`);
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

let built: string | undefined;

/** Why there is no twin here, undefined when there is one. */
export function absentReason(): string | undefined {
  if (process.arch !== 'x64') return `the twin is for x86-64, this is ${process.arch}`;
  return spawnSync('cc', ['--version']).status === 0 ? undefined : 'no C compiler (cc)';
}

function build(): string {
  if (built !== undefined) return built;
  fs.mkdirSync(OUT, { recursive: true });
  fs.writeFileSync(path.join(OUT, 'layout.h'), layoutHeader());
  const program = path.join(OUT, 'twin');
  const args = [...FLAGS, '-I', OUT, 'bench/native/twin.c', '-o', program];
  const { status, stderr } = spawnSync('cc', args, { encoding: 'utf8' });
  if (status !== 0) fail(`the C twin does not compile:\n${stderr}`);
  if (stderr) console.error(stderr);
  built = program;
  return program;
}

/** State, from its base on, and RAM behind it. */
function image(engine: Engine): Uint8Array {
  return engine.bytes.subarray(engine.base, engine.ram + engine.frames * Machine.PAGE_SIZE);
}

export function imageHash(engine: Engine): number {
  const { buffer, byteOffset, length } = image(engine);
  const words = new Uint32Array(buffer, byteOffset, length / 4);
  let hash = 2166136261;
  for (let i = State.SLICE / 4; i < words.length; i++) hash = Math.imul(hash ^ (words[i] as number), 16777619);
  return hash >>> 0;
}

/** A twin process that goes on from what the engine's memory holds now. */
export class Twin {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  constructor(engine: Engine) {
    const program = build();
    const file = path.join(OUT, `image-${process.pid}-${Date.now()}`);
    const bytes = image(engine).slice();
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < Machine.WINDOWS; i++) {
      const ptr = view.getUint32(State.PLACEMENT + 4 * i, true);
      if (ptr !== 0) view.setUint32(State.PLACEMENT + 4 * i, ptr - engine.base, true);
    }
    fs.writeFileSync(file, bytes);
    this.#child = spawn(program, [file], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stdout.once('data', () => fs.rmSync(file, { force: true }));
    this.#child.once('exit', () => fs.rmSync(file, { force: true }));
  }

  /** Sends one command: median ns of `times` batches, and the result. */
  async ask(what: string, times: number, args: readonly number[] = []): Promise<{ ns: number; result: number }> {
    this.#child.stdin.write(`${what} ${times} ${args.join(' ')}\n`);
    const { value, done } = await this.#answers.next();
    if (done) fail(`the C twin ended on: ${what} ${args.join(' ')}`);
    const [ns, result] = String(value).split(' ').map(Number);
    return { ns: ns as number, result: result as number };
  }

  /** A variant of the harness: `args` gives the command's numbers for a batch of n operations. */
  variant(name: string, what: string, args: (n: number) => readonly number[]): Variant {
    return { name, round: async (n) => (await this.ask(what, TIMES, args(n))).ns / n };
  }

  close(): void {
    this.#child.stdin.end();
  }
}

/**
 * A twin that has proved itself: `batch` operations in both, from the same image, must end in the same image and the
 * same result. Undefined, with the reason printed, where there is no compiler.
 */
export async function provenTwin(engine: Engine, what: string, args: (n: number) => readonly number[],
  own: (n: number) => number, batch = 5000): Promise<Twin | undefined> {
  const reason = absentReason();
  if (reason !== undefined) {
    console.log(`SKIP against C (${what}): ${reason}`);
    return undefined;
  }
  const twin = new Twin(engine);
  const { result } = await twin.ask(what, 0, args(batch));
  const ours = own(batch) >>> 0;
  if (ours !== result) fail(`the C twin of ${what} gives ${result}, the engine ${ours}`);
  if ((await twin.ask('hash', 0)).result !== imageHash(engine)) fail(`the C twin of ${what} ends in another image`);
  return twin;
}
