// Who may do what: every letter, owner and entry against every operation.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Xenstored } from '../../../src/xen/xenstore/daemon';
import { RawClient, TYPE } from '../../helpers/xenstore';

interface Cast {
  store: Xenstored;
  dom0: RawClient;
  /** Domains 1 to 4. */
  guests: readonly RawClient[];
}

function cast(): Cast {
  const store = new Xenstored({ host: { exists: (domid) => domid < 10, connect: () => undefined } });
  const guests = [1, 2, 3, 4].map((domid) => {
    store.introduce(domid, 1, 1);
    return new RawClient(store, domid);
  });
  return { store, dom0: new RawClient(store), guests };
}

const matrix = suite('permissions matrix');

for (const letter of ['n', 'r', 'w', 'b'] as const) {
  const reads = letter === 'r' || letter === 'b';
  const writes = letter === 'w' || letter === 'b';
  const expectFor = (who: string, client: RawClient, dom0: RawClient, rights: readonly boolean[]): void => {
    const [canRead, canWrite, owns] = rights;
    const yes = (allowed: boolean | undefined, answer: string): string => (allowed ? answer : '!EACCES');
    assert.is(client.read('/d/x'), yes(canRead, 'v'), `${who} read`);
    assert.is(client.ask(TYPE.DIRECTORY, '/d/x|'), yes(canRead, ''), `${who} directory`);
    assert.is(client.ask(TYPE.DIRECTORY_PART, '/d/x|0|').startsWith('!'), !canRead, `${who} directory part`);
    assert.is(client.ask(TYPE.GET_PERMS, '/d/x|').startsWith('!'), !canRead, `${who} get perms`);
    assert.is(client.write('/d/x', 'v'), yes(canWrite, 'OK|'), `${who} write`);
    assert.is(client.ask(TYPE.MKDIR, '/d/x|'), yes(canWrite, 'OK|'), `${who} mkdir`);
    const kept = dom0.ask(TYPE.GET_PERMS, '/d/x|').slice(0, -1).split('|');
    assert.is(client.perms('/d/x', ...kept), yes(owns && canWrite, 'OK|'), `${who} set perms`);
    assert.is(client.rm('/d/x'), yes(canWrite, 'OK|'), `${who} rm`);
    dom0.write('/d/x', 'v');
    dom0.perms('/d/x', ...kept);
  };

  matrix(`${letter} for all others, and as an entry`, () => {
    const { dom0, guests } = cast();
    const [owner, named, other] = guests as [RawClient, RawClient, RawClient, RawClient];
    dom0.write('/d/x', 'v');
    dom0.perms('/d/x', `${letter}1`);
    expectFor('owner', owner, dom0, [true, true, true]);
    expectFor('other', other, dom0, [reads, writes, false]);
    expectFor('privileged', dom0, dom0, [true, true, true]);
    dom0.perms('/d/x', 'n1', `${letter}2`);
    expectFor('named', named, dom0, [reads, writes, false]);
    expectFor('other', other, dom0, [false, false, false]);
    dom0.perms('/d/x', 'b1', `${letter}2`, 'b2');
    expectFor('named twice', named, dom0, [reads, writes, false]);
  });
}

const rules = suite('permission rules');

rules('a new node has its parent\'s list, with the domain that made it as owner', () => {
  const { dom0, guests: [one, two] } = cast() as { dom0: RawClient; guests: [RawClient, RawClient] } & Cast;
  dom0.write('/d', '');
  dom0.perms('/d', 'w1', 'b2', 'r3');
  two.write('/d/a/b/c', '1');
  for (const path of ['/d/a', '/d/a/b', '/d/a/b/c']) assert.is(dom0.ask(TYPE.GET_PERMS, `${path}|`), 'w2|b2|r3|', path);
  dom0.write('/d/by-dom0', '1');
  assert.is(dom0.ask(TYPE.GET_PERMS, '/d/by-dom0|'), 'w1|b2|r3|');
  one.ask(TYPE.MKDIR, '/d/dir|');
  assert.is(dom0.ask(TYPE.GET_PERMS, '/d/dir|'), 'w1|b2|r3|');
});

rules('what is missing is asked of the nearest node above', () => {
  const { dom0, guests } = cast();
  const guest = guests[0] as RawClient;
  dom0.write('/open/closed/x', '1');
  dom0.perms('/open', 'r0');
  dom0.perms('/open/closed', 'n0');
  dom0.write('/drop', '');
  dom0.perms('/drop', 'w0');
  assert.is(guest.read('/open/none/at/all'), '!ENOENT');
  assert.is(guest.read('/open/closed/none'), '!EACCES', 'not even that it is not there');
  assert.is(guest.rm('/open/none'), '!EACCES');
  assert.is(guest.write('/open/none', '1'), '!EACCES');
  assert.is(guest.read('/drop/none'), '!EACCES', 'may write there, not look');
  assert.is(guest.rm('/drop/none'), 'OK|');
  assert.is(guest.rm('/drop/none/below'), '!ENOENT');
  assert.is(guest.write('/drop/mine', '1'), 'OK|');
  assert.is(guest.read('/drop/mine'), '1');
});

rules('a node can be open below a closed one', () => {
  const { dom0, guests } = cast();
  dom0.write('/closed/open', 'v');
  dom0.perms('/closed/open', 'r0');
  assert.is((guests[0] as RawClient).read('/closed/open'), 'v');
  assert.is((guests[0] as RawClient).read('/closed'), '!EACCES');
});

rules('only the right to the node itself is needed to remove all below it', () => {
  const { dom0, guests } = cast();
  dom0.write('/d/deep/er', '1');
  dom0.perms('/d', 'b0');
  assert.is((guests[0] as RawClient).rm('/d'), 'OK|');
  assert.is(dom0.read('/d/deep/er'), '!ENOENT');
});

rules('a domain with a target may do what the target may', () => {
  const { store, dom0, guests } = cast();
  dom0.write('/d/own', '1');
  dom0.perms('/d/own', 'n2');
  dom0.write('/d/entry', '1');
  dom0.perms('/d/entry', 'n0', 'r2');
  // The rights are those of the connection that was introduced.
  const { connection } = store.state.domains.get(1) as { connection: RawClient['connection'] };
  const stub = guests[0] as RawClient;
  Object.defineProperty(stub, 'connection', { value: connection });
  assert.is(stub.read('/d/own'), '!EACCES');
  assert.is(dom0.ask(TYPE.SET_TARGET, '1|2|'), 'OK|');
  assert.is(stub.write('/d/own', '2'), 'OK|');
  assert.is(stub.perms('/d/own', 'r2'), 'OK|', 'as the owner');
  assert.is(stub.read('/d/entry'), '1');
  assert.is(stub.write('/d/entry', '2'), '!EACCES');
  assert.is(stub.ask(TYPE.CONTROL, 'help|'), '!EACCES', 'not privileged for that');
});

rules('an entry for a domain that is not there gives nothing to the one that comes', () => {
  const present = new Set([0, 1, 2]);
  const store = new Xenstored({ host: { exists: (domid) => present.has(domid), connect: () => undefined } });
  const dom0 = new RawClient(store);
  dom0.write('/d', 'v');
  assert.is(dom0.perms('/d', 'n0', 'r5'), 'OK|');
  assert.is(dom0.ask(TYPE.GET_PERMS, '/d|'), 'n0|r5|');
  present.add(5);
  store.introduce(5, 1, 1);
  const guest = new RawClient(store, 5);
  assert.is(guest.read('/d'), '!EACCES');
  dom0.perms('/d', 'n0', 'r5');
  assert.is(guest.read('/d'), 'v');
});

rules('events have permissions, too', () => {
  const { store, dom0, guests: [guest, other] } = cast() as { guests: [RawClient, RawClient] } & Cast;
  guest.watch('@introduceDomain');
  guest.watch('@releaseDomain');
  store.introduce(7, 1, 1);
  assert.equal(guest.events(), []);
  assert.is(guest.perms('@introduceDomain', 'n1'), '!EACCES');
  assert.is(guest.ask(TYPE.GET_PERMS, '@introduceDomain|'), '!EACCES');
  assert.is(dom0.ask(TYPE.GET_PERMS, '@introduceDomain|'), 'n0|');
  assert.is(dom0.perms('@introduceDomain', 'n0', 'r1'), 'OK|');
  assert.is(guest.ask(TYPE.GET_PERMS, '@introduceDomain|'), 'n0|r1|');
  other.watch('@introduceDomain');
  store.introduce(8, 1, 1);
  store.release(8);
  assert.equal(guest.events(), ['@introduceDomain t']);
  assert.equal(other.events(), []);
});

for (const one of [matrix, rules]) one.run();
