// Garbage by seed: the store neither throws nor mixes up its clients, and its tree hangs together.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesOf } from '../../../src/xen/xenstore/bytes';
import { Xenstored } from '../../../src/xen/xenstore/daemon';
import { dumpStore } from '../../../src/xen/xenstore/dump';
import { loadStore, saveStore } from '../../../src/xen/xenstore/snapshot';
import { encodeMessage } from '../../../src/xen/xenstore/wire';
import { RawClient, TYPE } from '../../helpers/xenstore';

/** xorshift32: the same numbers on every machine. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const WORDS = [
  '/', '/a', '/a/b', 'rel', '/local/domain/3/x', '@releaseDomain', '@introduceDomain', 'n0', 'r3', 'b3', 'T', 'F',
  '3', '4', '0', '1', '-1', '65536', '', '//', 'x'.repeat(300), 'quota', 'set', 'nodes', 'check', '\xff\xfe',
  '/a/b/c/d/e/f',
];

function message(random: (below: number) => number): Uint8Array {
  const words = Array.from({ length: random(5) }, () => WORDS[random(WORDS.length)] as string);
  const text = words.map((word) => `${word}\0`).join('') + (random(4) === 0 ? 'tail' : '');
  const type = random(20) === 0 ? random(0xffffffff) : random(28);
  const transactionId = random(3) === 0 ? random(6) : 0;
  return encodeMessage({ type, requestId: random(100), transactionId, payload: bytesOf(text) });
}

function runFrom(seed: number): string {
  const random = randomFrom(seed);
  const store = new Xenstored({ host: { exists: (domid) => domid < 6, connect: () => undefined } });
  const witness = new RawClient(store);
  let clients = [0, 0, 3, 4].map((domid) => new RawClient(store, domid));
  for (let turn = 0; turn < 400; turn++) {
    const at = random(clients.length);
    const client = clients[at] as RawClient;
    const bytes = message(random);
    const kind = random(20);
    if (kind === 0) {
      store.receive(client.connection, bytes.map((byte) => (random(8) === 0 ? random(256) : byte)));
    } else if (kind === 1) {
      store.receive(client.connection, bytes.subarray(0, random(bytes.length)));
      store.disconnect(client.connection);
    } else if (kind === 2) {
      store.receive(client.connection, Uint8Array.from({ length: random(100) }, () => random(256)));
    } else {
      // In two pieces.
      const cut = random(bytes.length);
      store.receive(client.connection, bytes.subarray(0, cut));
      store.receive(client.connection, bytes.subarray(cut));
    }
    client.raw();
    if (!store.state.connections.has(client.connection) || client.connection.ignored) {
      clients = clients.map((one, index) => (index === at ? new RawClient(store, client.connection.domid) : one));
    }
    if (turn % 50 === 0) {
      assert.is(witness.write('/witness', String(turn)), 'OK|');
      assert.is(witness.read('/witness'), String(turn));
      assert.is(witness.ask(TYPE.CONTROL, 'check|'), 'OK|', `seed ${seed} turn ${turn}`);
    }
  }
  const text = dumpStore(store.state);
  assert.is(dumpStore(loadStore(saveStore(store)).state), text);
  return text;
}

for (let seed = 1; seed <= 60; seed++) {
  test(`seed ${seed}`, () => {
    const text = runFrom(seed);
    if (seed % 10 === 0) assert.is(runFrom(seed), text, 'the same again');
  });
}

test.run();
