// A machine that is not one, for what controls machines: its xl waits as told, its devices are bytes.
import type { ControlFunction, ControlParts } from '../../src/machine/control/parts';
import { MachineControl } from '../../src/machine/control';
import type { ControlOptions } from '../../src/machine/control';
import { KernelError } from '../../src/xen/dom0/errors';
import { PortcullisError } from '../../src/errors';
import { Scheduler } from '../../src/xen/schedule/scheduler';
import type { Task, Time } from '../../src/xen/schedule/scheduler';
import type { XlResult } from '../../src/xen/toolstack/types';
import { Xenstored } from '../../src/xen/xenstore/daemon';

export const SECOND = 1e9;

export class FakeTime implements Time {
  #now = 0;

  now(): number {
    return this.#now;
  }

  settle(): boolean {
    return false;
  }

  nextDeadline(): number {
    return Infinity;
  }

  /** Whole nanoseconds, as the engine's. */
  advance(to: number): void {
    this.#now = Math.floor(to);
  }
}

/** The event loop and the wall of a test in this process. */
export const AROUND: ControlOptions['around'] = {
  wall: () => performance.now(),
  later: (ms, told) => {
    const timer = setTimeout(told, ms);
    return () => clearTimeout(timer);
  },
};

/** Bytes as a function whose config space they are. Code 0x88 for a write at `refused`. */
export function fakeFunction(routing: number, bytes: Uint8Array, more: Partial<ControlFunction> & { refused?: number } = {}): ControlFunction {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { refused, ...rest } = more;
  return {
    routing, ...rest,
    config: {
      size: bytes.length,
      read: (off, width) => {
        if (off % width !== 0 || off + width > bytes.length) return { code: 0x87, value: 0xffffffff };
        return { code: 0, value: width === 1 ? view.getUint8(off) : width === 2 ? view.getUint16(off, true) : view.getUint32(off, true) };
      },
      write: (off, width, value) => {
        if (off === refused) return 0x88;
        if (width === 1) view.setUint8(off, value);
        else if (width === 2) view.setUint16(off, value, true);
        else view.setUint32(off, value, true);
        return 0;
      },
    },
  };
}

/** An Ethernet controller with power management at C8, MSI at D0, PCI Express at E0 and AER at 100. */
export function nicBytes(): Uint8Array {
  const bytes = new Uint8Array(4096);
  bytes.set([0x86, 0x80, 0xd3, 0x10, 0x03, 0x01, 0x10, 0x00, 0x00, 0x00, 0x00, 0x02]);
  bytes[0x34] = 0xc8;
  bytes.set([0x01, 0xd0, 0x03, 0x00], 0xc8);
  bytes.set([0x05, 0xe0, 0x80, 0x00], 0xd0);
  bytes.set([0x10, 0x00, 0x01, 0x00], 0xe0);
  bytes.set([0x01, 0x00, 0x02, 0x14], 0x100);
  bytes.set([0x03, 0x00, 0x01, 0x00], 0x140);
  return bytes;
}

export interface Fake {
  readonly parts: ControlParts;
  readonly store: Xenstored;
  readonly files: Map<string, string>;
}

/** Its xl: `echo …`, `wait SECONDS`, `forever`, `cat FILE`, `watch` (until /go is in the store), `bug`, `fail`. */
export function fakeMachine(name = 'fake'): Fake {
  const scheduler = new Scheduler(new FakeTime());
  const store = new Xenstored();
  const files = new Map([['/sys/bus/pci/devices/0000:00:04.0/irq', '20\n']]);
  const nic = fakeFunction(0x20, nicBytes(), { name: 'Intel Corporation 82574L', driver: 'e1000e' });
  const guest = fakeFunction(0, nicBytes(), { refused: 0xd2 });
  const file = (path: string): string => {
    const text = files.get(path);
    if (text === undefined) throw new KernelError('ENOENT', `${path}: there is no such file`);
    return text;
  };
  return {
    store, files,
    parts: {
      scheduler,
      sysfs: {
        read: file,
        write: (path, text) => {
          if (text.includes('0000:00:1f.7')) throw new KernelError('ENODEV', `${path}: there is no device 0000:00:1f.7`);
          files.set(path, text);
        },
        list: (path) => [...files.keys()].filter((one) => one.startsWith(`${path}/`)).map((one) => one.slice(path.length + 1)),
        exists: (path) => files.has(path),
        readlink: (path) => file(path).trim(),
      },
      xl: (args, given) => fakeXl(args, given, scheduler, store),
      functions: (domain) => {
        if (domain === undefined) return [nic];
        if (domain === 'guest') return [guest];
        throw new PortcullisError('NO_DOMAIN', `there is no domain "${domain}"`);
      },
      config: () => ({ size: 256, read: () => ({ code: 0x86, value: 0xffffffff }), write: () => 0x86 }),
      explain: (args) => ({ text: `${args.join(' ')}: fine\n`, document: { asked: args }, ok: args[0] !== 'no' }),
      dmesg: () => ['one', 'two'],
      digest: () => ({ files: files.size }),
      status: () => ({ name }),
    },
  };
}

function* fakeXl(args: readonly string[], files: ReadonlyMap<string, string>, scheduler: Scheduler, store: Xenstored): Task<XlResult> {
  const [what = '', ...rest] = args;
  const from = scheduler.now;
  const done = (stdout: string, code = 0): XlResult => ({ code, stdout, stderr: '' });
  if (what === 'echo') return done(`${rest.join(' ')}\n`);
  if (what === 'wait') yield { timeout: Number(rest[0]) * SECOND };
  if (what === 'watch') {
    const came = yield { until: () => store.state.tree.get('/go') !== undefined, timeout: 10 * SECOND };
    return done(`${came}\n`);
  }
  if (what === 'forever') yield {};
  if (what === 'endless') for (;;) yield { timeout: SECOND };
  if (what === 'cat') return done(files.get(rest[0] as string) ?? 'nothing');
  if (what === 'bug') throw new RangeError('out of something');
  if (what === 'fail') return { code: 6, stdout: 'some\n', stderr: 'passthrough not supported on this platform\n' };
  return done(`${(scheduler.now - from) / SECOND}\n`);
}

export function fakeControl(options: Partial<ControlOptions> = {}, name?: string): Fake & { control: MachineControl } {
  const fake = fakeMachine(name);
  return { ...fake, control: new MachineControl(fake.parts, { around: AROUND, ...options }) };
}
