// Saved and loaded in the middle of everything, a store goes on with equal bytes.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Xenstored } from '../../../src/xen/xenstore/daemon';
import { countStore, digestInput, dumpStore } from '../../../src/xen/xenstore/dump';
import { XenstoreSnapshotError } from '../../../src/xen/xenstore/errors';
import { loadStore, saveStore } from '../../../src/xen/xenstore/snapshot';
import type { SavedStore } from '../../../src/xen/xenstore/snapshot';
import type { DomainHost } from '../../../src/xen/xenstore/state';
import { textOf } from '../../../src/xen/xenstore/bytes';
import { hex, RawClient, RingGuest, ringStore, TYPE } from '../../helpers/xenstore';

/** A client that is in the store already. */
function again(store: Xenstored, key: string): RawClient {
  const client = new RawClient(store, 0, 'new');
  store.disconnect(client.connection);
  const connection = [...store.state.connections].find((one) => one.key === key);
  Object.defineProperty(client, 'connection', { value: connection });
  return client;
}

function copyOf(guest: RingGuest): RingGuest {
  const copy = new RingGuest();
  copy.page.set(guest.page);
  return copy;
}

const snapshot = suite('snapshot');

snapshot('the middle of a message, a transaction, events and an outstanding request', () => {
  const { store, guest, host } = ringStore(3);
  const tool = new RawClient(store, 0, 'tool');
  tool.write('/d/x', 'v\0\xff');
  tool.perms('/d', 'b0', 'r50', 'r200');
  tool.perms('/d/x', 'b3');
  tool.perms('@releaseDomain', 'n0', 'r3');
  tool.watch('/d', 'tool');
  guest.talk(store, 3, TYPE.WATCH, '/d|guest|');
  guest.talk(store, 3, TYPE.START, '|');
  const id = tool.start();
  tool.write('/n', '1', id);
  tool.read('/d/x', id);
  // Events wait at the tool for a write of the guest; half a message is in the ring.
  guest.put(hex('0b000000 01000000 00000000 06000000 2f642f78 0031 02000000 09000000'));
  store.signal(3);
  tool.connection.output.take(3);
  const saved = JSON.parse(JSON.stringify(saveStore(store))) as SavedStore;
  const guestCopy = copyOf(guest);
  const link = { page: () => guestCopy.page, notify: () => { guestCopy.signals++; } };
  const newHost: DomainHost = { ...host, connect: () => link };
  const loaded = loadStore(saved, newHost);
  assert.equal(JSON.parse(JSON.stringify(saveStore(loaded))), saved);
  assert.is(dumpStore(loaded.state), dumpStore(store.state));
  assert.equal(countStore(loaded.state), countStore(store.state));
  for (const one of [store, loaded]) assert.is(one.state.domains.get(3)?.connection.outstanding, 1, 'its event waits');

  const sides = [[store, guest, tool], [loaded, guestCopy, again(loaded, 'tool')]] as const;
  const seen = sides.map(([one, ring, client]) => {
    const bytes: string[] = [textOf(client.raw())];
    ring.put(hex('00000000 05000000 2f642f7800'));
    one.signal(3);
    bytes.push(textOf(ring.get()), String(one.state.domains.get(3)?.connection.outstanding));
    bytes.push(client.end(id), client.read('/n'), client.start() === 2 ? 'ok' : 'no', textOf(client.raw()));
    one.signal(3);
    bytes.push(textOf(ring.get()), dumpStore(one.state));
    return bytes;
  });
  assert.equal(seen[1], seen[0]);
});

snapshot('sockets are not part of it', () => {
  const store = new Xenstored();
  const client = new RawClient(store);
  client.watch('/');
  const counts = countStore(loadStore(saveStore(store)).state);
  assert.equal([counts.connections, counts.watches], [1, 0]);
});

snapshot('the dump: sorted, escaped, with what no longer counts', () => {
  const store = new Xenstored({ host: { exists: (domid) => domid < 5, connect: () => undefined } });
  const client = new RawClient(store);
  client.write('/b', 'a "b" \\\n\xff~');
  client.write('/a/x', '');
  client.perms('/a', 'r1', 'w2', 'b9');
  const text = '/ = ""   (n0)\n/a = ""   (r1,w2,b9!)\n/a/x = ""   (n0)\n/b = "a \\x22b\\x22 \\x5c\\x0a\\xff~"   (n0)\n'
    + '/tool = ""   (n0)\n/tool/xenstored = ""   (n0)\n@introduceDomain   (n0)\n@releaseDomain   (n0)\n';
  assert.is(dumpStore(store.state), text);
  assert.is(textOf(digestInput(store.state)), text);
});

snapshot('what is no saved store is refused', () => {
  const { store } = ringStore(3);
  const tool = new RawClient(store, 0, 'tool');
  tool.watch('/');
  tool.write('/x', '1', tool.start());
  new RawClient(store).write('/d/x', '1');
  tool.connection.output.take(1);
  const good = JSON.stringify(saveStore(store));
  const spoil: ReadonlyArray<(data: Record<string, any>) => void> = [
    (data) => { data['version'] = 2; },
    (data) => { delete data['nodes']; },
    (data) => { data['nodes'] = []; },
    (data) => { data['nodes'].pop(); },
    (data) => { data['nodes'].push(['/lost', data['nodes'][0][1]]); },
    (data) => { data['nodes'].push(data['nodes'][0]); },
    (data) => { data['nodes'][1][0] = '/d/'; },
    (data) => { data['nodes'][1][1].permissions = []; },
    (data) => { data['nodes'][1][1].permissions = ['x0']; },
    (data) => { data['nodes'][1][1].generation = 1e9; },
    (data) => { data['nodes'][1][1].value = 5; },
    (data) => { data['generation'] = -1; },
    (data) => { data['quotas'].nodes = 'many'; },
    (data) => { data['special'][0][0] = '@other'; },
    (data) => { data['domains'].push({ domid: 9, gfn: 0, port: 0, shutdown: false }); },
    (data) => { data['connections'][1].privileged = true; },
    (data) => { data['connections'].push(data['connections'][0]); },
    (data) => { data['connections'][2].taken = 1e6; },
    (data) => { data['connections'][2].output[0].cause = 4; },
    (data) => { data['connections'][2].transactions[0].accessed[0].fire = 'maybe'; },
    (data) => { data['connections'][2].input = '\xff'.repeat(16); },
    (data) => { data['causes'].push('nobody'); },
    (data) => { data['causes'].push('tool'); },
  ];
  for (const [index, change] of spoil.entries()) {
    const data = JSON.parse(good) as Record<string, any>;
    change(data);
    const isRefused = (error: unknown): boolean => error instanceof XenstoreSnapshotError;
    assert.throws(() => loadStore(data as unknown as SavedStore), isRefused, `spoilt by ${index}`);
  }
  assert.type(loadStore(JSON.parse(good) as SavedStore), 'object');
});

snapshot.run();
