// Second-level tables that the hypervisor fills itself and that hold nobody's frames: all RAM for the first domain's
// devices, one scratch page for a device in quarantine. Four levels (VT-d 9.3).
import { VtdPte } from '../../../assembly/spec/vtd';
import { FrameKind, State, StateSize } from '../../../assembly/spec/state';
import type { Engine } from '../../engine/index';
import type { IommuDriver } from './iommu';

const RIGHTS = VtdPte.R | VtdPte.W;
const LEVELS = 4;
/** What a scratch page takes, tables and all. */
export const SCRATCH_FRAMES = LEVELS + 1;

function set(engine: Engine, table: number, index: number, mfn: number, flags: number): void {
  const bytes = engine.frame(table);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // an mfn has 28 bits: 20 of them in the low dword
  view.setUint32(index * 8, ((mfn & 0xfffff) << 12 | flags) >>> 0, true);
  view.setUint32(index * 8 + 4, mfn >>> 20, true);
}

/** Tables that are made as they are needed: the one below an entry of another. */
function tableMaker(engine: Engine, iommu: IommuDriver, what: string): (table: number, level: number, mfn: number) => number {
  const tables = new Map<string, number>();
  return (table, level, mfn) => {
    const index = Math.floor(mfn / 512 ** (level - 1)) % 512;
    const key = `${table} ${index}`;
    let next = tables.get(key);
    if (next === undefined) {
      next = iommu.takeTable(what);
      set(engine, table, index, next, RIGHTS);
      tables.set(key, next);
    }
    return next;
  };
}

/** All RAM, one to one, but for frames of the hypervisor's; answers the root. The frames are not held. */
export function allFrameTables(engine: Engine, iommu: IommuDriver): number {
  const what = 'the tables of the first domain\'s devices';
  const root = iommu.takeTable(what);
  const below = tableMaker(engine, iommu, what);
  const kind = (mfn: number): number => engine.word(engine.word(State.POOL_FRAMES) + mfn * StateSize.FRAME_RECORD) >>> 16;
  const reachable = (mfn: number): boolean => mfn < engine.frames && kind(mfn) !== FrameKind.XEN_TABLE;
  for (let first = 0; first < engine.frames; first += 512) {
    const region = Array.from({ length: 512 }, (_, i) => first + i);
    const directory = below(below(root, 4, first), 3, first);
    if (region.every(reachable)) set(engine, directory, (first / 512) % 512, first, RIGHTS | VtdPte.SP);
    else for (const mfn of region.filter(reachable)) set(engine, below(directory, 2, mfn), mfn % 512, mfn, RIGHTS);
  }
  return root;
}

/** Frames that tables of these frames alone take at most. */
export const identityTableFrames = (mfns: readonly number[]): number => 1 + 3 * new Set(mfns.map((mfn) => mfn >>> 9)).size;

/** These frames, one to one, and nothing else; answers the root. */
export function identityTables(engine: Engine, iommu: IommuDriver, mfns: readonly number[]): number {
  const what = 'reserved memory in quarantine';
  const root = iommu.takeTable(what);
  const below = tableMaker(engine, iommu, what);
  for (const mfn of mfns) set(engine, below(below(below(root, 4, mfn), 3, mfn), 2, mfn), mfn % 512, mfn, RIGHTS);
  return root;
}

/** Tables in which every address leads to one page; the frames of it, root first, the page last. */
export function scratchTables(engine: Engine, iommu: IommuDriver): number[] {
  const frames = Array.from({ length: SCRATCH_FRAMES }, () => iommu.takeTable('a scratch page'));
  frames.slice(0, LEVELS).forEach((table, level) => {
    for (let index = 0; index < 512; index++) set(engine, table, index, frames[level + 1] as number, RIGHTS);
  });
  return frames;
}
