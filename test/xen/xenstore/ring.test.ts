// The shared page: struct xenstore_domain_interface, and a domain that may write anything into it at any time.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesOf } from '../../../src/xen/xenstore/bytes';
import { countStore } from '../../../src/xen/xenstore/dump';
import { encodeMessage } from '../../../src/xen/xenstore/wire';
import { hex, PAGE, RawClient, ringStore, TYPE } from '../../helpers/xenstore';
import type { RingGuest } from '../../helpers/xenstore';

const ring = suite('ring page');

ring('a read, byte for byte', () => {
  const { store, guest } = ringStore();
  const dom0 = new RawClient(store);
  dom0.write('/d', 'v\0\xff');
  dom0.perms('/d', 'r0');
  guest.put(hex('02000000 2a000000 00000000 03000000 2f6400'));
  store.signal(3);
  assert.equal(guest.page.slice(1024, 1024 + 19), hex('02000000 2a000000 00000000 03000000 7600ff'));
  assert.equal([PAGE.reqCons, PAGE.reqProd, PAGE.rspCons, PAGE.rspProd].map((at) => guest.word(at)), [19, 19, 0, 19]);
  assert.is(guest.signals, 1);
  assert.equal([guest.word(PAGE.features), guest.word(PAGE.connection), guest.word(PAGE.error)], [2, 0, 0]);
});

ring('a signal for what was taken only, and none for nothing', () => {
  const { store, guest } = ringStore();
  store.signal(3);
  assert.is(guest.signals, 0);
  guest.put(hex('02000000'));
  store.signal(3);
  assert.is(guest.signals, 1);
  assert.is(guest.word(PAGE.reqCons), 4);
});

ring('messages wrap at any byte, and indices at 2^32', () => {
  for (const start of [1, 1000, 1008, 1015, 1023, 0xfffffff0, 0xffffffff]) {
    const { store, guest } = ringStore();
    for (const at of [PAGE.reqCons, PAGE.reqProd, PAGE.rspCons, PAGE.rspProd]) guest.set(at, start);
    guest.page.fill(0xee, 0, 2048);
    for (let id = 0; id < 100; id++) {
      const answers = guest.talk(store, 3, TYPE.GET_DOMAIN_PATH, `${id}|`, id);
      assert.equal(answers, [`10 /local/domain/${id}|`], `${start} ${id}`);
    }
  }
});

ring('messages longer than the ring go through in pieces', () => {
  const { store, guest } = ringStore(0);
  const value = Array.from({ length: 4000 }, (_, at) => String.fromCharCode(65 + at % 26)).join('');
  assert.equal(guest.talk(store, 0, TYPE.WRITE, `/long|${value}`), ['11 OK|']);
  assert.equal(guest.talk(store, 0, TYPE.READ, '/long|'), [`2 ${value}`]);
});

ring('one byte at a time', () => {
  const { store, guest } = ringStore();
  const payload = bytesOf('3\0');
  const request = encodeMessage({ type: TYPE.GET_DOMAIN_PATH, requestId: 5, transactionId: 0, payload });
  for (const byte of request) {
    assert.is(guest.word(PAGE.rspProd), 0);
    guest.put(Uint8Array.of(byte));
    store.signal(3);
  }
  assert.is(guest.get().length, 16 + 16);
});

ring('events come without being asked for', () => {
  const { store, guest } = ringStore();
  const dom0 = new RawClient(store);
  dom0.write('/local/domain/3', '');
  dom0.perms('/local/domain/3', 'n3');
  guest.talk(store, 3, TYPE.WATCH, 'device|t|');
  guest.signals = 0;
  dom0.write('/local/domain/3/device/pci/0', '');
  assert.is(guest.signals, 1);
  guest.reader.push(guest.get());
  assert.equal(guest.reader.next()?.payload, bytesOf('device/pci/0\0t\0'));
});

const hostile = suite('hostile page');

interface Attack {
  readonly what: string;
  readonly act: (guest: RingGuest) => void;
  readonly error: number;
}

const HEADER = hex('02000000 00000000 00000000 00000000');
const ATTACKS: readonly Attack[] = [
  { what: 'producer too far ahead', act: (g) => g.set(PAGE.reqProd, g.word(PAGE.reqCons) + 1025), error: 2 },
  { what: 'producer behind', act: (g) => g.set(PAGE.reqProd, g.word(PAGE.reqCons) - 1), error: 2 },
  { what: 'consumer of the store moved', act: (g) => g.set(PAGE.reqCons, 0x80000000), error: 2 },
  {
    what: 'reply consumer ahead',
    act: (g) => { g.set(PAGE.rspCons, g.word(PAGE.rspProd) + 1); g.put(HEADER); },
    error: 2,
  },
  { what: 'reply producer moved', act: (g) => { g.set(PAGE.rspProd, 5000); g.put(HEADER); }, error: 2 },
  { what: 'a message that is too long', act: (g) => { g.put(hex('02000000 00000000 00000000 01100000')); }, error: 3 },
  { what: 'a message of four GiB', act: (g) => { g.put(hex('02000000 00000000 00000000 ffffffff')); }, error: 3 },
];

for (const { what, act, error } of ATTACKS) {
  hostile(`${what}: the connection ends, and no other is disturbed`, () => {
    const { store, guest } = ringStore();
    const dom0 = new RawClient(store);
    guest.talk(store, 3, TYPE.WATCH, '/tool|t|');
    guest.talk(store, 3, TYPE.START, '|');
    assert.is(guest.word(PAGE.error), 0);
    act(guest);
    store.signal(3);
    assert.is(guest.word(PAGE.error), error);
    assert.equal([countStore(store.state).watches, countStore(store.state).transactions], [0, 0]);
    guest.page.fill(0xff, 0, 2064);
    guest.signals = 0;
    store.signal(3);
    assert.is(dom0.write('/a', '1'), 'OK|');
    assert.is(guest.signals, 0, 'nothing is read and nothing written');
    assert.is(dom0.ask(TYPE.IS_DOMAIN_INTRODUCED, '3|'), 'T|', 'still known');
    assert.is(dom0.ask(TYPE.INTRODUCE, '3|1|1|'), 'OK|');
    assert.is(guest.word(PAGE.error), 0);
    assert.equal(guest.talk(store, 3, TYPE.GET_DOMAIN_PATH, '3|'), ['10 /local/domain/3|']);
  });
}

hostile('an index that changes after the check is not looked at again', () => {
  const { store, guest } = ringStore();
  const original = DataView.prototype.getUint32;
  const reads = new Map<number, number>();
  guest.put(encodeMessage({ type: TYPE.GET_DOMAIN_PATH, requestId: 0, transactionId: 0, payload: bytesOf('3\0') }));
  try {
    DataView.prototype.getUint32 = function getUint32(offset, littleEndian) {
      const value = original.call(this, offset, littleEndian);
      if (this.buffer === guest.page.buffer && offset === PAGE.reqProd) {
        reads.set(offset, (reads.get(offset) ?? 0) + 1);
        // At once after it has been read, it says something else.
        if (reads.get(offset) === 1) guest.view.setUint32(offset, value + 1025, true);
      }
      return value;
    };
    store.signal(3);
  } finally {
    DataView.prototype.getUint32 = original;
  }
  // The first look took the one message; the second, a turn later, found more than the ring can hold.
  assert.is(reads.get(PAGE.reqProd), 2);
  assert.is(guest.word(PAGE.error), 2);
});

hostile('random pages, by seed', () => {
  let state = 12345;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor(state / 65536) % below;
  };
  const { store, guest } = ringStore();
  const dom0 = new RawClient(store);
  dom0.write('/a', '1');
  let ended = 0;
  for (let turn = 0; turn < 2000; turn++) {
    const at = random(3) === 0 ? 2048 + 4 * random(8) : random(2080);
    for (let i = 0, count = random(64); i < count; i++) guest.page[(at + i) % 2080] = random(5) === 0 ? random(256) : 0;
    store.signal(3);
    if (guest.word(PAGE.error) === 2 || guest.word(PAGE.error) === 3) ended++;
    if (turn % 7 === 0) dom0.ask(TYPE.INTRODUCE, '3|1|1|');
    assert.is(dom0.read('/a'), '1');
  }
  assert.ok(ended > 100, String(ended));
});

for (const one of [ring, hostile]) one.run();
