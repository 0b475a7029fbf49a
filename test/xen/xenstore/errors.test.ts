// Which requests are refused, by which name, and in which order a request is looked at.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Xenstored } from '../../../src/xen/xenstore/daemon';
import { RawClient, TYPE } from '../../helpers/xenstore';

const GUEST = 3;

function both(): { dom0: RawClient; guest: RawClient } {
  const store = new Xenstored({ host: { exists: (domid) => domid < 10, connect: () => undefined } });
  const dom0 = new RawClient(store);
  store.introduce(GUEST, 1, 1);
  dom0.write('/local/domain/3', '');
  dom0.perms('/local/domain/3', 'n3');
  return { dom0, guest: new RawClient(store, GUEST) };
}

const paths = suite('paths');
const A = 'a'.repeat(2000);

paths('what is a path, and what is none', () => {
  const { dom0 } = both();
  for (const path of ['/a', '/A-Z_a-z/0@9/x', 'relative', 'a/b', `/${'x'.repeat(3071)}`, 'x'.repeat(2048), '/a@b']) {
    assert.is(dom0.write(path, '1'), 'OK|', path.slice(0, 20));
    assert.is(dom0.read(path), '1');
  }
  assert.is(dom0.read('/local/domain/0/a/b'), '1');
  assert.is(dom0.read('/'), '');
  const wrong = [
    '', '//', '/a/', 'a/', '/a//b', '/a b', '/a.b', '/ä', '/a*', '/a\n', '/a:b', '@a', '@introduceDomain',
    `/${'x'.repeat(3072)}`, 'x'.repeat(2049),
  ];
  for (const path of wrong) {
    for (const type of [TYPE.READ, TYPE.DIRECTORY, TYPE.MKDIR, TYPE.RM, TYPE.WRITE]) {
      assert.is(dom0.ask(type, `${path}|`), '!EINVAL', `${type} ${path.slice(0, 20)}`);
    }
  }
  for (const path of wrong.filter((one) => !one.startsWith('@'))) assert.is(dom0.perms(path, 'n0'), '!EINVAL');
});

paths('a domain\'s own prefix does not count against path-max', () => {
  const { guest } = both();
  assert.is(guest.write(`/local/domain/3/${'x'.repeat(48)}/${'y'.repeat(1999)}`, '1'), 'OK|');
  assert.is(guest.write(`/local/domain/3/${'x'.repeat(49)}/${'y'.repeat(1999)}`, '1'), '!EINVAL');
  assert.is(guest.ask(TYPE.READ, `/${'x'.repeat(2048)}|`), '!EINVAL');
});

const errors = suite('errors');

errors('EINVAL: shapes', () => {
  const { dom0 } = both();
  const shapes: ReadonlyArray<readonly [number, readonly string[]]> = [
    [TYPE.DIRECTORY, ['', '/', '/|x', '/|/|']],
    [TYPE.READ, ['', '/', '/|/|', '/||']],
    [TYPE.GET_PERMS, ['', '/', '/|/|', '@other|']],
    [TYPE.WATCH, ['', '/|', '/|t', '/|t|1|', '/|t|junk', '/a/|t|', `@${A}${A}|t|`]],
    [TYPE.UNWATCH, ['', '/|', '/|t|x|']],
    [TYPE.END, ['', 'T', 'X|', 'T|F|']],
    [TYPE.INTRODUCE, ['', '3|1|', '3|1|0|', 'x|1|1|', '3|x|1|', '3|1|x|', '-1|1|1|', '32752|1|1|', '3|1|1']],
    [TYPE.RELEASE, ['', '3', 'x|', '0|', '3|4|', '65536|']],
    [TYPE.GET_DOMAIN_PATH, ['', '1', 'x|', '65536|', '-1|']],
    [TYPE.WRITE, ['', '/a']],
    [TYPE.MKDIR, ['', '/a', '/a|/b|']],
    [TYPE.RM, ['', '/a', '/a|/b|', '/|']],
    [TYPE.SET_PERMS, ['', '/|', '/|n0', '/|x0|', '/|n|', '/|nx|', '/|n-1|', '/|n65536|', '/|n0 |', '@other|n0|']],
    [TYPE.IS_DOMAIN_INTRODUCED, ['', '3', 'x|']],
    [TYPE.RESUME, ['', '0|', 'x|']],
    [TYPE.SET_TARGET, ['', '3|', 'x|3|', '3|x|']],
    [TYPE.DIRECTORY_PART, ['', '/|', '/|x|', '/|0', '/|-1|', '/|0|0|']],
    [TYPE.CONTROL, ['', 'what|', 'quota|set|nodes|', 'quota|set|nodes|0|', 'quota|set|no-such|1|', 'quota|x|']],
  ];
  for (const [type, payloads] of shapes) {
    for (const payload of payloads) assert.is(dom0.ask(type, payload), '!EINVAL', `${type} ${payload.slice(0, 30)}`);
  }
  assert.is(dom0.ask(TYPE.END, 'maybe|', dom0.start()), '!EINVAL');
});

errors('ENOSYS: types that no client sends in 4.17', () => {
  const { dom0, guest } = both();
  for (const type of [15, 16, 20, 23, 24, 25, 26, 27, 0xffff, 0xffffffff]) {
    assert.is(dom0.ask(type, '/|'), '!ENOSYS', String(type));
    assert.is(guest.ask(type, '/|', 99), '!ENOSYS');
  }
});

errors('EACCES: what only a privileged client may ask, whatever its shape or transaction', () => {
  const { guest } = both();
  const types = [TYPE.CONTROL, TYPE.INTRODUCE, TYPE.RELEASE, TYPE.IS_DOMAIN_INTRODUCED, TYPE.RESUME, TYPE.SET_TARGET];
  for (const type of types) {
    assert.is(guest.ask(type, '3|'), '!EACCES', String(type));
    assert.is(guest.ask(type, '', 99), '!EACCES', String(type));
  }
});

errors('ENOENT: an unknown transaction comes before shape and path; WATCH and UNWATCH do not look', () => {
  const { dom0 } = both();
  for (const type of [TYPE.READ, TYPE.WRITE, TYPE.END, TYPE.START, TYPE.RESET_WATCHES, TYPE.CONTROL]) {
    assert.is(dom0.ask(type, '', 99), '!ENOENT', String(type));
  }
  assert.is(dom0.ask(TYPE.END, 'T|'), '!ENOENT', 'no transaction at all');
  assert.is(dom0.ask(TYPE.WATCH, '/|t|', 99), 'OK|');
  assert.is(dom0.ask(TYPE.UNWATCH, '/|t|', 99), 'OK|');
});

errors('ENOENT: nodes, watches, domains', () => {
  const { dom0 } = both();
  for (const type of [TYPE.READ, TYPE.DIRECTORY, TYPE.GET_PERMS]) assert.is(dom0.ask(type, '/no|'), '!ENOENT');
  assert.is(dom0.ask(TYPE.DIRECTORY_PART, '/no|0|'), '!ENOENT');
  assert.is(dom0.perms('/no', 'n0'), '!ENOENT');
  assert.is(dom0.rm('/no/child'), '!ENOENT');
  assert.is(dom0.rm('/no'), 'OK|', 'the parent is there, and the node as gone as can be');
  assert.is(dom0.ask(TYPE.UNWATCH, '/|t|'), '!ENOENT');
  assert.is(dom0.perms('/', 'n50'), '!ENOENT', 'no such owner');
  for (const [type, payload] of [
    [TYPE.RELEASE, '4|'], [TYPE.RESUME, '4|'], [TYPE.SET_TARGET, '3|4|'], [TYPE.SET_TARGET, '4|3|'],
    [TYPE.INTRODUCE, '50|1|1|'],
  ] as const) assert.is(dom0.ask(type, payload), '!ENOENT', `${type} ${payload}`);
});

errors('EEXIST, EBUSY, EPERM', () => {
  const { dom0, guest } = both();
  assert.is(dom0.watch('/a'), 'OK|');
  assert.is(dom0.watch('/a', 'other'), 'OK|');
  assert.is(dom0.ask(TYPE.WATCH, '/a|t|'), '!EEXIST');
  assert.is(dom0.watch('x'), 'OK|');
  assert.is(dom0.ask(TYPE.WATCH, '/local/domain/0/x|t|'), '!EEXIST', 'the same node by another name');
  assert.is(dom0.ask(TYPE.START, '|', dom0.start()), '!EBUSY');
  guest.write('mine', '1');
  assert.is(guest.perms('mine', 'n0'), '!EPERM');
  assert.is(guest.perms('mine', 'b3', 'r0'), 'OK|');
});

errors('E2BIG: more children, or permissions, than a message holds', () => {
  const { dom0 } = both();
  for (let i = 0; i < 82; i++) dom0.write(`/many/${String(i).padStart(49, '0')}`, '');
  // 81 names of 50 bytes are 4050, 82 are 4100.
  assert.is(dom0.ask(TYPE.DIRECTORY, '/many|'), '!E2BIG');
  dom0.rm(`/many/${'81'.padStart(49, '0')}`);
  assert.is(dom0.ask(TYPE.DIRECTORY, '/many|').length, 4050);
  dom0.write('/p', '');
  assert.is(dom0.perms('/p', ...Array.from({ length: 1300 }, () => 'n0')), 'OK|');
  assert.is(dom0.ask(TYPE.GET_PERMS, '/p|'), 'n0|'.repeat(1300));
});

errors('other answers', () => {
  const { dom0, guest } = both();
  assert.is(dom0.ask(TYPE.IS_DOMAIN_INTRODUCED, '3|'), 'T|');
  assert.is(dom0.ask(TYPE.IS_DOMAIN_INTRODUCED, '0|'), 'T|');
  assert.is(dom0.ask(TYPE.IS_DOMAIN_INTRODUCED, '4|'), 'F|');
  assert.is(dom0.ask(TYPE.IS_DOMAIN_INTRODUCED, '32752|'), 'T|', 'DOMID_SELF');
  assert.is(guest.ask(TYPE.GET_DOMAIN_PATH, '65535|'), '/local/domain/65535|');
  assert.is(dom0.ask(TYPE.CONTROL, 'check|'), 'OK|');
  assert.match(dom0.ask(TYPE.CONTROL, 'help|'), /^check: /);
  assert.match(dom0.ask(TYPE.CONTROL, 'quota|'), /\nnodes +: +1000\nwatches +: +128\n/);
  assert.match(dom0.ask(TYPE.CONTROL, 'quota|3|'), /^Domain 3:\nnodes +: +1\n/);
  assert.is(dom0.ask(TYPE.CONTROL, 'quota|set|nodes|7|'), 'OK|');
  assert.is(dom0.store.state.quotas.nodes, 7);
});

const listing = suite('DIRECTORY_PART');

listing('whole names, the generation in front, one NUL more behind the last', () => {
  const { dom0 } = both();
  const names = Array.from({ length: 700 }, (_, i) => `child-${i}`);
  for (const name of names) dom0.write(`/many/${name}`, '');
  assert.is(dom0.ask(TYPE.DIRECTORY, '/many|'), '!E2BIG');
  let list = '';
  let chunks = 0;
  const generations = new Set<string>();
  for (;;) {
    const answer = dom0.ask(TYPE.DIRECTORY_PART, `/many|${list.length}|`);
    assert.ok(answer.length <= 4096);
    const start = answer.indexOf('|') + 1;
    generations.add(answer.slice(0, start));
    const part = answer.slice(start);
    chunks++;
    assert.ok(part.endsWith('|'));
    list += part;
    if (part.endsWith('||')) break;
  }
  assert.is(list, `${names.join('|')}||`);
  assert.is(chunks, 2);
  assert.is(generations.size, 1);
  const [generation] = [...generations] as [string];
  assert.is(dom0.ask(TYPE.DIRECTORY_PART, '/many|99999|'), `${generation}|`);
  dom0.write('/many/more', '');
  assert.is.not(dom0.ask(TYPE.DIRECTORY_PART, '/many|99999|'), `${generation}|`);
  assert.match(dom0.ask(TYPE.DIRECTORY_PART, '/tool/xenstored|0|'), /^\d+\|\|$/);
});

for (const one of [paths, errors, listing]) one.run();
