// What one domain may use up, each to the last one that goes, and that tools have no quota.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Xenstored } from '../../../src/xen/xenstore/daemon';
import { DEFAULT_QUOTAS } from '../../../src/xen/xenstore/quotas';
import type { Quotas } from '../../../src/xen/xenstore/quotas';
import { PAGE, RawClient, ringStore, TYPE } from '../../helpers/xenstore';
import { encodeMessage } from '../../../src/xen/xenstore/wire';
import { bytesOf } from '../../../src/xen/xenstore/bytes';

function cast(few: Partial<Quotas> = {}): { store: Xenstored; dom0: RawClient; guest: RawClient } {
  const store = new Xenstored({ quotas: few });
  store.introduce(3, 1, 1);
  const dom0 = new RawClient(store);
  dom0.write('/local/domain/3', '');
  dom0.perms('/local/domain/3', 'n3');
  return { store, dom0, guest: new RawClient(store, 3) };
}

const quotas = suite('quotas');

quotas('the defaults of xenstored', () => {
  assert.equal({ ...DEFAULT_QUOTAS }, {
    nodes: 1000, watches: 128, transactions: 10, outstanding: 20, 'transaction-nodes': 1024, memory: 2621440,
    'node-size': 2048, 'path-max': 2048, permissions: 5,
  });
});

quotas('nodes: those that are owned count, whoever made them', () => {
  const { store, dom0, guest } = cast({ nodes: 5 });
  // Its own folder is one.
  for (const name of ['a', 'b', 'c']) assert.is(guest.write(name, '1'), 'OK|');
  assert.is(guest.write('d/e', '1'), '!ENOSPC', 'two at once: neither');
  assert.is(guest.read('d'), '!ENOENT');
  assert.is(guest.write('d', '1'), 'OK|');
  assert.is(guest.write('e', '1'), '!ENOSPC');
  assert.is(guest.ask(TYPE.MKDIR, 'e|'), '!ENOSPC');
  assert.is(guest.write('a', '2'), 'OK|', 'no node more');
  guest.rm('a');
  assert.is(guest.write('e', '1'), 'OK|');
  dom0.perms('/local/domain/3/e', 'n0');
  assert.is(guest.write('f', '1'), 'OK|', 'one was taken from it');
  assert.is(dom0.write('/local/domain/3/g', '1'), 'OK|');
  assert.is(store.state.tree.usage(3).nodes, 6, 'a tool may give it more');
});

quotas('nodes in a transaction: refused inside, and so at the end', () => {
  const { guest } = cast({ nodes: 3 });
  const id = guest.start();
  assert.is(guest.write('a', '1', id), 'OK|');
  assert.is(guest.write('b', '1', id), 'OK|');
  assert.is(guest.write('c', '1', id), '!ENOSPC');
  assert.is(guest.end(id), '!ENOMEM');
  const [one, other] = [guest.start(), guest.start()];
  guest.write('x/a', '1', one);
  assert.is(guest.write('y', '1', other), 'OK|');
  guest.rm('y', other);
  assert.is(guest.end(one), 'OK|', 'just full');
  // Each for itself had room enough, together they have not.
  const { guest: second, dom0 } = cast({ nodes: 3 });
  dom0.write('/local/domain/3/p', '');
  dom0.write('/local/domain/3/q', '');
  dom0.perms('/local/domain/3/p', 'b0');
  dom0.perms('/local/domain/3/q', 'b0');
  const [first, last] = [second.start(), second.start()];
  assert.is(second.write('p/1/2', '', first), 'OK|');
  assert.is(second.write('q/1/2', '', last), 'OK|');
  assert.is(second.end(first), 'OK|');
  assert.is(second.end(last), '!ENOSPC');
});

quotas('node-size: header, permissions, value and the names of children', () => {
  const { dom0, guest } = cast();
  // 24 of header and 8 of the one entry; below 2048 is allowed.
  assert.is(guest.write('v', 'x'.repeat(2048 - 33)), 'OK|');
  assert.is(guest.write('v', 'x'.repeat(2048 - 32)), '!ENOSPC');
  assert.is(guest.write('n', 'x'.repeat(2048 - 32)), '!ENOSPC', 'and it is not made');
  assert.is(guest.read('n'), '!ENOENT');
  assert.is(guest.perms('v', 'n3', 'r0'), '!ENOSPC');
  assert.is(guest.write('v/child', ''), '!ENOSPC', 'no room for the name');
  assert.is(dom0.write('/local/domain/3/v', 'x'.repeat(4000)), 'OK|');
  guest.write('w', 'x'.repeat(2048 - 32 - 6));
  assert.is(guest.write('w/child', ''), '!ENOSPC');
  assert.is(guest.write('w/chil', ''), 'OK|');
});

quotas('permissions', () => {
  const { dom0, guest } = cast();
  guest.write('a', '');
  assert.is(guest.perms('a', 'n3', 'r1', 'r2', 'r4', 'r5'), 'OK|');
  assert.is(guest.perms('a', 'n3', 'r1', 'r2', 'r4', 'r5', 'r6'), '!ENOSPC');
  assert.is(guest.perms('none', 'x', 'x', 'x', 'x', 'x', 'x'), '!ENOSPC', 'before anything else');
  assert.is(dom0.perms('/local/domain/3/a', 'n3', 'r1', 'r2', 'r4', 'r5', 'r6'), 'OK|');
});

quotas('watches', () => {
  const { dom0, guest } = cast();
  for (let i = 0; i < 128; i++) assert.is(guest.watch('a', String(i)), 'OK|');
  assert.is(guest.watch('a', 'more'), '!E2BIG');
  assert.is(guest.watch('a', '5'), '!EEXIST');
  guest.ask(TYPE.UNWATCH, 'a|5|');
  assert.is(guest.watch('a', 'more'), 'OK|');
  for (let i = 0; i < 300; i++) assert.is(dom0.watch('a', String(i)), 'OK|');
});

quotas('transactions', () => {
  const { dom0, guest } = cast();
  for (let i = 1; i <= 10; i++) assert.is(guest.start(), i);
  assert.is(guest.ask(TYPE.START, '|'), '!ENOSPC');
  guest.end(4, 'F');
  assert.is(guest.start(), 11);
  for (let i = 1; i <= 50; i++) assert.is(dom0.start(), i);
});

quotas('transaction-nodes: read ones count, and too many spoil it', () => {
  const { dom0, guest } = cast({ 'transaction-nodes': 4 });
  for (const name of ['a', 'b', 'c', 'd', 'e']) guest.write(name, name);
  const id = guest.start();
  for (const name of ['a', 'b', 'c', 'd']) assert.is(guest.read(name, id), name);
  assert.is(guest.read('e', id), '!ENOSPC');
  assert.is(guest.read('a', id), 'a');
  assert.is(guest.end(id), '!ENOMEM');
  const free = dom0.start();
  for (const name of ['a', 'b', 'c', 'd', 'e']) assert.is(dom0.read(`/local/domain/3/${name}`, free), name);
  assert.is(dom0.end(free), 'OK|');
});

quotas('memory: nodes, watches and what is not taken', () => {
  const { dom0, guest } = cast({ memory: 10_000 });
  for (let i = 0; i < 4; i++) assert.is(guest.write(`a${i}`, 'x'.repeat(2000)), 'OK|');
  assert.is(guest.write('a5', 'x'.repeat(2000)), '!ENOMEM');
  assert.is(guest.watch('a', 't'.repeat(3000)), '!ENOMEM');
  assert.is(guest.write('a1', 'short'), 'OK|');
  // Events that nobody takes.
  dom0.write('/b', '');
  dom0.perms('/b', 'r0');
  guest.watch('/b');
  for (let i = 0; i < 1000; i++) dom0.write(`/b/${i}`, '');
  assert.ok(guest.connection.output.bytes < 10_000);
  const heard = guest.events().length;
  assert.ok(heard > 10 && heard < 1000, String(heard));
  dom0.rm('/b');
  assert.equal(guest.events(), ['/b t']);
});

quotas('outstanding: a domain that takes no replies is not read from, and loses nothing', () => {
  const { store, guest } = ringStore(3);
  let sent = 0;
  // Replies of 23 bytes: the ring is full of them before 50.
  for (let turn = 0; turn < 40; turn++) {
    const payload = bytesOf('/none\0');
    while (1024 - (guest.word(PAGE.reqProd) - guest.word(PAGE.reqCons)) >= 16 + payload.length) {
      guest.put(encodeMessage({ type: TYPE.READ, requestId: sent++, transactionId: 0, payload }));
    }
    store.signal(3);
  }
  const connection = store.state.domains.get(3)?.connection;
  assert.is(connection?.outstanding, 20);
  assert.ok(guest.word(PAGE.reqProd) - guest.word(PAGE.reqCons) > 1000, 'the request ring is full');
  const answered: number[] = [];
  for (let turn = 0; turn < 200 && answered.length < sent; turn++) {
    guest.reader.push(guest.get());
    for (let message = guest.reader.next(); message; message = guest.reader.next()) answered.push(message.requestId);
    store.signal(3);
  }
  assert.equal(answered, Array.from({ length: sent }, (_, id) => id));
  assert.is(connection?.outstanding, 0);
});

quotas('outstanding: a request is, until its events have been taken', () => {
  const { store, guest } = ringStore(3, { outstanding: 2 });
  const watcher = new RawClient(store);
  watcher.write('/d', '');
  watcher.perms('/d', 'b0');
  watcher.watch('/d');
  watcher.connection.onOutput = () => undefined;
  for (const name of ['a', 'b', 'c']) {
    const payload = bytesOf(`/d/${name}\0`);
    guest.put(encodeMessage({ type: TYPE.WRITE, requestId: 0, transactionId: 0, payload }));
  }
  store.signal(3);
  guest.get();
  store.signal(3);
  assert.is(store.state.tree.get('/d')?.children.length, 2);
  assert.equal(watcher.events(), ['/d/a t', '/d/b t']);
  store.signal(3);
  assert.is(store.state.tree.get('/d')?.children.length, 3);
});

quotas('CONTROL shows and sets them', () => {
  const { dom0, guest } = cast();
  dom0.ask(TYPE.CONTROL, 'quota|set|watches|1|');
  assert.is(guest.watch('a'), 'OK|');
  assert.is(guest.watch('b'), '!E2BIG');
});

quotas.run();
