// Domains that come and go: what is left of them, and what the next with the same number gets.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Xenstored } from '../../../src/xen/xenstore/daemon';
import { countStore, dumpStore } from '../../../src/xen/xenstore/dump';
import { PAGE, RawClient, ringStore, TYPE } from '../../helpers/xenstore';

const domains = suite('domains');

domains('a domain that goes takes its nodes, with all below them, and its rights', () => {
  const store = new Xenstored();
  const dom0 = new RawClient(store);
  dom0.write('/local/domain', '');
  dom0.write('/keep', 'v');
  const before = dumpStore(store.state);
  const counts = countStore(store.state);
  dom0.ask(TYPE.INTRODUCE, '5|1|1|');
  const guest = new RawClient(store, 5);
  dom0.write('/local/domain/5', '');
  dom0.perms('/local/domain/5', 'n5', 'r0');
  guest.write('data/x', '1');
  dom0.write('/local/domain/5/data/of-dom0', '1');
  dom0.perms('/local/domain/5/data/of-dom0', 'n0');
  dom0.perms('/keep', 'n0', 'r5');
  dom0.perms('@releaseDomain', 'n0', 'r5');
  guest.watch('@releaseDomain');
  guest.start();
  assert.is(guest.read('/keep'), 'v');
  dom0.watch('/', 'all');
  assert.is(dom0.ask(TYPE.RELEASE, '5|'), 'OK|');
  assert.equal(dom0.events(), ['/local/domain/5 all']);
  assert.is(dumpStore(store.state), before);
  dom0.ask(TYPE.UNWATCH, '/|all|');
  assert.equal(countStore(store.state), counts);
  assert.is(dom0.ask(TYPE.IS_DOMAIN_INTRODUCED, '5|'), 'F|');
  dom0.ask(TYPE.INTRODUCE, '5|1|1|');
  assert.is(new RawClient(store, 5).read('/keep'), '!EACCES');
});

domains('domain 0 stays', () => {
  const store = new Xenstored();
  const dom0 = new RawClient(store);
  assert.throws(() => store.release(0), /cannot be released/);
  assert.is(dom0.write('/a', '1'), 'OK|');
});

domains('the root stays, whoever owned it', () => {
  const store = new Xenstored();
  const dom0 = new RawClient(store);
  dom0.perms('/', 'r5');
  dom0.write('/x', '');
  dom0.perms('/x', 'n5');
  store.release(5);
  assert.is(dom0.ask(TYPE.DIRECTORY, '/|'), 'tool|');
  assert.is(dom0.ask(TYPE.GET_PERMS, '/|'), 'r0|');
});

domains('INTRODUCE again: watches, transactions and the ring start anew', () => {
  const { store, guest } = ringStore(3);
  const dom0 = new RawClient(store);
  assert.equal(guest.talk(store, 3, TYPE.WATCH, '/tool|t|'), ['4 OK|', '15 /tool|t|']);
  assert.equal(guest.talk(store, 3, TYPE.START, '|'), ['6 1|']);
  guest.set(PAGE.connection, 1);
  guest.signals = 0;
  assert.is(dom0.ask(TYPE.INTRODUCE, '3|1|5|'), 'OK|');
  assert.equal([PAGE.reqCons, PAGE.reqProd, PAGE.rspCons, PAGE.rspProd].map((at) => guest.word(at)), [0, 0, 0, 0]);
  assert.is(guest.word(PAGE.connection), 0);
  assert.is(guest.signals, 1, 'it waits for that');
  assert.is(countStore(store.state).watches, 0);
  assert.is(countStore(store.state).transactions, 0);
  assert.equal(guest.talk(store, 3, TYPE.READ, '/tool|'), ['16 EACCES|']);
});

domains('a refused INTRODUCE changes nothing', () => {
  const { store, guest } = ringStore(3);
  const dom0 = new RawClient(store);
  guest.talk(store, 3, TYPE.WATCH, '/tool|t|');
  const before = countStore(store.state);
  for (const payload of ['3|1|0|', '200|1|1|', '3|x|1|']) assert.ok(dom0.ask(TYPE.INTRODUCE, payload).startsWith('!'));
  assert.equal(countStore(store.state), before);
});

domains('domain 0 by its page is privileged, and may even introduce itself', () => {
  const { store, guest } = ringStore(0);
  assert.equal(guest.talk(store, 0, TYPE.WRITE, '/a|1'), ['11 OK|']);
  assert.equal(guest.talk(store, 0, TYPE.READ, '/a|'), ['2 1']);
  assert.equal(guest.talk(store, 0, TYPE.INTRODUCE, '0|1|1|'), ['8 OK|']);
  assert.equal(guest.talk(store, 0, TYPE.READ, '/a|'), ['2 1']);
});

domains.run();
