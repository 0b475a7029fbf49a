// Registers and ports the way an emulator in JavaScript has them: closures for each page of a device, found in an
// array or a Map, and a table of handlers for the ports. Rights and counters are those of the engine: a page that the
// guest may not reach has no entry; a port has a bit.
export interface Handlers {
  read(off: number): number;
  write(off: number, value: number): void;
}

type Factory = (values: Uint32Array) => Handlers;

/**
 * Eight kinds of device. Closures from one source text share what V8 has learnt about it; eight kinds of device are
 * eight texts in a real emulator, so the text is compiled anew for each.
 */
const KINDS: readonly Factory[] = Array.from({ length: 8 }, (_, kind) => new Function('values', `
  // kind ${kind}
  const masks = new Uint32Array(values.length).fill(0xffffffff);
  return {
    read: (off) => {
      const index = off >>> 2;
      return index < values.length ? values[index] : 0xffffffff;
    },
    write: (off, value) => {
      const index = off >>> 2;
      if (index >= values.length) return;
      const mask = masks[index];
      values[index] = (values[index] & ~mask) | (value & mask);
    },
  };
`) as Factory);

/** Registers by address: for each page one device, whose kind goes by its number. */
function devices(addresses: readonly number[], values: readonly number[], shift: number): Map<number, Handlers> {
  const pages = new Map<number, number[]>();
  addresses.forEach((address, i) => {
    const page = address >>> shift;
    pages.set(page, [...pages.get(page) ?? [], values[i] as number]);
  });
  return new Map([...pages].map(([page, own], i) => [page, (KINDS[i % 8] as Factory)(Uint32Array.from(own))]));
}

/** A closure pair for each page, in an array that begins at the first page. */
export class ClosureBus {
  reads = 0;
  writes = 0;
  refused = 0;
  readonly #first: number;
  readonly #pages: Array<Handlers | undefined>;

  constructor(addresses: readonly number[], values: readonly number[]) {
    const pages = devices(addresses, values, 12);
    this.#first = Math.min(...pages.keys());
    const length = Math.max(...pages.keys()) - this.#first + 1;
    this.#pages = Array.from({ length }, (_, i) => pages.get(this.#first + i));
  }

  load(address: number): number {
    const page = this.#pages[(address >>> 12) - this.#first];
    if (page === undefined) {
      this.refused++;
      return 0xffffffff;
    }
    this.reads++;
    return page.read(address & 0xfff);
  }

  store(address: number, value: number): void {
    const page = this.#pages[(address >>> 12) - this.#first];
    if (page === undefined) {
      this.refused++;
      return;
    }
    this.writes++;
    page.write(address & 0xfff, value);
  }
}

/** The same in a Map by page number. */
export class MapBus {
  reads = 0;
  writes = 0;
  refused = 0;
  readonly #pages: Map<number, Handlers>;

  constructor(addresses: readonly number[], values: readonly number[]) {
    this.#pages = devices(addresses, values, 12);
  }

  load(address: number): number {
    const page = this.#pages.get(address >>> 12);
    if (page === undefined) {
      this.refused++;
      return 0xffffffff;
    }
    this.reads++;
    return page.read(address & 0xfff);
  }

  store(address: number, value: number): void {
    const page = this.#pages.get(address >>> 12);
    if (page === undefined) {
      this.refused++;
      return;
    }
    this.writes++;
    page.write(address & 0xfff, value);
  }
}

interface PortHandler {
  device: Handlers;
  first: number;
}

/** A table of handlers, one for each port, behind a permission bitmap. */
export class PortTable {
  reads = 0;
  refused = 0;
  readonly #handlers: Array<PortHandler | undefined>;
  readonly #bitmap = new Uint8Array(8192);

  constructor(addresses: readonly number[], values: readonly number[]) {
    this.#handlers = new Array<PortHandler | undefined>(0x10000).fill(undefined);
    for (const [block, device] of devices(addresses, values, 6)) {
      for (let port = block << 6; port < (block + 1) << 6; port++) {
        this.#handlers[port] = { device, first: block << 6 };
        this.#bitmap[port >> 3] = (this.#bitmap[port >> 3] as number) | 1 << (port & 7);
      }
    }
  }

  in32(port: number): number {
    const bits = (this.#bitmap[port >> 3] as number) | (this.#bitmap[(port >> 3) + 1] as number) << 8;
    if (((bits >> (port & 7)) & 15) !== 15) {
      this.refused++;
      return 0xffffffff;
    }
    const handler = this.#handlers[port];
    if (handler === undefined) return 0xffffffff;
    this.reads++;
    return handler.device.read(port - handler.first);
  }
}
