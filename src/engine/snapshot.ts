// What an engine is at a safe point, apart from where in memory it lies: the slice of its state, its RAM without the
// pages that are all zero, and a document about both. Everything in it is checked before anything is changed.
import { WindowKind } from '../../assembly/spec/machine';
import { Abi, FunctionRecord, Journal, State, StateSize, WindowRecord } from '../../assembly/spec/state';
import { Machine } from '../../assembly/spec/machine';
import { PortcullisError } from '../errors';
import { engineBytes } from './exports';
import { hashBytes } from './hash';
import { type FreeRun, checkFreeRuns } from './heap';
import { type LayoutOptions, layOut } from './layout';
import { type Shape, requireShape } from './shape';
import type { WindowOptions } from './windows';

/** Counts up whenever an older version could not read what is written. */
export const SNAPSHOT_SCHEMA = 1;
const PAGE = 4096;

/** A window of RAM that is the host's: its bytes are not in the snapshot. */
export interface LentWindow {
  firstMfn: number;
  frames: number;
  kind: WindowOptions['kind'];
  readOnly: boolean;
}

export interface EngineDocument {
  schemaVersion: number;
  abiVersion: number;
  /** Hash of the engine (the artefact for memory that is not shared; the other is made from the same sources). */
  engineHash: string;
  options: LayoutOptions;
  stateHash: string;
  ramHash: string;
  /** Runs of pages in `ram`: first machine frame and number, ascending. All other pages are zero. */
  ramPages: Array<[first: number, count: number]>;
  heapFree: FreeRun[];
  windows: LentWindow[];
}

export interface EngineSnapshot {
  state: Uint8Array;
  ram: Uint8Array;
  document: EngineDocument;
}

const CACHES: Shape = { fields: {
  entries: 'whole', ways: 'whole', pwc2m: 'whole', pwc1g: 'whole', pwc512g: 'whole', contexts: 'whole',
} };
const DOCUMENT: Shape = { fields: {
  schemaVersion: 'whole', abiVersion: 'whole', engineHash: 'text',
  options: { fields: {
    frames: 'whole', domains: 'whole', tableFrames: 'whole', heapBytes: 'whole', grantFrames: 'whole',
    grantMappings: 'whole', caches: CACHES,
  } },
  stateHash: 'text', ramHash: 'text', ramPages: { each: { tuple: ['whole', 'whole'] } },
  heapFree: { each: { fields: { off: 'whole', size: 'whole' } } },
  windows: { each: { fields: { firstMfn: 'whole', frames: 'whole', kind: 'text', readOnly: 'flag' } } },
} };
const KINDS: Record<number, WindowOptions['kind']> = {
  [WindowKind.LINEAR]: 'linear', [WindowKind.FILE]: 'file', [WindowKind.MESSAGE]: 'message',
};

let hash: string | undefined;

/** Tells builds of the engine apart. */
export function engineHash(): string {
  return hash ??= hashBytes(engineBytes());
}

/** The pages of `ram` that are not all zero, as runs, and packed. */
export function packPages(ram: Uint8Array): { pages: EngineDocument['ramPages']; bytes: Uint8Array } {
  const pages: EngineDocument['ramPages'] = [];
  const words = new BigUint64Array(ram.buffer, ram.byteOffset, ram.length / 8);
  let count = 0;
  for (let mfn = 0; mfn < ram.length / PAGE; mfn++) {
    const end = (mfn + 1) * PAGE / 8;
    let at = mfn * PAGE / 8;
    while (at < end && words[at] === 0n) at++;
    if (at === end) continue;
    const last = pages.at(-1);
    if (last !== undefined && last[0] + last[1] === mfn) last[1]++;
    else pages.push([mfn, 1]);
    count++;
  }
  const bytes = new Uint8Array(count * PAGE);
  let to = 0;
  for (const [first, number] of pages) {
    bytes.set(ram.subarray(first * PAGE, (first + number) * PAGE), to);
    to += number * PAGE;
  }
  return { pages, bytes };
}

/** Puts packed pages into RAM that is zero everywhere else. */
export function unpackPages(pages: EngineDocument['ramPages'], bytes: Uint8Array, ram: Uint8Array): void {
  let from = 0;
  for (const [first, number] of pages) {
    ram.set(bytes.subarray(from, from + number * PAGE), first * PAGE);
    from += number * PAGE;
  }
}

/** The windows beside RAM, which is the first, as the state lists them. `word` reads the state. */
export function lentWindows(word: (off: number) => number): LentWindow[] {
  const windows: LentWindow[] = [];
  for (let i = 1; i < Machine.WINDOWS; i++) {
    const record = State.WINDOW_TABLE + i * StateSize.WINDOW_RECORD;
    const frames = word(record + WindowRecord.REACH);
    if (frames === 0) continue;
    const kind = word(record + WindowRecord.KIND);
    windows.push({
      firstMfn: word(record + WindowRecord.FIRST_MFN), frames, kind: KINDS[kind & 0xff] ?? 'linear',
      readOnly: (kind & WindowRecord.READ_ONLY) !== 0,
    });
  }
  return windows;
}

/** Throws SNAPSHOT_PENDING when a device waits for a message window: its host would answer the engine that was. */
export function requireNothingPending(word: (off: number) => number): void {
  for (let fn = 1; fn < Machine.FUNCTIONS; fn++) {
    const journal = word(State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD + FunctionRecord.JOURNAL);
    if (journal === 0 || word(journal + Journal.COUNT) === word(journal + Journal.DONE)) continue;
    throw new PortcullisError('SNAPSHOT_PENDING', `function ${fn} waits for the answer to a request to a message `
      + 'window; answer it, call service, and save then', { fn });
  }
}

/** The words of the state that follow from its layout; those that may have been set otherwise since are left out. */
function requireLayout(snapshot: EngineSnapshot, words: ReadonlyArray<readonly [number, number]>): void {
  const view = new DataView(snapshot.state.buffer, snapshot.state.byteOffset, snapshot.state.byteLength);
  for (const [off, value] of words) {
    if (off === State.MPS_SHIFT || off === State.MRRS_SHIFT) continue;
    if (view.getUint32(off - State.SLICE, true) === value) continue;
    throw new PortcullisError('SNAPSHOT_FORMAT',
      `the snapshot's state is not laid out as its document says (at 0x${off.toString(16)})`, { off });
  }
}

function requireBytes(name: string, bytes: unknown, length: number, expected: string): void {
  if (!(bytes instanceof Uint8Array)) {
    throw new PortcullisError('SNAPSHOT_FORMAT', `this is no snapshot: ${name} is no Uint8Array`, { name });
  }
  if (bytes.length !== length) {
    throw new PortcullisError('SNAPSHOT_SIZE', `${name} has ${bytes.length} bytes, its document tells of ${length}: `
      + 'the snapshot was cut off or put together from two', { name, bytes: bytes.length, expected: length });
  }
  if (hashBytes(bytes) !== expected) {
    throw new PortcullisError('SNAPSHOT_DAMAGED', `${name} is not as it was saved: its hash differs`, { name });
  }
}

/** Throws, with what is wrong, unless this engine can go on from the snapshot. `cacheBytes` is the engine's own. */
export function checkSnapshot(snapshot: EngineSnapshot, cacheBytes: (entries: number) => number): { size: number } {
  const { document } = snapshot;
  if (typeof document === 'object' && document !== null && document.schemaVersion !== SNAPSHOT_SCHEMA
    && Number.isInteger(document.schemaVersion)) {
    throw new PortcullisError('SNAPSHOT_VERSION', `the snapshot has schema version ${document.schemaVersion}, this is `
      + `version ${SNAPSHOT_SCHEMA}; use the version that wrote it`, { schemaVersion: document.schemaVersion });
  }
  requireShape(document, DOCUMENT, 'engine');
  if (document.abiVersion !== Abi.VERSION) {
    throw new PortcullisError('SNAPSHOT_VERSION', `the snapshot is of an engine with ABI version `
      + `${document.abiVersion}, this one has ${String(Abi.VERSION)}; use the version that wrote it`,
    { abiVersion: document.abiVersion });
  }
  if (document.engineHash !== engineHash()) {
    throw new PortcullisError('SNAPSHOT_BUILD', 'the snapshot is of another build of the engine '
      + `(${document.engineHash}, this is ${engineHash()}); use the build that wrote it`,
    { engineHash: document.engineHash });
  }
  const layout = layOut(document.options, cacheBytes);
  requireBytes('state', snapshot.state, layout.size - State.SLICE, document.stateHash);
  requireLayout(snapshot, layout.words);
  let [next, pages] = [0, 0];
  for (const [first, count] of document.ramPages) {
    if (first < next || count < 1 || first + count > document.options.frames) {
      throw new PortcullisError('SNAPSHOT_FORMAT',
        `the snapshot's pages from frame ${first} on are out of order or beyond RAM`, { first, count });
    }
    next = first + count;
    pages += count;
  }
  requireBytes('ram', snapshot.ram, pages * PAGE, document.ramHash);
  const heap = layout.words.find(([word]) => word === State.POOL_HEAP) as readonly [number, number];
  checkFreeRuns(document.heapFree, heap[1], document.options.heapBytes);
  return { size: layout.size };
}

/** Compares the lent windows with what the host gives now. Throws SNAPSHOT_WINDOW when one is missing or another. */
export function matchWindows(wanted: readonly LentWindow[], given: readonly WindowOptions[]): void {
  const text = (window: LentWindow | WindowOptions): string => {
    const readOnly = 'readOnly' in window && window.readOnly === true;
    const { kind, frames, firstMfn } = window;
    return `${kind} window of ${frames} frames at frame ${firstMfn}${readOnly ? ', read-only' : ''}`;
  };
  const have = given.map(text);
  for (const window of wanted) {
    if (have.includes(text(window))) continue;
    throw new PortcullisError('SNAPSHOT_WINDOW',
      `the snapshot needs the host's ${text(window)}; give it as windows: [...]`, { ...window });
  }
  if (given.length === wanted.length) return;
  throw new PortcullisError('SNAPSHOT_WINDOW',
    `${given.length} windows are given, the snapshot has ${wanted.length}; map the others later`, {});
}
