import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { XenstoreClient } from '../../../src/xen/xenstore/client';
import { Xenstored } from '../../../src/xen/xenstore/daemon';
import { RawClient, TYPE } from '../../helpers/xenstore';

function cast(): { store: Xenstored; dom0: RawClient; watcher: RawClient; guest: RawClient } {
  const store = new Xenstored();
  store.introduce(3, 1, 1);
  const dom0 = new RawClient(store);
  dom0.write('/local/domain/3', '');
  dom0.perms('/local/domain/3', 'n3');
  return { store, dom0, watcher: new RawClient(store), guest: new RawClient(store, 3) };
}

const watches = suite('watches');

watches('what fires: also the same value again; not what changes nothing', () => {
  const { dom0, watcher } = cast();
  watcher.watch('/a');
  for (const [what, act, events] of [
    ['made', () => dom0.write('/a', '1'), ['/a t']],
    ['the same value', () => dom0.write('/a', '1'), ['/a t']],
    ['read', () => dom0.read('/a'), []],
    ['mkdir of what is there', () => dom0.ask(TYPE.MKDIR, '/a|'), []],
    ['mkdir below', () => dom0.ask(TYPE.MKDIR, '/a/b/c|'), ['/a/b/c t']],
    ['permissions', () => dom0.perms('/a', 'r0'), ['/a t']],
    ['refused', () => dom0.write('/a/', '1'), []],
    ['beside it', () => dom0.write('/ab', '1'), []],
    ['above it', () => dom0.write('/', '1'), []],
    ['removed below', () => dom0.rm('/a/b'), ['/a/b t']],
    ['what is not there removed', () => dom0.rm('/a/none'), []],
    ['removed', () => dom0.rm('/a'), ['/a t']],
  ] as const) {
    act();
    assert.equal(watcher.events(), events, what);
  }
});

watches('the reply first, then one event at once, even for what is not there or not to be read', () => {
  const { dom0, guest } = cast();
  dom0.write('/secret', '1');
  // `watch` checks the event itself.
  for (const path of ['/none', '/secret', 'x', '@releaseDomain', '@whatever']) assert.is(guest.watch(path), 'OK|');
  dom0.write('/secret', '2');
  assert.equal(guest.events(), []);
});

watches('relative watches have relative events, and tokens come back as they were', () => {
  const { dom0, guest } = cast();
  const token = 'any \xff\x01 token/with things';
  guest.watch('device', token);
  guest.watch('/local/domain/3/device', 'absolute');
  dom0.write('/local/domain/3/device/vif/0', '');
  assert.equal(guest.events(), [`device/vif/0 ${token}`, '/local/domain/3/device/vif/0 absolute']);
  assert.is(guest.ask(TYPE.UNWATCH, `/local/domain/3/device|${token}|`), 'OK|', 'by its other name');
  dom0.write('/local/domain/3/device/vif/0', '');
  assert.equal(guest.events(), ['/local/domain/3/device/vif/0 absolute']);
});

watches('the order: clients as they came, watches as they were set', () => {
  const { dom0, watcher } = cast();
  watcher.watch('/a', '2');
  watcher.watch('/', '1');
  watcher.watch('/a/b', '0');
  dom0.write('/a/b', '');
  assert.equal(watcher.events(), ['/a/b 2', '/a/b 1', '/a/b 0']);
});

watches('the writer hears itself', () => {
  const { dom0 } = cast();
  dom0.watch('/a');
  dom0.write('/a', '1');
  assert.equal(dom0.events(), ['/a t']);
});

watches('a removed tree, without a transaction: children first', () => {
  const { dom0, watcher } = cast();
  for (const path of ['/d/a/x', '/d/b']) dom0.write(path, '');
  for (const path of ['/d/b', '/d', '/d/a/x', '/d/a']) watcher.watch(path, path);
  dom0.rm('/d');
  assert.equal(watcher.events(), ['/d/a/x /d/a/x', '/d/a /d/a', '/d/b /d/b', '/d /d']);
});

watches('a domain hears of what it may read, could read, or may read above', () => {
  const { dom0, guest } = cast();
  guest.watch('/d');
  dom0.write('/d/x', '1');
  assert.equal(guest.events(), []);
  dom0.perms('/d/x', 'n0', 'r3');
  assert.equal(guest.events(), ['/d/x t'], 'it may from now on');
  dom0.write('/d/x', '2');
  assert.equal(guest.events(), ['/d/x t']);
  dom0.perms('/d/x', 'n0');
  assert.equal(guest.events(), ['/d/x t'], 'it could until now');
  dom0.write('/d/x', '3');
  assert.equal(guest.events(), []);
  dom0.perms('/d', 'r0');
  guest.events();
  dom0.write('/d/x', '4');
  assert.equal(guest.events(), ['/d/x t'], 'the node above');
  dom0.perms('/d', 'n0');
  guest.events();
  dom0.perms('/d/x', 'r0');
  guest.events();
  dom0.rm('/d/x');
  assert.equal(guest.events(), ['/d/x t'], 'the last it sees of it');
});

watches('the same in a transaction', () => {
  const { dom0, guest } = cast();
  dom0.write('/d/x', '1');
  dom0.write('/d/y', '1');
  dom0.perms('/d/x', 'r0');
  guest.watch('/d');
  const id = dom0.start();
  dom0.rm('/d/x', id);
  dom0.rm('/d/y', id);
  dom0.end(id);
  assert.equal(guest.events(), ['/d/x t']);
});

watches('an event that waits is not queued again; @ events are', () => {
  const { store, dom0, watcher } = cast();
  watcher.watch('/a');
  watcher.watch('/a', 'u');
  watcher.watch('@introduceDomain');
  for (let i = 0; i < 3; i++) dom0.write('/a', String(i));
  dom0.write('/a/b', '');
  dom0.write('/a', '');
  store.introduce(4, 1, 1);
  store.introduce(5, 1, 1);
  assert.equal(watcher.events(), ['/a t', '/a u', '/a/b t', '/a/b u', '@introduceDomain t', '@introduceDomain t']);
  dom0.write('/a', '');
  assert.equal(watcher.events(), ['/a t', '/a u']);
});

watches('an event that is too long is left out', () => {
  const { dom0, watcher } = cast();
  const path = `/${'p'.repeat(3000)}`;
  assert.is(watcher.ask(TYPE.WATCH, `/|${'t'.repeat(1094)}|`), 'OK|');
  watcher.events();
  dom0.write(path, '');
  assert.is(watcher.events().length, 0);
  dom0.write(path.slice(1, 3000), '');
  assert.is(watcher.events().length, 0);
  dom0.write(path.slice(0, 3000), '');
  assert.is(watcher.events().length, 1, '3000 and 1094 and two NULs are 4096');
});

watches('UNWATCH, RESET_WATCHES and the end of the connection', () => {
  const { store, dom0, watcher } = cast();
  watcher.watch('/a');
  watcher.watch('/a', 'u');
  assert.is(watcher.ask(TYPE.UNWATCH, '/a|u|'), 'OK|');
  assert.is(watcher.ask(TYPE.UNWATCH, '/a|u|'), '!ENOENT');
  dom0.write('/a', '');
  assert.equal(watcher.events(), ['/a t']);
  assert.is(watcher.ask(TYPE.RESET_WATCHES, '|'), 'OK|');
  dom0.write('/a', '');
  assert.equal(watcher.events(), []);
  watcher.watch('/a');
  store.disconnect(watcher.connection);
  dom0.write('/a', '');
  assert.equal(watcher.events(), []);
});

watches('@introduceDomain and @releaseDomain', () => {
  const { store, dom0, watcher } = cast();
  watcher.watch('@introduceDomain', 'in');
  watcher.watch('@releaseDomain', 'out');
  const steps: ReadonlyArray<readonly [string, () => unknown, readonly string[]]> = [
    ['a new domain', () => dom0.ask(TYPE.INTRODUCE, '7|1|1|'), ['@introduceDomain in']],
    ['a known one', () => dom0.ask(TYPE.INTRODUCE, '7|1|2|'), []],
    ['it stops', () => store.shutdown(7), ['@releaseDomain out']],
    ['told once', () => store.shutdown(7), []],
    ['RESUME', () => dom0.ask(TYPE.RESUME, '7|'), []],
    ['it stops again', () => store.shutdown(7), ['@releaseDomain out']],
    ['RELEASE', () => dom0.ask(TYPE.RELEASE, '7|'), ['@releaseDomain out']],
    ['one that is not known stops', () => store.shutdown(8), []],
    ['one that is not known goes', () => store.release(8), []],
  ];
  for (const [what, act, events] of steps) {
    act();
    assert.equal(watcher.events(), events, what);
  }
});

watches('an event that a domain leaves lying is dropped after 20 s, unless it has begun to take it', () => {
  const { store, dom0, watcher, guest } = cast();
  for (const client of [guest, watcher]) client.watch('/local/domain/3/a');
  dom0.write('/local/domain/3/a', '');
  store.advance(10_000);
  dom0.write('/local/domain/3/a/b', '');
  store.advance(19_999);
  assert.is(guest.connection.output.bytes > 0, true);
  store.advance(20_000);
  assert.equal(guest.events(), ['/local/domain/3/a/b t']);
  assert.equal(watcher.events(), ['/local/domain/3/a t', '/local/domain/3/a/b t'], 'tools have all the time');
  dom0.write('/local/domain/3/a', '');
  const begun = guest.connection.output.take(5);
  store.advance(90_000);
  assert.is(begun.length + guest.raw().length, 16 + '/local/domain/3/a|t|'.length);
});

watches('who acts on an event may cause the next', () => {
  const store = new Xenstored();
  const [ping, pong] = [new XenstoreClient(store), new XenstoreClient(store)];
  const seen: string[] = [];
  ping.watch('/pong', 'p');
  pong.watch('/ping', 'q');
  ping.onEvent = ({ path }) => {
    seen.push(path);
    const value = Number(ping.readIfThere('/pong') ?? 0);
    if (value < 3) ping.write('/ping', String(value + 1));
  };
  pong.onEvent = ({ path }) => {
    seen.push(path);
    pong.write('/pong', pong.readIfThere('/ping') ?? '0');
  };
  pong.write('/pong', '0');
  assert.is(pong.read('/pong'), '3');
  assert.is(seen.filter((path) => path === '/ping').length >= 3, true);
  assert.equal([ping.takeEvents(), pong.takeEvents()], [[], []]);
});

watches.run();
