import { Link, LinkLimit, LinkRecord, LinkSink, LinkSource } from '../../../assembly/spec/link';
import { FunctionRecord, State, StateSize } from '../../../assembly/spec/state';
import type { Engine } from '../../engine/index';
import { PortcullisError } from '../../errors';
import type { FrameStore } from './store';

export interface LinkStatus {
  /** Frames that the NIC has taken from the link, of so many offered. */
  taken: number;
  offered: number;
  /** Frames that came from the NIC and were compared, how many differed, and the first that did (from 0). */
  checked: number;
  mismatches: number;
  firstMismatch: number | undefined;
  bytesToNic: number;
  bytesFromNic: number;
}

export interface CapturedFrame {
  bytes: Uint8Array;
  timeNs: number;
}

/** Where in the engine's state a link lies: its frames and counts are there too. */
export interface LinkDocument {
  off: number;
  parts: Array<{ off: number; bytes: number }>;
}

/** What a link has whatever is plugged in: itself and its frame buffer. */
const OWN_PARTS = 2;

/** What a NIC is plugged into. Built unplugged: nothing comes, what is sent is counted and dropped. */
export class LinkHandle {
  readonly engine: Engine;
  readonly off: number;
  #parts: Array<{ off: number; bytes: number }> = [];

  readonly #fn: number;
  #peer: LinkHandle | undefined;

  /** With `saved`, the link of a snapshot. */
  constructor(engine: Engine, fn: number, saved?: LinkDocument) {
    this.engine = engine;
    this.#fn = fn;
    if (saved !== undefined) {
      this.off = saved.off;
      this.#parts = saved.parts.map((part) => ({ ...part }));
      return;
    }
    this.off = this.#take(Link.SIZE_OF, 'a link');
    this.#set(Link.STAGING, this.#take(LinkLimit.STAGING_SIZE, 'the link\'s frame buffer'));
    this.#set(Link.UP, 1);
    engine.setWord(State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD + FunctionRecord.LINK, this.off);
    engine.exports.linkChanged(fn);
  }

  save(): LinkDocument {
    return { off: this.off, parts: this.#parts.map((part) => ({ ...part })) };
  }

  #take(bytes: number, what: string): number {
    const off = this.engine.heap.take(bytes, what);
    this.engine.stateBytes(off, bytes).fill(0);
    this.#parts.push({ off, bytes });
    return off;
  }

  #set(word: number, value: number): void {
    this.engine.setWord(this.off + word, value);
  }

  #get64(word: number): number {
    return this.engine.word64(this.off + word);
  }

  /** Plugs in a generator of the store's frames, over and over; with `check` it is also the sink that compares. */
  plugStore(store: FrameStore, check: boolean): void {
    this.#clear();
    const off = this.#take(store.image.length, `the frames of ${store.name}`);
    for (const word of [Link.NEXT, Link.LIMIT, Link.CHECKED, Link.MISMATCHES, Link.FIRST_MISMATCH, Link.CORRUPT_FRAME]) {
      this.engine.setWord64(this.off + word, 0);
    }
    this.engine.stateBytes(off, store.image.length).set(store.image);
    this.#set(Link.STORE, off);
    this.#set(Link.STORE_FRAMES, store.frames);
    this.#set(Link.SOURCE, LinkSource.STORE);
    this.#set(Link.SINK, check ? LinkSink.CHECK : LinkSink.DROP);
  }

  /** A cable from the port to itself. `bytes` is the room for frames under way, a power of two. */
  plugLoopback(bytes = 65536): void {
    this.#clear();
    this.#ring(bytes);
    this.#set(Link.SOURCE, LinkSource.LOOPBACK);
  }

  /** Keeps what the NIC sends until `capture` takes it; a full ring stalls the NIC and loses nothing. */
  plugCapture(bytes = 1 << 20): void {
    this.#clear();
    this.#ring(bytes);
    this.#set(Link.SOURCE, LinkSource.NONE);
  }

  /**
   * A cable to another port of this machine: what one NIC sends the other receives. `bytes` is the room for frames
   * under way in each direction; a NIC whose direction is full waits. Pulling either end out takes both links down.
   */
  connect(other: LinkHandle, bytes = 65536): void {
    if (other === this) {
      throw new PortcullisError('BAD_LINK', 'a wire from a port to itself; that is link "loopback"');
    }
    if (other.engine !== this.engine) {
      throw new PortcullisError('BAD_LINK', 'a wire between two machines; both ports must be of one');
    }
    const ends = [this, other] as const;
    for (const end of ends) end.#clear();
    for (const end of ends) {
      const peer = end === this ? other : this;
      end.#ring(bytes);
      end.#set(Link.PEER, peer.off);
      end.#set(Link.PEER_FUNCTION, peer.#fn);
      end.#set(Link.SOURCE, LinkSource.WIRE);
      end.#peer = peer;
    }
    this.up = true;
  }

  /** Links of a snapshot find the other ends of their wires again. */
  static rejoin(links: readonly LinkHandle[]): void {
    for (const link of links) {
      if (link.engine.word(link.off + Link.SOURCE) !== LinkSource.WIRE) continue;
      const peer = link.engine.word(link.off + Link.PEER);
      link.#peer = links.find(({ off }) => off === peer);
    }
  }

  /** The port at the other end of the wire. */
  get peer(): LinkHandle | undefined {
    return this.#peer;
  }

  /** Takes the wire out of both ports. The other one's link goes down. */
  #unplug(): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    for (const end of [this, peer] as const) {
      end.#peer = undefined;
      end.#set(Link.SOURCE, LinkSource.NONE);
      end.#set(Link.PEER, 0);
    }
    peer.up = false;
  }

  /** Pulls out what is plugged in, and gives back what was taken for it. */
  #clear(): void {
    this.#unplug();
    this.#set(Link.SOURCE, LinkSource.NONE);
    this.#set(Link.SINK, LinkSink.DROP);
    for (const { off, bytes } of this.#parts.splice(OWN_PARTS)) this.engine.heap.give(off, bytes);
  }

  #ring(bytes: number): void {
    if (bytes < LinkLimit.STAGING_SIZE * 2 || (bytes & (bytes - 1)) !== 0) {
      throw new PortcullisError('BAD_LINK', `a link's ring of ${bytes} bytes; it must be a power of two from 32768 on`,
        { bytes });
    }
    this.#set(Link.RING, this.#take(bytes, 'the link\'s ring'));
    this.#set(Link.RING_SIZE, bytes);
    this.engine.setWord64(this.off + Link.RING_HEAD, 0);
    this.engine.setWord64(this.off + Link.RING_TAIL, 0);
    this.#set(Link.SINK, LinkSink.RING);
  }

  /** Lets `frames` more frames of the store come. The NIC takes them in `service`. */
  offer(frames: number): void {
    this.engine.setWord64(this.off + Link.LIMIT, this.#get64(Link.LIMIT) + frames);
    this.engine.exports.requestService(this.#fn);
  }

  /** Flips one bit of byte `byte` of the `frame`-th frame (from 0) on its way to the NIC. */
  corrupt(frame: number, byte: number): void {
    this.engine.setWord64(this.off + Link.CORRUPT_FRAME, frame + 1);
    this.#set(Link.CORRUPT_BYTE, byte);
  }

  /** Speed of the wire, by which a workload advances virtual time. */
  set rateMbps(rate: number) {
    this.#set(Link.RATE_MBPS, rate);
  }

  /** Whether there is a link; a wire has one at both of its ends or at none. */
  get up(): boolean {
    return this.engine.word(this.off + Link.UP) !== 0;
  }

  set up(up: boolean) {
    for (const end of this.#peer === undefined ? [this] : [this, this.#peer]) end.#set(Link.UP, up ? 1 : 0);
    this.engine.exports.linkChanged(this.#fn);
    if (this.#peer !== undefined) this.engine.exports.linkChanged(this.#peer.#fn);
  }

  status(): LinkStatus {
    const first = this.#get64(Link.FIRST_MISMATCH);
    return {
      taken: this.#get64(Link.NEXT), offered: this.#get64(Link.LIMIT), checked: this.#get64(Link.CHECKED),
      mismatches: this.#get64(Link.MISMATCHES), firstMismatch: first === 0 ? undefined : first - 1,
      bytesToNic: this.#get64(Link.SENT_BYTES), bytesFromNic: this.#get64(Link.RECEIVED_BYTES),
    };
  }

  /** Takes the captured frames off the ring. */
  capture(): CapturedFrame[] {
    const { engine, off } = this;
    const size = engine.word(off + Link.RING_SIZE);
    const ring = engine.stateBytes(engine.word(off + Link.RING), size);
    const frames: CapturedFrame[] = [];
    let head = this.#get64(Link.RING_HEAD);
    const tail = this.#get64(Link.RING_TAIL);
    const view = new DataView(ring.buffer, ring.byteOffset, size);
    while (head < tail) {
      const at = head % size;
      const word = view.getUint32(at + LinkRecord.LENGTH, true);
      if (word === LinkRecord.SKIP) {
        head += size - at;
        continue;
      }
      const length = word & LinkRecord.LENGTH_MASK;
      const start = at + LinkRecord.FRAME;
      const timeNs = Number(view.getBigUint64(at + LinkRecord.TIME, true));
      frames.push({ bytes: ring.slice(start, start + length), timeNs });
      head += (LinkRecord.FRAME + length + LinkLimit.FCS + 3) & ~3;
    }
    engine.setWord64(off + Link.RING_HEAD, head);
    return frames;
  }

  /** Gives the heap back; the function must be gone or unplugged first. */
  release(): void {
    this.#unplug();
    for (const { off, bytes } of this.#parts) this.engine.heap.give(off, bytes);
    this.#parts = [];
  }
}
