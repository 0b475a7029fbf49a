// Random lives of a xenbus pair against a model of its states: drivers come and go at either end, devices are plugged
// and unplugged, the guest shuts down, keys are written anew with what they were, directories go and come.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { difference } from '../../../src/machine/digest';
import type { Machine } from '../../../src/machine/machine';
import { PcibackBackend } from '../../../src/xen/pciback/backend';
import { PciSplit } from '../../helpers/pci-split';
import { xenDomains } from '../../helpers/xen-domains';

const NAMES = ['0000:00:04.0', '0000:00:06.0', '0000:00:07.0'];
const ACTIONS = ['create', 'remove', 'load front', 'unload front', 'load back', 'unload back', 'plug', 'unplug', 'shut down',
  'touch B', 'touch F', 'pass'] as const;
type Action = (typeof ACTIONS)[number];

/** States by the rules of public/io/xenbus.h; 0: no directory. */
class Model {
  B = 0;
  F = 0;
  front = false;
  back = false;
  /** Whether the end has a driver that knows it. */
  boundF = false;
  boundB = false;
  /** Entries in the list, and which of them are with the guest. */
  listed: number[] = [];
  out = new Set<number>();

  #follow(): void {
    if (this.back && this.B === 1) {
      this.boundB = true;
      this.B = 3;
      this.out = new Set(this.listed);
    }
    if (this.front && this.F === 1) {
      this.boundF = true;
      this.F = 3;
    }
    if (this.boundB && this.boundF && this.B === 3 && this.F === 3) [this.B, this.F] = [4, 4];
    if (this.boundF && this.F !== 6 && (this.B === 5 || this.B === 6)) this.F = 6;
    if (this.boundB && this.F === 5 && this.B !== 6) this.B = 5;
    if (this.boundF && this.F === 5 && this.B === 5) this.F = 6;
    if (this.boundB && this.F === 6) this.B = 6;
  }

  can(action: Action): boolean {
    const connected = this.B === 4 && this.F === 4;
    switch (action) {
      case 'create': return this.B === 0;
      case 'remove': return this.B !== 0;
      case 'load front': return !this.front;
      case 'unload front': return this.front;
      case 'load back': return !this.back;
      case 'unload back': return this.back;
      case 'plug': return connected && this.listed.length < NAMES.length;
      case 'unplug': return connected && this.listed.length > 1;
      case 'shut down': return this.boundF && this.boundB && this.F !== 6;
      default: return true;
    }
  }

  do(action: Action): void {
    switch (action) {
      case 'create': [this.B, this.F, this.listed] = [1, 1, [0]]; break;
      case 'remove':
        [this.B, this.F, this.boundB, this.boundF, this.listed] = [0, 0, false, false, []];
        this.out.clear();
        break;
      case 'load front': this.front = true; break;
      case 'unload front':
        this.front = false;
        if (this.boundF) [this.F, this.boundF] = [6, false];
        break;
      case 'load back': this.back = true; break;
      case 'unload back':
        this.back = false;
        if (this.boundB) {
          [this.B, this.boundB] = [6, false];
          this.out.clear();
        }
        break;
      case 'plug': {
        const next = NAMES.findIndex((_, index) => !this.listed.includes(index));
        this.listed.push(next);
        this.out.add(next);
        break;
      }
      case 'unplug': this.out.delete(this.listed.pop() as number); break;
      case 'shut down': this.F = 5; break;
      default: break;
    }
    for (let i = 0; i < 4; i++) this.#follow();
  }
}

class Real {
  readonly split: PciSplit;
  readonly #backend: PcibackBackend;

  constructor(machine: Machine) {
    this.split = PciSplit.on(machine, { back: 'none' });
    this.split.boot();
    this.#backend = new PcibackBackend(this.split.dom0, this.split.stub);
    this.split.frontBus.unregister(this.#front);
    this.split.scheduler.settle();
  }

  get #front(): NonNullable<PciSplit['pcifront']> {
    return this.split.pcifront as NonNullable<PciSplit['pcifront']>;
  }

  do(action: Action, model: Model): void {
    const { split } = this;
    switch (action) {
      case 'create': split.addFirst(NAMES[0] as string); break;
      case 'remove': split.removeDirectories(); break;
      case 'load front': split.frontBus.register(this.#front); break;
      case 'unload front': split.frontBus.unregister(this.#front); break;
      case 'load back': split.backBus.register(this.#backend); break;
      case 'unload back': split.backBus.unregister(this.#backend); break;
      case 'plug': split.plug(model.listed.length - 1, NAMES[model.listed.at(-1) as number] as string); break;
      case 'unplug': {
        const index = model.listed.length;
        split.unplug(index);
        split.scheduler.settle();
        split.tool.transaction((store) => {
          for (const key of ['state', 'key', 'dev', 'vdev', 'opts']) store.rm(`${split.back}/${key}-${index}`);
          store.write(`${split.back}/num_devs`, String(index));
        });
        break;
      }
      case 'shut down': split.scheduler.spawn('shutdown', split.domid, this.#front.shutdown()); break;
      case 'touch B': case 'touch F': {
        const path = action === 'touch B' ? split.back : split.front;
        if (split.read(path) === undefined) break;
        for (const key of split.tool.directory(path)) split.tool.write(`${path}/${key}`, split.tool.read(`${path}/${key}`));
        break;
      }
      default: split.scheduler.pass(1e9); break;
    }
    split.scheduler.settle();
  }

  /** What can be seen of it. */
  state(): unknown {
    const { split } = this;
    const { hypervisor, dom0 } = split.machine;
    const open = hypervisor.grants.mapped(dom0).length;
    return {
      B: Number(split.state('B')), F: Number(split.state('F')), open,
      out: split.stub.seized.flatMap(({ owner }, index) => (owner === undefined ? [] : [index])),
      found: this.#front.devices.length, pages: split.pages.length,
    };
  }

  end(): void {
    this.split.destroy();
    this.split.scheduler.settle();
    this.split.backBus.stop();
    this.split.dom0.stop();
  }
}

function expected({ B, F, out, boundF }: Model): unknown {
  const connected = B === 4 && F === 4;
  return {
    B, F, open: connected ? 1 : 0, out: [...out].sort(), found: connected ? out.size : 0,
    // a front end has its page from when it publishes to when it is closed
    pages: boundF && F !== 6 ? 1 : 0,
  };
}

const pairs = suite('a xenbus pair');

pairs('does what its model does, and leaves nothing behind', async () => {
  const { machine } = await xenDomains();
  const before = machine.digest();
  fc.assert(fc.property(fc.array(fc.constantFrom(...ACTIONS), { maxLength: 25 }), (actions) => {
    const [model, real] = [new Model(), new Real(machine)];
    const done: string[] = [];
    try {
      for (const action of actions) {
        if (!model.can(action)) continue;
        model.do(action);
        real.do(action, model);
        done.push(action);
        assert.equal(real.state(), expected(model), done.join(', '));
      }
    } finally {
      real.end();
    }
    assert.equal(difference(before, machine.digest()), [], done.join(', '));
  }), { numRuns: 150, seed: 20231 });
});

pairs.run();
