// Bytes on the wire. The vectors are what stock clients of 4.17 send and accept, restated.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesOf, textOf } from '../../../src/xen/xenstore/bytes';
import { Xenstored } from '../../../src/xen/xenstore/daemon';
import { ERROR_NAMES, XenstoreProtocolError } from '../../../src/xen/xenstore/errors';
import { decodeStrings, encodeMessage, MessageReader, XS } from '../../../src/xen/xenstore/wire';
import { hex, RawClient, toHex, TYPE } from '../../helpers/xenstore';

const header = (words: string, payload = ''): Uint8Array => hex(words + toHex(bytesOf(payload)));

const wire = suite('wire');

wire('types and error names', () => {
  const { WATCH_EVENT, ERROR, START, END, ...same } = TYPE;
  for (const [name, type] of Object.entries(same)) assert.is(XS[name as keyof typeof same], type, name);
  assert.equal([XS.TRANSACTION_START, XS.TRANSACTION_END, XS.WATCH_EVENT, XS.ERROR], [START, END, WATCH_EVENT, ERROR]);
  assert.equal([...ERROR_NAMES], [
    'EINVAL', 'EACCES', 'EEXIST', 'EISDIR', 'ENOENT', 'ENOMEM', 'ENOSPC', 'EIO', 'ENOTEMPTY', 'ENOSYS', 'EROFS',
    'EBUSY', 'EAGAIN', 'EISCONN', 'E2BIG', 'EPERM',
  ]);
});

const EXCHANGES: ReadonlyArray<readonly [string, Uint8Array, Uint8Array]> = [
  ['read', hex('02000000 00000000 00000000 15000000 2f6c6f63616c2f646f6d61696e2f302f6e616d6500'),
    header('02000000 00000000 00000000 08000000', 'Domain-0')],
  ['read by a relative path, with a request id', header('02000000 05000000 00000000 05000000', 'name\0'),
    header('02000000 05000000 00000000 08000000', 'Domain-0')],
  ['read what is missing', header('02000000 00000000 00000000 0f000000', '/local/missing\0'),
    header('10000000 00000000 00000000 07000000', 'ENOENT\0')],
  ['directory', header('01000000 00000000 00000000 02000000', '/\0'),
    header('01000000 00000000 00000000 0b000000', 'tool\0local\0')],
  ['directory of a leaf', header('01000000 00000000 00000000 10000000', '/tool/xenstored\0'),
    header('01000000 00000000 00000000 00000000')],
  ['start', header('06000000 00000000 00000000 01000000', '\0'),
    header('06000000 00000000 00000000 02000000', '1\0')],
  ['write inside', header('0b000000 00000000 01000000 06000000', '/p/a\x001'),
    header('0b000000 00000000 01000000 03000000', 'OK\0')],
  ['end', header('07000000 00000000 01000000 02000000', 'T\0'),
    header('07000000 00000000 01000000 03000000', 'OK\0')],
  ['the id is used up', header('07000000 00000000 01000000 02000000', 'T\0'),
    header('10000000 00000000 01000000 07000000', 'ENOENT\0')],
  ['watch', header('04000000 00000000 00000000 0c000000', '/test\0/test\0'),
    hex(toHex(header('04000000 00000000 00000000 03000000', 'OK\0'))
      + toHex(header('0f000000 00000000 00000000 0c000000', '/test\0/test\0')))],
  ['chmod', header('0e000000 00000000 00000000 0e000000', '/p/a\0n0\0r1\0b2\0'),
    header('0e000000 00000000 00000000 03000000', 'OK\0')],
  ['its permissions', header('03000000 00000000 00000000 05000000', '/p/a\0'),
    header('03000000 00000000 00000000 09000000', 'n0\0r1\0b2\0')],
  ['the path of a domain', header('0a000000 00000000 00000000 02000000', '7\0'),
    header('0a000000 00000000 00000000 10000000', '/local/domain/7\0')],
];

function prepared(): RawClient {
  const client = new RawClient(new Xenstored());
  assert.is(client.write('/local/domain/0/name', 'Domain-0'), 'OK|');
  return client;
}

wire('the bytes of stock clients, and what they expect', () => {
  const client = prepared();
  for (const [what, request, reply] of EXCHANGES) {
    client.store.receive(client.connection, request);
    assert.is(toHex(client.raw()), toHex(reply), what);
  }
  const other = new RawClient(client.store);
  other.write('/test/a', '1');
  assert.is(toHex(client.raw()), toHex(header('0f000000 00000000 00000000 0e000000', '/test/a\0/test\0')));
});

wire('cut anywhere, and all in one chunk', () => {
  const all = hex(EXCHANGES.map(([, request]) => toHex(request)).join(''));
  const expected = EXCHANGES.map(([, , reply]) => toHex(reply)).join('');
  for (const size of [1, 2, 3, 7, 15, 16, 17, 31, all.length]) {
    const client = prepared();
    for (let at = 0; at < all.length; at += size) client.store.receive(client.connection, all.subarray(at, at + size));
    assert.is(toHex(client.raw()), expected, `pieces of ${size}`);
  }
});

wire('4096 bytes are taken, one more ends this connection and no other', () => {
  const store = new Xenstored();
  const other = new RawClient(store);
  const client = new RawClient(store);
  const value = 'v'.repeat(4093);
  assert.is(client.write('/v', value), 'OK|');
  assert.is(client.read('/v'), value);
  let ended = false;
  client.connection.onEnd = () => { ended = true; };
  store.receive(client.connection, header('02000000 00000000 00000000 01100000'));
  assert.ok(ended);
  assert.is(client.raw().length, 0);
  store.receive(client.connection, header('02000000 00000000 00000000 02000000', '/\0'));
  assert.is(client.raw().length, 0, 'nothing is heard any more');
  assert.is(other.read('/v'), value);
});

wire('a client that dies in a message takes its watches and transactions with it', () => {
  const store = new Xenstored();
  const [one, other] = [new RawClient(store), new RawClient(store)];
  one.watch('/');
  one.write('/half', 'no', one.start());
  store.receive(one.connection, header('0b000000 00000000 00000000 ff000000', '/half'));
  store.disconnect(one.connection);
  assert.is(other.read('/half'), '!ENOENT');
  assert.is(other.write('/x', '1'), 'OK|');
  assert.is(one.raw().length, 0);
});

wire('the caller\'s buffer may change when the bytes are handed over', () => {
  const client = prepared();
  const bytes = header('02000000 00000000 00000000 15000000', '/local/domain/0/name\0');
  const first = bytes.slice(0, 20);
  client.store.receive(client.connection, first);
  first.fill(0xff);
  client.store.receive(client.connection, bytes.subarray(20));
  assert.is(textOf(client.raw()).slice(16), 'Domain-0');
});

wire('what a reader is still missing', () => {
  const reader = new MessageReader();
  assert.is(reader.missing, 16);
  const bytes = encodeMessage({ type: 2, requestId: 1, transactionId: 0, payload: bytesOf('/a\0') });
  reader.push(bytes.subarray(0, 10));
  assert.is(reader.missing, 6);
  assert.is(reader.next(), undefined);
  reader.push(bytes.subarray(10, 16));
  assert.is(reader.next(), undefined);
  assert.is(reader.missing, 3);
  reader.push(bytes.subarray(16));
  assert.equal(reader.next()?.payload, bytesOf('/a\0'));
  assert.is(reader.rest.length, 0);
  reader.push(hex('00000000 00000000 00000000 ffffffff'));
  assert.throws(() => reader.next(), (error: unknown) => error instanceof XenstoreProtocolError);
});

wire('strings', () => {
  assert.equal(decodeStrings(bytesOf('a\0\0b\0')), ['a', '', 'b']);
  assert.equal(decodeStrings(bytesOf('')), []);
  assert.is(decodeStrings(bytesOf('a\0b')), undefined);
  const all = Uint8Array.from({ length: 9000 }, (_, at) => at & 0xff);
  assert.equal(bytesOf(textOf(all)), all);
});

wire.run();
