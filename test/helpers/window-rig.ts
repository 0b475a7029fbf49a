// One device on the bare engine, whose only memory in reach is one RAM window of a kind.
import * as assert from 'uvu/assert';
import { Engine } from '../../src/engine/engine';
import { attach } from '../../src/devices/attach';
import type { DeviceDefinition } from '../../src/devices/definition';
import { isDefinedDevice } from '../../src/devices/host/define';
import { HostInstance } from '../../src/devices/host/device';

export const WINDOW_MFN = 0x4000;
export const FRAMES = 64;
export const BASE = WINDOW_MFN * 4096;
export const KINDS = ['linear', 'file', 'message'] as const;
export type Kind = (typeof KINDS)[number];

export class Rig {
  readonly fn: number;
  /** For a file window: called after each read, free to change what the next one finds. */
  onRead: (offset: number, length: number) => void = () => {};
  #now = 0;

  private constructor(readonly engine: Engine, readonly kind: Kind, readonly backing: () => Uint8Array, definition: DeviceDefinition) {
    const attached = attach(engine, definition, 0x20);
    this.fn = attached.fn;
    if (isDefinedDevice(definition)) new HostInstance(engine, attached, definition, { seed: 1 });
    // memory decode and Bus Master
    engine.exports.configWrite(this.fn, 4, 2, 0x0006);
  }

  static async create(kind: Kind, definition: DeviceDefinition): Promise<Rig> {
    const memory = new WebAssembly.Memory({ initial: 512 });
    const engine = await Engine.create({ frames: 1024, tableFrames: 0, memory });
    const own = new Uint8Array(FRAMES * 4096);
    const offset = 480 * 65536;
    const backing = kind === 'linear' ? (): Uint8Array => engine.bytes.subarray(offset, offset + own.length) : (): Uint8Array => own;
    const rig = new Rig(engine, kind, backing, definition);
    if (kind === 'linear') engine.windows.map({ kind, firstMfn: WINDOW_MFN, frames: FRAMES, offset });
    if (kind === 'message') engine.windows.map({ kind, firstMfn: WINDOW_MFN, frames: FRAMES });
    if (kind === 'file') {
      engine.windows.map({ kind, firstMfn: WINDOW_MFN, frames: FRAMES, file: {
        read: (at, bytes) => {
          bytes.set(own.subarray(at, at + bytes.length));
          rig.onRead(at, bytes.length);
          return true;
        },
        write: (at, bytes) => (own.set(bytes, at), true),
      } });
    }
    return rig;
  }

  read(off: number): number {
    return this.engine.exports.registerRead(this.fn, 0, off, 4) >>> 0;
  }

  write(off: number, value: number): void {
    this.engine.exports.registerWrite(this.fn, 0, off, 4, value, 0);
  }

  poke(off: number, ...dwords: number[]): void {
    const bytes = this.backing();
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    dwords.forEach((dword, index) => view.setUint32(off + 4 * index, dword, true));
  }

  peek(off: number): number {
    const bytes = this.backing();
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(off, true);
  }

  /** Works until nothing moves any more; the host answers one request between two calls. `refuse` picks what it refuses. */
  run(ns = 0, refuse: (write: boolean, offset: number) => boolean = () => false): number {
    let answered = 0;
    this.#now += ns;
    for (let round = 0; round < 100_000; round++) {
      const state = this.engine.service(this.#now, 5);
      const [request] = this.engine.windows.poll();
      if (request !== undefined) {
        assert.is(this.kind, 'message');
        const own = this.backing().subarray(request.offset, request.offset + request.length);
        const refused = refuse(request.write, request.offset);
        if (!refused) {
          if (request.write) own.set(request.bytes);
          else request.bytes.set(own);
        }
        assert.is(this.engine.windows.answer(request, !refused), true);
        assert.is(this.engine.windows.answer(request, true), false, 'an answer counts once');
        answered++;
      } else if (state === 0) return answered;
    }
    throw new Error('the device did not come to rest');
  }
}
