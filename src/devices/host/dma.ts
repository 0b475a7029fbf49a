import { Status } from '../../../assembly/spec/status';
import { type Engine, HOST_DMA_MAX } from '../../engine/index';
import { PortcullisError } from '../../errors';
import type { DmaRead, DmaStatus } from './types';

const NAMES: Partial<Record<Status, DmaStatus>> = {
  [Status.OK]: 'ok', [Status.REFUSED]: 'refused', [Status.NOTHING]: 'nothing', [Status.FAULT]: 'fault',
  [Status.PENDING]: 'pending', [Status.BUSY]: 'busy',
};
const NO_BYTES = new Uint8Array(0);

/** Low and high half of a bus address. */
function halvesOf(busAddr: number | bigint): [number, number] {
  const wide = typeof busAddr === 'bigint';
  if (wide ? busAddr < 0n || busAddr >> 64n !== 0n : !Number.isSafeInteger(busAddr) || busAddr < 0) {
    throw new PortcullisError('DEVICE_DMA', `${busAddr} is no bus address: a whole number from 0 to 2^64 - 1`,
      { busAddr: String(busAddr) });
  }
  if (wide) return [Number(busAddr & 0xffffffffn), Number(busAddr >> 32n)];
  return [busAddr % 2 ** 32, Math.floor(busAddr / 2 ** 32)];
}

function checkLength(length: number): void {
  if (Number.isInteger(length) && length >= 0 && length <= HOST_DMA_MAX) return;
  throw new PortcullisError('DEVICE_DMA', `DMA of ${length} bytes; one request has at most ${HOST_DMA_MAX}, and a `
    + 'length that the guest gave is to be checked first', { length });
}

/** DMA of one device in TypeScript: the engine's, with the bytes going through its staging area. */
export class HostDma {
  /** Set when something cannot be done now; the device's step clears it when it begins. */
  pending = false;
  readonly #engine: Engine;
  readonly #fn: number;

  constructor(engine: Engine, fn: number) {
    this.#engine = engine;
    this.#fn = fn;
  }

  /** `closed`: the answer when the device may not do DMA now. */
  read(busAddr: number | bigint, length: number, closed: DmaStatus | undefined): DmaRead {
    if (closed !== undefined) return { status: closed, bytes: NO_BYTES };
    const [lo, hi] = halvesOf(busAddr);
    checkLength(length);
    const { exports, host: { staging } } = this.#engine;
    const status = this.#answer(exports.functionDmaRead(this.#fn, lo, hi, length, staging));
    if (status === 'pending' || status === 'busy') return { status, bytes: NO_BYTES };
    return { status, bytes: Uint8Array.from(this.#engine.stateBytes(staging, length)) };
  }

  write(busAddr: number | bigint, bytes: ArrayLike<number>, closed: DmaStatus | undefined): DmaStatus {
    if (closed !== undefined) return closed;
    const [lo, hi] = halvesOf(busAddr);
    checkLength(bytes.length);
    const { exports, host: { staging } } = this.#engine;
    this.#engine.stateBytes(staging, bytes.length).set(bytes);
    return this.#answer(exports.functionDmaWrite(this.#fn, lo, hi, bytes.length, staging));
  }

  #answer(status: number): DmaStatus {
    if (status === Status.PENDING) this.pending = true;
    const name = NAMES[status as Status];
    if (name === undefined) throw new PortcullisError('DEVICE_DMA', `the engine answered ${status} to DMA`, { status });
    return name;
  }
}
