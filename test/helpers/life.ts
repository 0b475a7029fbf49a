// Lives of guests and devices at random, on one machine that is as it was after each of them.
import * as assert from 'uvu/assert';
import { Random } from '../../src/engine/index';
import { generateStore } from '../../src/devices/links/store';
import { PortcullisError } from '../../src/errors';
import { type Digest, difference } from '../../src/machine/digest';
import type { MachineDescription } from '../../src/machine/description';
import { Machine } from '../../src/machine/machine';
import type { Job } from '../../src/xen/schedule/scheduler';
import type { XlResult } from '../../src/xen/toolstack/types';

/** Plain data, so that a story can be told again with some of it left out. */
export type Step =
  /** A command: to its end, beside all else, or killed after so many of its steps. */
  | { do: 'xl'; args: string[]; how: 'run' | 'beside' | number }
  | { do: 'create'; config: string; how: 'run' | 'beside' | number; flags: string[] }
  | { do: 'pass'; ns: number }
  /** The domain made last stops by itself. */
  | { do: 'stops'; reason: 'poweroff' | 'reboot' | 'crash' | 'watchdog' | 'suspend' }
  /** Its kernel does nothing any more, and nobody is told. */
  | { do: 'kernel-dies' }
  /** The hypervisor ends it without the toolstack. */
  | { do: 'vanishes' }
  | { do: 'sysfs'; path: string; text: string }
  | { do: 'unplug' | 'plug'; bdf: string }
  | { do: 'traffic'; frames: number };

export type Weights = Partial<Record<'create' | 'attach' | 'detach' | 'command' | 'assignable' | 'death' | 'sysfs' | 'hotplug' | 'pass' | 'traffic', number>>;

export interface Setting {
  readonly name: string;
  readonly description?: Partial<MachineDescription>;
  /** Of ten commands, how many are killed, and how many run beside all else. */
  readonly killed?: number;
  readonly beside?: number;
  readonly weights: Weights;
  readonly fronts?: readonly string[];
}

/** At addresses given by hand, so that one that is put in again has those that it had. */
const DEVICES = [
  { model: 'e1000', bdf: '0000:00:04.0', link: 'loopback', bars: { 0: '0xf0100000', 1: '0xc000' } },
  { model: 'e1000e', bdf: '0000:00:05.0', link: 'loopback', bars: { 0: '0xf0120000', 1: '0xf0140000', 2: '0xc040', 3: '0xf0160000' } },
  { model: 'edu', bdf: '0000:00:06.0', bars: { 0: '0xf0000000' } },
] as const;
const NAMES: readonly string[] = DEVICES.map(({ bdf }) => bdf);
const UNRESETTABLE = '0000:00:06.0';
const SHORT = NAMES.map((name) => name.slice(5));
/** Where it is refused: a bridge, nothing, and what is no address. */
const WRONG = ['00:0b.0', '00:1f.7', '0:0:0:0'];
const DRIVERS = '/sys/bus/pci/drivers';
const PCIBACK = `${DRIVERS}/pciback`;
/** Longer than every time-out there is in a command, a daemon or a back end. */
const QUIET = 60e9;
const MOST_STEPS = 9;

/** A story of a setting. */
export function story(random: Random, { killed = 2, beside = 2, weights, fronts = ['linux'] }: Setting): Step[] {
  const pick = <T>(all: readonly T[]): T => all[random.below(all.length)] as T;
  const how = (): 'run' | 'beside' | number => {
    const at = random.below(10);
    return at < killed ? random.below(8) : at < killed + beside ? 'beside' : 'run';
  };
  const some = (): string[] => SHORT.filter(() => random.below(2) === 0);
  const device = (): string => (random.below(12) === 0 ? pick(WRONG) : pick(SHORT));
  const xl = (...args: string[]): Step => ({ do: 'xl', args, how: how() });
  const create = (): Step => {
    const options = (): string => pick(['', '', '', ',permissive=1', ',seize=1', ',power_mgmt=1', '@5', ',rdm_policy=strict']);
    const after = ['destroy', 'destroy', 'restart', 'preserve', 'rename-restart', 'coredump-destroy'];
    const lines = [
      `name = "${pick(['guest', 'guest', 'other'])}"`, 'memory = 4', `kernel = "builtin:${pick(['all', 'all', 'e1000', 'idle', 'none-such'])}"`,
      `pci = [${some().map((bdf) => `'${bdf}${options()}'`).join(', ')}]`, `pcifront = "${pick(fronts)}"`,
      `passthrough = "${pick(['default', 'enabled', 'enabled', 'enabled'])}"`, `on_poweroff = "${pick(after)}"`,
      `on_reboot = "${pick(after)}"`, `on_crash = "${pick(after)}"`, ...(random.below(6) === 0 ? ['ioports = ["2f8-2ff"]', 'irqs = [19]'] : []),
    ];
    return { do: 'create', config: `${lines.join('\n')}\n`, how: how(), flags: random.below(6) === 0 ? ['-p'] : [] };
  };
  const makers: Record<keyof Weights, () => Step> = {
    create,
    attach: () => xl('pci-attach', pick(['guest', 'guest', 'guest', 'other', 'nobody']), device() + pick(['', '', ',permissive=1', ',seize=1', '@6'])),
    detach: () => xl('pci-detach', ...pick([[], [], ['-f']]), pick(['guest', 'guest', 'guest', 'other', '0']), device()),
    command: () => xl(...pick<readonly string[]>([
      ['pause', 'guest'], ['unpause', 'guest'], ['shutdown', 'guest'], ['shutdown', '-w', 'guest'], ['reboot', 'guest'], ['destroy', 'guest'],
      ['destroy', 'other'], ['list'], ['pci-list', 'guest'], ['pci-assignable-list'], ['save', 'guest', 'f'], ['destroy', '0'], ['console', 'guest'],
    ])),
    assignable: () => (random.below(3) > 0 ? xl('pci-assignable-add', ...pick([[], [], ['-n', 'a-name']]), device())
      : xl('pci-assignable-remove', ...pick([[], ['-r']]), device())),
    death: () => pick<Step>([
      { do: 'stops', reason: 'poweroff' }, { do: 'stops', reason: 'reboot' }, { do: 'stops', reason: 'crash' }, { do: 'stops', reason: 'watchdog' },
      { do: 'stops', reason: 'suspend' }, { do: 'kernel-dies' }, { do: 'kernel-dies' }, { do: 'vanishes' },
    ]),
    sysfs: () => {
      const name = pick(NAMES);
      const [path, text] = pick<readonly [string, string]>([
        [`${PCIBACK}/unbind`, name], [`${PCIBACK}/unbind`, name], [`${PCIBACK}/new_slot`, name], [`${PCIBACK}/bind`, name],
        [`${PCIBACK}/remove_slot`, name], [`${PCIBACK}/permissive`, name], [`${PCIBACK}/allow_interrupt_control`, name],
        [`${PCIBACK}/irq_handler_state`, name], [`${PCIBACK}/quirks`, `${name}-40:4:ffffffff`], [`${PCIBACK}/new_slot`, 'no slot'],
        [`/sys/bus/pci/devices/${name}/driver/unbind`, name], [`/sys/bus/pci/devices/${name}/driver_override`, pick(['pciback', '', 'e1000'])],
        ['/sys/bus/pci/drivers_probe', name], [`/sys/bus/pci/devices/${name}/remove`, '1'], ['/sys/bus/pci/rescan', '1'],
        [`/sys/bus/pci/devices/${name}/reset`, '1'], [`/sys/bus/pci/devices/${name}/enable`, '1'], [`${DRIVERS}/e1000/bind`, name],
        [`${DRIVERS}/e1000e/bind`, name],
      ]);
      return { do: 'sysfs', path, text };
    },
    hotplug: () => ({ do: pick(['unplug', 'unplug', 'plug']), bdf: pick(NAMES) }),
    pass: () => ({ do: 'pass', ns: pick([0, 1, 1e5, 1e6, 20e6, 1e9, 3e9, 15e9]) }),
    traffic: () => ({ do: 'traffic', frames: 1 + random.below(40) }),
  };
  const lots = (Object.entries(weights) as Array<[keyof Weights, number]>).flatMap(([name, weight]) => Array<keyof Weights>(weight).fill(name));
  // most begin with a guest that has something
  const steps: Step[] = random.below(8) === 0 ? [] : [
    ...SHORT.filter(() => random.below(4) > 0).map((bdf): Step => ({ do: 'xl', args: ['pci-assignable-add', bdf], how: 'run' })), create(),
  ];
  for (let left = 1 + random.below(MOST_STEPS); left > 0; left--) steps.push(makers[pick(lots)]());
  return steps;
}

export const tell = (steps: readonly Step[]): string => steps.map((step) => JSON.stringify(step)).join('\n  ');

/** A command has said what is wrong when it went wrong. */
function checkResult(args: readonly string[], { code, stdout, stderr }: XlResult): void {
  assert.ok(code >= 0 && code <= 11 && Number.isInteger(code), `xl ${args.join(' ')} ends with ${code}`);
  if (code !== 0) assert.ok(`${stdout}${stderr}`.trim() !== '', `xl ${args.join(' ')} ends with ${code} and says nothing`);
}

export class Life {
  readonly machine: Machine;
  readonly #before: Digest;
  readonly #drivers: ReadonlyMap<string, string | undefined>;
  readonly #pciback: boolean;
  #jobs: Array<{ args: readonly string[]; job: Job<XlResult> }> = [];

  private constructor(machine: Machine) {
    this.machine = machine;
    this.#pciback = machine.xen.stub !== undefined;
    this.#drivers = new Map(machine.xen.core.devices.map(({ name, driver }) => [name, driver]));
    // folders of the store that stay when they have once been needed
    for (const bdf of SHORT) this.#quietly('pci-assignable-add', bdf);
    for (const pci of [[], SHORT]) {
      const config = `name = "first${pci.length}"\nmemory = 4\nkernel = "builtin:all"\npci = [${pci.map((bdf) => `'${bdf}'`).join(', ')}]\n`;
      machine.xl(['create', '-q', 'a'], new Map([['a', config]]));
    }
    machine.run(QUIET);
    this.#tidy();
    this.#before = machine.digest();
  }

  static async create({ description = {} }: Setting): Promise<Life> {
    return new Life(await Machine.create({
      memory: '32MiB', iommu: 'vtd', heapBytes: 8 << 20,
      devices: [...DEVICES, { model: 'root-port', bdf: '0000:00:0b.0' }],
      ...description, dom0: { memory: '8MiB', ...description.dom0 },
    }));
  }

  #quietly(...args: string[]): XlResult {
    const result = this.machine.xl(args);
    checkResult(args, result);
    return result;
  }

  get #guest(): number | undefined {
    const last = this.machine.hypervisor.domains.at(-1)?.domid;
    return last === 0 ? undefined : last;
  }

  #command(args: readonly string[], how: 'run' | 'beside' | number, files?: ReadonlyMap<string, string>): void {
    const { xen } = this.machine;
    if (how === 'run') {
      checkResult(args, this.machine.xl(args, files));
      return;
    }
    const task = xen.xl.run(args, files);
    if (how === 'beside') {
      this.#jobs.push({ args, job: xen.scheduler.spawn('xl', 0, task) });
      return;
    }
    // its process is killed; waits that have not come are cut short as well
    for (let left = how; left > 0 && task.next(false).done !== true; left--) xen.scheduler.settle();
    task.return({ code: 1, stdout: '', stderr: '' });
  }

  step(step: Step): void {
    const { machine } = this;
    switch (step.do) {
      case 'xl': this.#command(step.args, step.how); break;
      case 'create': this.#command(['create', '-q', ...step.flags, 'a'], step.how, new Map([['a', step.config]])); break;
      case 'pass': machine.run(step.ns); break;
      case 'stops': if (this.#guest !== undefined) machine.hypervisor.shutdownDomain(this.#guest, step.reason); break;
      case 'kernel-dies': if (this.#guest !== undefined) machine.xen.guestKernel(this.#guest)?.kill(); break;
      case 'vanishes': if (this.#guest !== undefined) machine.hypervisor.destroyDomain(this.#guest); break;
      case 'sysfs': this.#sysfs(step.path, step.text); break;
      case 'unplug': if (machine.addresses.includes(step.bdf)) machine.removeDevice(step.bdf); break;
      case 'plug': this.#plug(step.bdf); break;
      default: this.#traffic(step.frames);
    }
  }

  /** What the kernel refuses it refuses by an errno. */
  #sysfs(path: string, text: string): void {
    try {
      this.machine.sysfs.write(path, text);
    } catch (error) {
      if (!(error instanceof PortcullisError) || !/^E[A-Z0-9]+$/.test(error.code)) throw error;
    }
  }

  #plug(bdf: string): void {
    if (this.machine.addresses.includes(bdf)) return;
    this.machine.addDevice(DEVICES.find((one) => one.bdf === bdf) as (typeof DEVICES)[number]);
  }

  #traffic(frames: number): void {
    const { machine } = this;
    for (const { bdf, model } of DEVICES) {
      if (model === 'edu' || !machine.addresses.includes(bdf)) continue;
      machine.link(bdf).plugStore(generateStore('life', 'imix', 8, 1), true);
      machine.link(bdf).offer(frames);
    }
    machine.run(1e5);
  }

  /** Ends all domains, and gives each device back to whoever had it. Nothing here may be what hides a leak: it is what a user would do. */
  #tidy(): void {
    const { machine } = this;
    const { sysfs, hypervisor } = machine;
    machine.run(QUIET);
    for (let attempt = 0; attempt < 4 && hypervisor.domains.length > 1; attempt++) {
      for (const { domid } of hypervisor.domains) if (domid !== 0) this.#quietly('destroy', String(domid));
      machine.run(QUIET);
    }
    for (const bdf of NAMES) this.#plug(bdf);
    sysfs.write('/sys/bus/pci/rescan', '1');
    // one that has been let go of without its driver can be given back to it only when it has been taken again
    for (const name of NAMES) {
      sysfs.write(`/sys/bus/pci/devices/${name}/driver_override`, '');
      if (this.#pciback) this.#quietly('pci-assignable-add', name);
    }
    if (this.#pciback) for (const name of NAMES) this.#quietly('pci-assignable-remove', '-r', name);
    // all drivers begin anew, in one order: where the kernel maps registers depends on who comes first
    for (const { name, driver } of machine.xen.core.devices) if (NAMES.includes(name) && driver !== undefined) sysfs.write(`${DRIVERS}/${driver}/unbind`, name);
    for (const { bdf, model } of DEVICES) {
      if (this.#pciback) this.#sysfs(`${PCIBACK}/remove_slot`, bdf);
      const wanted = this.#drivers.get(bdf);
      if (wanted !== undefined) sysfs.write(`${DRIVERS}/${wanted}/bind`, bdf);
      if (model !== 'edu') machine.link(bdf).plugLoopback();
    }
    // it cannot be reset, and what it was doing when it was taken it does to its end: it is exchanged
    machine.removeDevice(UNRESETTABLE);
    this.#plug(UNRESETTABLE);
    machine.run(1e9);
  }

  /** One story to its end, and what is not as it was before. */
  live(steps: readonly Step[]): string[] {
    this.#jobs = [];
    for (const step of steps) this.step(step);
    this.#tidy();
    for (const { args, job } of this.#jobs) {
      if (job.error !== undefined) throw job.error;
      assert.ok(job.done, `xl ${args.join(' ')} does not end`);
      if (job.result !== undefined) checkResult(args, job.result);
    }
    return [...difference(this.#before, this.machine.digest()), ...this.machine.xen.failures];
  }
}

const outcome = (life: Life, steps: readonly Step[]): string[] => {
  try {
    return life.live(steps);
  } catch (error) {
    return [error instanceof Error ? error.stack ?? error.message : String(error)];
  }
};

/** So many stories one after the other on one machine. Says of one that leaves something the shortest that still does. */
export async function lives(setting: Setting, seed: number, count: number): Promise<void> {
  const life = await Life.create(setting);
  for (let number = 0; number < count; number++) {
    const steps = story(new Random(seed + number), setting);
    const left = outcome(life, steps);
    if (left.length === 0) continue;
    const { steps: shortest, left: still } = await shorten(setting, steps, left);
    assert.unreachable(`${setting.name}, seed ${seed + number} leaves\n  ${still.slice(0, 12).join('\n  ')}\nafter\n  ${tell(shortest)}`);
  }
}

/** Leaves out steps, each on a fresh machine, as long as it still goes wrong. */
async function shorten(setting: Setting, steps: readonly Step[], left: readonly string[]): Promise<{ steps: readonly Step[]; left: readonly string[] }> {
  let found = { steps, left };
  for (let at = steps.length - 1; at >= 0; at--) {
    const without = found.steps.filter((_, index) => index !== at);
    const again = outcome(await Life.create(setting), without);
    if (again.length > 0) found = { steps: without, left: again };
  }
  return found;
}
