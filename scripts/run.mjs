// Runs a child process to its end, bounded in time and in what is kept of its output.
import { spawn } from 'node:child_process';
import { root } from './files.mjs';

const KEEP = 4 << 20;

// A child leads its own process group, so Ctrl-C does not reach it by itself: what still runs goes down with us.
const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    for (const child of running) killGroup(child);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
}

/**
 * Resolves to { code, signal, stdout, output, seconds, timedOut } and never rejects; `output` is stdout and stderr as
 * they came, of which the last 4 MiB are kept. A program that cannot be started has code 127.
 * @param {string} command
 * @param {string[]} args
 * @param {{ timeout?: number, env?: Record<string, string> }} [options] `timeout` in seconds
 */
export function run(command, args, options = {}) {
  const started = Date.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.add(child);
    const result = { code: 1, signal: null, stdout: '', output: '', seconds: 0, timedOut: false };
    const timer = options.timeout && setTimeout(() => {
      result.timedOut = true;
      killGroup(child);
    }, options.timeout * 1000);
    const finish = (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      resolve(Object.assign(result, { code: code ?? 1, signal, seconds: (Date.now() - started) / 1000 }));
    };
    child.stdout.setEncoding('utf8').on('data', (text) => {
      result.stdout = (result.stdout + text).slice(-KEEP);
      result.output = (result.output + text).slice(-KEEP);
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      result.output = (result.output + text).slice(-KEEP);
    });
    child.on('error', (error) => {
      result.output += `${error.message}\n`;
      finish(127, null);
    });
    // A grandchild left behind holds the pipes open and would keep us waiting: it gets a second.
    child.on('exit', () => {
      const leftBehind = setTimeout(() => {
        killGroup(child);
        child.stdout.destroy();
        child.stderr.destroy();
      }, 1000);
      child.on('close', () => clearTimeout(leftBehind));
    });
    child.on('close', finish);
  });
}

/** Runs Node on a script of this project, or of an installed package. */
export function runNode(args, options) {
  return run(process.execPath, args, options);
}

/** Calls each job, at most `limit` at a time. */
export async function inParallel(jobs, limit) {
  const queue = [...jobs];
  await Promise.all(Array.from({ length: limit }, async () => {
    for (let job = queue.shift(); job; job = queue.shift()) await job();
  }));
}
