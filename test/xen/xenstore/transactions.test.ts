import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Xenstored } from '../../../src/xen/xenstore/daemon';
import { dumpStore } from '../../../src/xen/xenstore/dump';
import { XenstoreClient } from '../../../src/xen/xenstore/client';
import { XenstoreError } from '../../../src/xen/xenstore/errors';
import { RawClient, TYPE } from '../../helpers/xenstore';

function two(): [RawClient, RawClient, Xenstored] {
  const store = new Xenstored();
  const client = new RawClient(store);
  for (const path of ['/a', '/b', '/d/x', '/d/y']) client.write(path, 'old');
  return [client, new RawClient(store), store];
}

const tx = suite('transactions');

tx('seen by nobody until the end, and then at once', () => {
  const [one, other] = two();
  const id = one.start();
  one.write('/a', 'new', id);
  one.write('/n/e/w', '1', id);
  one.rm('/d', id);
  assert.is(one.read('/a', id), 'new');
  assert.is(one.read('/d/x', id), '!ENOENT');
  assert.is(one.ask(TYPE.DIRECTORY, '/|', id), 'tool|a|b|n|');
  for (const client of [one, other]) {
    assert.is(client.read('/a'), 'old');
    assert.is(client.read('/n/e/w'), '!ENOENT');
    assert.is(client.ask(TYPE.DIRECTORY, '/d|'), 'x|y|');
  }
  assert.is(one.end(id), 'OK|');
  assert.is(other.read('/a'), 'new');
  assert.is(other.read('/n/e/w'), '1');
  assert.is(other.ask(TYPE.DIRECTORY, '/|'), 'tool|a|b|n|');
});

tx('F forgets everything', () => {
  const [one, , store] = two();
  const before = dumpStore(store.state);
  const id = one.start();
  one.write('/a', 'new', id);
  one.rm('/d', id);
  one.ask(TYPE.SET_PERMS, '/b|r0|', id);
  assert.is(one.end(id, 'F'), 'OK|');
  assert.is(dumpStore(store.state), before);
  assert.is(one.end(id), '!ENOENT');
});

tx('a value read once stays, and the end tells that it has changed', () => {
  const [one, other] = two();
  const id = one.start();
  assert.is(one.read('/a', id), 'old');
  other.write('/a', 'theirs');
  assert.is(one.read('/a', id), 'old');
  one.write('/a', 'mine', id);
  assert.is(one.end(id), '!EAGAIN');
  assert.is(one.read('/a'), 'theirs');
  assert.is(one.end(id), '!ENOENT', 'it is gone, whatever came of it');
});

/** What the transaction does, what another does meanwhile, and whether they collide. */
type Meeting = readonly [string, (client: RawClient, id: number) => void, (client: RawClient) => void, boolean];
const MEETINGS: readonly Meeting[] = [
  ['other nodes', (c, id) => c.write('/a', '1', id), (c) => c.write('/b', '1'), false],
  ['both write', (c, id) => c.write('/a', '1', id), (c) => c.write('/a', '1'), true],
  ['the same value written', (c, id) => c.read('/a', id), (c) => c.write('/a', 'old'), true],
  ['read only, and written by another', (c, id) => c.read('/a', id), (c) => c.write('/a', '2'), true],
  ['read what the other reads', (c, id) => c.read('/a', id), (c) => c.read('/a'), false],
  ['seen to be missing, and made', (c, id) => c.read('/n', id), (c) => c.write('/n', '1'), true],
  ['seen to be missing deep down, and made', (c, id) => c.read('/n/e/w', id), (c) => c.write('/n/e/w', '1'), true],
  ['made by both', (c, id) => c.write('/n', '1', id), (c) => c.write('/n', '1'), true],
  ['siblings made: the parent is theirs both', (c, id) => c.write('/d/m', '1', id), (c) => c.write('/d/n', '1'), true],
  ['children of other parents', (c, id) => c.write('/d/m', '1', id), (c) => c.write('/a/n', '1'), false],
  ['a child written, the parent read', (c, id) => c.ask(TYPE.DIRECTORY, '/d|', id), (c) => c.write('/d/x', '1'), false],
  ['a child removed, the parent listed', (c, id) => c.ask(TYPE.DIRECTORY, '/d|', id), (c) => c.rm('/d/x'), true],
  ['permissions set', (c, id) => c.read('/a', id), (c) => c.perms('/a', 'r0'), true],
  ['permissions read', (c, id) => c.ask(TYPE.GET_PERMS, '/a|', id), (c) => c.write('/a', '1'), true],
  ['removed by both', (c, id) => c.rm('/d', id), (c) => c.rm('/d'), true],
  ['removed, and a child written', (c, id) => c.rm('/d', id), (c) => c.write('/d/x', '1'), true],
  ['removed and made again', (c, id) => c.read('/a', id), (c) => { c.rm('/a'); c.write('/a', 'old'); }, true],
  ['mkdir of what is there', (c, id) => c.ask(TYPE.MKDIR, '/a|', id), (c) => c.ask(TYPE.MKDIR, '/a|'), false],
  ['nothing', () => undefined, (c) => c.write('/a', '1'), false],
];

for (const [what, inside, outside, collides] of MEETINGS) {
  tx(`conflict or not: ${what}`, () => {
    const [one, other, store] = two();
    const id = one.start();
    inside(one, id);
    outside(other);
    const before = dumpStore(store.state);
    assert.is(one.end(id), collides ? '!EAGAIN' : 'OK|');
    if (collides) assert.is(dumpStore(store.state), before, 'nothing of it is there');
  });
}

tx('two transactions: the first to end wins', () => {
  const [one, other] = two();
  const [mine, theirs] = [one.start(), other.start()];
  one.write('/a', String(one.read('/a', mine) + 1), mine);
  other.write('/a', String(other.read('/a', theirs) + 2), theirs);
  assert.is(other.end(theirs), 'OK|');
  assert.is(one.end(mine), '!EAGAIN');
  assert.is(one.read('/a'), 'old2');
});

tx('ids count up for each connection, and belong to it', () => {
  const [one, other] = two();
  assert.equal([one.start(), one.start(), one.start()], [1, 2, 3]);
  assert.is(one.end(2), 'OK|');
  assert.equal([one.start(), other.start()], [4, 1]);
  assert.is(other.read('/a', 4), '!ENOENT');
  one.connection.nextTransaction = 0xffffffff;
  assert.equal([one.start(), one.start()], [0xffffffff, 2], '0 and those in use are left out');
});

tx('an error inside spoils nothing', () => {
  const [one] = two();
  const id = one.start();
  assert.is(one.read('/none', id), '!ENOENT');
  assert.is(one.read('/none/', id), '!EINVAL');
  one.write('/a', 'new', id);
  assert.is(one.end(id), 'OK|');
});

tx('events come after the end, one a node, in order of first access, and none for F or a conflict', () => {
  const [one, other] = two();
  const id = one.start();
  other.watch('/');
  one.read('/b', id);
  one.write('/a', '1', id);
  one.write('/b', '1', id);
  one.write('/a', '2', id);
  one.write('/n/e', '3', id);
  assert.equal(other.events(), []);
  assert.is(one.end(id), 'OK|');
  assert.equal(other.events(), ['/b t', '/a t', '/n/e t']);
  for (const how of ['F', 'T'] as const) {
    const again = one.start();
    one.write('/a', '3', again);
    other.write('/a', '4');
    assert.equal(other.events(), ['/a t']);
    assert.is(one.end(again, how), how === 'F' ? 'OK|' : '!EAGAIN');
    assert.equal(other.events(), []);
  }
});

tx('a removed tree: those who watch above hear of its root, those within of their own node', () => {
  const [one, other] = two();
  other.watch('/', 'above');
  other.watch('/d/x', 'within');
  other.watch('/d/x/none', 'nothing');
  const id = one.start();
  one.rm('/d', id);
  one.end(id);
  assert.equal(other.events(), ['/d above', '/d/x within']);
});

tx('RESET_WATCHES ends all transactions, and a lost connection does', () => {
  const [one] = two();
  const id = one.start();
  one.write('/a', 'new', id);
  assert.is(one.ask(TYPE.RESET_WATCHES, '|'), 'OK|');
  assert.is(one.end(id), '!ENOENT');
  assert.is(one.read('/a'), 'old');
});

tx('a domain that goes takes its rights out of a transaction under way', () => {
  const store = new Xenstored();
  const dom0 = new RawClient(store);
  store.introduce(5, 1, 1);
  const id = dom0.start();
  dom0.write('/d', 'v', id);
  dom0.ask(TYPE.SET_PERMS, '/d|n0|r5|', id);
  store.release(5);
  store.introduce(5, 1, 1);
  assert.is(dom0.end(id), '!EAGAIN');
});

tx('the client in this process starts anew after a conflict, and gives up after an error', () => {
  const store = new Xenstored();
  const [client, other] = [new XenstoreClient(store), new RawClient(store)];
  let attempts = 0;
  client.write('/n', '1');
  const result = client.transaction((inside) => {
    const value = Number(inside.read('/n'));
    if (attempts++ < 3) other.write('/n', String(10 * attempts));
    inside.write('/n', String(value + 1));
    return value;
  });
  assert.equal([result, attempts, client.read('/n')], [30, 4, '31']);
  const refusal = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      if (error instanceof XenstoreError) return error.code;
    }
    return 'none';
  };
  assert.is(refusal(() => client.transaction((inside) => {
    inside.write('/n', 'half');
    inside.read('/none');
  })), 'ENOENT');
  assert.is(client.read('/n'), '31');
  assert.is(client.connection.transactions.size, 0);
  assert.is(refusal(() => client.transaction((inside) => {
    inside.read('/n');
    other.write('/n', 'again');
  })), 'EAGAIN', 'not for ever');
});

tx.run();
