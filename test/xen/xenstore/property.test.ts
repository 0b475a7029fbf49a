// Random operations of several clients against a model that is as simple as can be: the model copies the whole tree at
// the start of a transaction and tracks by path what was looked at.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import fc from 'fast-check';
import { Xenstored } from '../../../src/xen/xenstore/daemon';
import { loadStore, saveStore } from '../../../src/xen/xenstore/snapshot';
import { RawClient, TYPE } from '../../helpers/xenstore';

const NAMES = ['a', 'b', 'c'];
const PATHS = NAMES.flatMap((x) => [`/${x}`, ...NAMES.flatMap((y) => [`/${x}/${y}`, `/${x}/${y}/a`])]);
const CLIENTS = 3;

type Step =
  | { kind: 'read' | 'list' | 'mkdir' | 'rm'; client: number; path: string; inside: boolean }
  | { kind: 'write'; client: number; path: string; value: string; inside: boolean }
  | { kind: 'start'; client: number }
  | { kind: 'end'; client: number; commit: boolean }
  | { kind: 'watch' | 'unwatch'; client: number; path: string }
  | { kind: 'reset'; client: number }
  | { kind: 'reload' };

const client = fc.nat(CLIENTS - 1);
const path = fc.constantFrom(...PATHS);
const inside = fc.constantFrom(true, true, false);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom<'read' | 'list'>('read', 'list'), client, path, inside }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom<'mkdir' | 'rm'>('mkdir', 'rm'), client, path, inside }) },
  { weight: 5, arbitrary: fc.record({
    kind: fc.constant('write' as const), client, path, value: fc.constantFrom('', '1', '2'), inside,
  }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('start' as const), client }) },
  { weight: 2, arbitrary: fc.record({
    kind: fc.constant('end' as const), client, commit: fc.constantFrom(true, true, true, false),
  }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('watch' as const, 'unwatch' as const), client, path }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), client }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reload' as const) }) },
);

const parentOf = (one: string): string => one.slice(0, one.lastIndexOf('/')) || '/';
const isWithin = (one: string, above: string): boolean =>
  above === '/' || one === above || one.startsWith(`${above}/`);

/** Value by path, in order of creation, and how often a node (its value, its list of children) has been changed. */
class ModelTree {
  readonly values = new Map<string, string>([['/', '']]);
  readonly versions = new Map<string, number>();
  /** Told of each path that is looked at. */
  look: (path: string) => void = () => undefined;
  /** Told of each change, with whether it is for exact watches only. */
  fired: Array<[string, boolean]> = [];

  copy(): ModelTree {
    const copy = new ModelTree();
    for (const [key, value] of this.values) copy.values.set(key, value);
    for (const [key, value] of this.versions) copy.versions.set(key, value);
    return copy;
  }

  version(one: string): string {
    return `${this.values.has(one)} ${this.versions.get(one) ?? 0}`;
  }

  #touch(one: string): void {
    this.versions.set(one, (this.versions.get(one) ?? 0) + 1);
  }

  /** Looks at a node and, if it is missing, at those above until one is there. */
  #find(one: string): boolean {
    this.look(one);
    const isThere = this.values.has(one);
    for (let at = one; !this.values.has(at);) {
      at = parentOf(at);
      this.look(at);
    }
    return isThere;
  }

  read(one: string): string {
    return this.#find(one) ? this.values.get(one) as string : '!ENOENT';
  }

  list(one: string): string {
    if (!this.#find(one)) return '!ENOENT';
    return this.children(one).map((child) => `${child.slice(child.lastIndexOf('/') + 1)}|`).join('');
  }

  children(one: string): string[] {
    return [...this.values.keys()].filter((key) => key !== '/' && parentOf(key) === one);
  }

  write(one: string, value: string): string {
    if (this.#find(one)) {
      this.values.set(one, value);
      this.#touch(one);
    } else {
      this.#create(one, value);
    }
    this.fired.push([one, false]);
    return 'OK|';
  }

  mkdir(one: string): string {
    if (this.#find(one)) return 'OK|';
    this.#create(one, '');
    this.fired.push([one, false]);
    return 'OK|';
  }

  #create(one: string, value: string): void {
    const parent = parentOf(one);
    if (this.values.has(parent)) this.#touch(parent);
    else this.#create(parent, '');
    this.values.set(one, value);
    this.#touch(one);
  }

  rm(one: string): string {
    const isThere = this.#find(one);
    this.look(parentOf(one));
    if (!isThere) return this.values.has(parentOf(one)) ? 'OK|' : '!ENOENT';
    this.#remove(one, false);
    this.#touch(parentOf(one));
    return 'OK|';
  }

  #remove(one: string, exact: boolean): void {
    this.look(one);
    for (const child of this.children(one)) this.#remove(child, true);
    this.fired.push([one, exact]);
    this.values.delete(one);
    this.#touch(one);
  }
}

interface ModelTransaction {
  readonly tree: ModelTree;
  readonly began: ModelTree;
  /** Version of each node when it was first looked at, in that order. */
  readonly seen: Map<string, string>;
  /** Applied to the real tree at the end. */
  readonly steps: Array<(tree: ModelTree) => unknown>;
}

class Model {
  tree = new ModelTree();
  readonly transactions: Array<ModelTransaction | undefined> = [];
  readonly watches: string[][] = Array.from({ length: CLIENTS }, () => []);
  readonly events: string[][] = Array.from({ length: CLIENTS }, () => []);

  fire(changes: ReadonlyArray<readonly [string, boolean]>): void {
    for (const [changed, exact] of changes) {
      this.watches.forEach((watches, at) => {
        for (const watch of watches) {
          const matches = exact ? watch === changed : isWithin(changed, watch);
          const event = `${changed} ${watch}`;
          if (matches && !this.events[at]?.includes(event)) this.events[at]?.push(event);
        }
      });
    }
  }

  act(at: number, isInside: boolean, work: (tree: ModelTree) => string): string {
    const transaction = isInside ? this.transactions[at] : undefined;
    if (transaction) {
      transaction.steps.push(work);
      return work(transaction.tree);
    }
    const answer = work(this.tree);
    this.fire(this.tree.fired.splice(0));
    return answer;
  }

  start(at: number): void {
    const seen = new Map<string, string>();
    const tree = this.tree.copy();
    tree.look = (one) => {
      if (!seen.has(one)) seen.set(one, this.tree.version(one));
    };
    this.transactions[at] = { tree, began: this.tree.copy(), seen, steps: [] };
  }

  /** The answer to an end. */
  end(at: number, commit: boolean): string {
    const transaction = this.transactions[at];
    this.transactions[at] = undefined;
    if (transaction === undefined) return '!ENOENT';
    if (!commit) return 'OK|';
    for (const [one, version] of transaction.seen) if (this.tree.version(one) !== version) return '!EAGAIN';
    for (const work of transaction.steps) work(this.tree);
    const fired = this.tree.fired.splice(0);
    // One event a node, in order of first access; one for all watches wins over one for exact ones.
    const order = [...transaction.seen.keys()].filter((one) => fired.some(([changed]) => changed === one));
    this.fire(order.map((one) => [one, fired.every(([changed, exact]) => changed !== one || exact)]));
    return 'OK|';
  }

  /** Whether nothing outside has changed since the start: only then does a copy of the whole say what is inside. */
  isClean(at: number): boolean {
    const transaction = this.transactions[at];
    if (transaction === undefined) return true;
    return PATHS.concat('/').every((one) => transaction.began.version(one) === this.tree.version(one));
  }
}

function runSteps(steps: readonly Step[]): void {
  let store = new Xenstored();
  const model = new Model();
  new RawClient(store).rm('/tool');
  let clients = Array.from({ length: CLIENTS }, (_, at) => new RawClient(store, 0, `client ${at}`));
  const ids: number[] = Array.from({ length: CLIENTS }, () => 0);
  for (const one of steps) {
    if (one.kind === 'reload') {
      const loaded = loadStore(JSON.parse(JSON.stringify(saveStore(store))));
      clients = clients.map((_, at) => {
        const fresh = new RawClient(loaded);
        loaded.disconnect(fresh.connection);
        const connection = [...loaded.state.connections].find(({ key }) => key === `client ${at}`);
        Object.defineProperty(fresh, 'connection', { value: connection });
        return fresh;
      });
      store = loaded;
      continue;
    }
    const at = one.client;
    const real = clients[at] as RawClient;
    const id = 'inside' in one && one.inside ? ids[at] as number : 0;
    const check = (answer: string, expected: string): void => assert.is(answer, expected, JSON.stringify(one));
    // Inside, with changes outside, the model would have to know which of them were seen: it leaves the client alone
    // until the end, which is the interesting part.
    if (id !== 0 && !model.isClean(at)) continue;
    if (one.kind === 'read') check(real.read(one.path, id), model.act(at, id !== 0, (tree) => tree.read(one.path)));
    else if (one.kind === 'list') {
      check(real.ask(TYPE.DIRECTORY, `${one.path}|`, id), model.act(at, id !== 0, (tree) => tree.list(one.path)));
    } else if (one.kind === 'mkdir') {
      check(real.ask(TYPE.MKDIR, `${one.path}|`, id), model.act(at, id !== 0, (tree) => tree.mkdir(one.path)));
    } else if (one.kind === 'rm') check(real.rm(one.path, id), model.act(at, id !== 0, (tree) => tree.rm(one.path)));
    else if (one.kind === 'write') {
      check(real.write(one.path, one.value, id), model.act(at, id !== 0, (tree) => tree.write(one.path, one.value)));
    } else if (one.kind === 'start') {
      if (ids[at] !== 0) continue;
      ids[at] = real.start();
      model.start(at);
    } else if (one.kind === 'end') {
      const open = ids[at] as number;
      ids[at] = 0;
      check(real.end(open, one.commit ? 'T' : 'F'), model.end(at, one.commit));
    } else if (one.kind === 'watch') {
      const watches = model.watches[at] as string[];
      check(real.ask(TYPE.WATCH, `${one.path}|${one.path}|`), watches.includes(one.path) ? '!EEXIST' : 'OK|');
      if (!watches.includes(one.path)) {
        watches.push(one.path);
        const first = `${one.path} ${one.path}`;
        if (!model.events[at]?.includes(first)) model.events[at]?.push(first);
      }
    } else if (one.kind === 'unwatch') {
      const watches = model.watches[at] as string[];
      const index = watches.indexOf(one.path);
      check(real.ask(TYPE.UNWATCH, `${one.path}|${one.path}|`), index < 0 ? '!ENOENT' : 'OK|');
      if (index >= 0) watches.splice(index, 1);
    } else {
      check(real.ask(TYPE.RESET_WATCHES, '|'), 'OK|');
      (model.watches[at] as string[]).length = 0;
      model.transactions[at] = undefined;
      ids[at] = 0;
    }
    clients.forEach((each, index) => {
      assert.equal(each.events(), model.events[index]?.splice(0), `events of ${index} after ${JSON.stringify(one)}`);
    });
  }
  const reader = new RawClient(store);
  for (const one of PATHS) {
    assert.is(reader.read(one), model.tree.read(one), one);
    assert.is(reader.ask(TYPE.DIRECTORY, `${one}|`), model.tree.list(one), one);
  }
  assert.is(reader.ask(TYPE.CONTROL, 'check|'), 'OK|');
}

test('several clients, transactions, watches, and saved and loaded in between', () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 80, size: 'max' });
  fc.assert(fc.property(steps, runSteps), { numRuns: 300, seed: 20417 });
});

test('the model does meet conflicts and commits', () => {
  const seen = new Set<string>();
  const original = Model.prototype.end;
  Model.prototype.end = function end(at, commit) {
    const answer = original.call(this, at, commit);
    seen.add(answer);
    return answer;
  };
  try {
    const steps = fc.array(step, { minLength: 40, maxLength: 80, size: 'max' });
    fc.assert(fc.property(steps, runSteps), { numRuns: 50, seed: 7 });
  } finally {
    Model.prototype.end = original;
  }
  assert.equal([...seen].sort(), ['!EAGAIN', '!ENOENT', 'OK|']);
});

test.run();
