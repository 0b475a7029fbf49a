// What is asked of a store, request by request: who writes what, in which transaction, and how that ends.
import type { Xenstored } from '../../src/xen/xenstore/daemon';

/** Requests that change something, by their number on the wire (public/io/xs_wire.h). */
const NAMES: Readonly<Record<number, string>> = { 6: 'start', 7: 'end', 11: 'write', 12: 'mkdir', 13: 'rm', 14: 'setperms' };
const END = 7;

/** Lines of requests for changes, `write path = value`, of all clients in the order in which they come. */
export class StoreLedger {
  lines: string[] = [];

  constructor(store: Xenstored) {
    const { receive } = store;
    const lines = (): string[] => this.lines;
    store.receive = function spied(connection, bytes) {
      const { byteOffset, byteLength, buffer } = bytes;
      const header = new DataView(buffer, byteOffset, byteLength);
      const type = header.getUint32(0, true);
      const name = NAMES[type];
      const parts = new TextDecoder().decode(bytes.subarray(16)).split('\0');
      if (name !== undefined) {
        const text = type === 11 ? `${parts[0]} = ${parts[1]}` : type === 14 ? `${parts[0]} ${parts.slice(1, -1).join(',')}` : parts[0];
        lines().push(`${header.getUint32(8, true) !== 0 && type !== END ? '  ' : ''}${connection.domid} ${name} ${text}`.trimEnd());
      }
      receive.call(this, connection, bytes);
    };
  }

  take(): string[] {
    return this.lines.splice(0);
  }
}
