// Hypercall 20, grant_table_op(cmd, arg[], count), as a guest makes it: structures in its own memory, in the x86-64
// layout of public/grant_table.h. What runs for every packet goes on to the data plane.
import { GrantOp } from '../../../assembly/spec/xen';
import type { Engine } from '../../engine/index';
import type { DomainTable } from './domain';
import { HypercallError, resultOf } from './errors';
import { type GrantStatusName, type GrantTables, grantStatusNumber } from './grant-table';
import { readGuest, writeGuest } from './guest-memory';

/** Bytes of each structure that is read here. */
const SIZES: Record<number, number> = {
  [GrantOp.SETUP_TABLE]: 24, [GrantOp.TRANSFER]: 24, [GrantOp.QUERY_SIZE]: 16, [GrantOp.SET_VERSION]: 4,
  [GrantOp.GET_STATUS_FRAMES]: 16, [GrantOp.GET_VERSION]: 8, [GrantOp.SWAP_GRANT_REF]: 12,
};
const BATCHES: readonly number[] = [GrantOp.MAP_GRANT_REF, GrantOp.UNMAP_GRANT_REF, GrantOp.COPY, GrantOp.UNMAP_AND_REPLACE];
/** Their count must be 1. */
const SINGLE: readonly number[] = [GrantOp.SETUP_TABLE, GrantOp.QUERY_SIZE, GrantOp.GET_STATUS_FRAMES];

/** 0 or a negative errno; what became of each element stands in its status. */
export function grantTableOp(engine: Engine, table: DomainTable, grants: GrantTables,
  { domid, cmd, address, count }: { domid: number; cmd: number; address: number; count: number }): number {
  const { slot, kind } = table.domain(domid);
  if (BATCHES.includes(cmd)) return grants.batch(domid, cmd, address, count);
  return resultOf(() => {
    const size = SIZES[cmd];
    if (size === undefined || kind === 'native') throw new HypercallError('ENOSYS', `there is no grant table operation ${cmd}`, { cmd });
    if (count < 0 || (SINGLE.includes(cmd) && count !== 1)) {
      throw new HypercallError('EINVAL', `grant table operation ${cmd} does not take ${count} elements`, { cmd, count });
    }
    const elements = cmd === GrantOp.SET_VERSION || cmd === GrantOp.GET_VERSION ? 1 : count;
    for (let i = 0; i < elements; i++) {
      const bytes = readGuest(engine, slot, address + i * size, size);
      element(engine, grants, domid, slot, cmd, new DataView(bytes.buffer));
      writeGuest(engine, slot, address + i * size, bytes);
    }
  });
}

function element(engine: Engine, grants: GrantTables, domid: number, slot: number, cmd: number, arg: DataView): void {
  const u16 = (off: number): number => arg.getUint16(off, true);
  const u32 = (off: number): number => arg.getUint32(off, true);
  const pointer = (off: number): number => u32(off + 4) * 2 ** 32 + u32(off);
  const status = (off: number, name: GrantStatusName): void => { arg.setInt16(off, grantStatusNumber(name), true); };
  const list = (off: number, frames: readonly number[]): void => {
    const bytes = new Uint8Array(frames.length * 8);
    const view = new DataView(bytes.buffer);
    frames.forEach((frame, i) => { view.setUint32(i * 8, frame, true); });
    if (frames.length > 0) writeGuest(engine, slot, pointer(off), bytes);
  };
  switch (cmd) {
    case GrantOp.SETUP_TABLE: {
      const done = grants.setupTable(domid, u16(0), u32(4));
      status(8, done.status);
      list(16, done.frames);
      break;
    }
    case GrantOp.TRANSFER: {
      status(16, u32(4) === 0 ? grants.transfer(domid, u32(0), u16(8), u32(12)) : 'bad_page');
      break;
    }
    case GrantOp.QUERY_SIZE: {
      const { status: name, frames, maxFrames } = grants.querySize(domid, u16(0));
      arg.setUint32(4, frames, true);
      arg.setUint32(8, maxFrames, true);
      status(12, name);
      break;
    }
    case GrantOp.SET_VERSION: grants.setVersion(domid, u32(0)); break;
    case GrantOp.GET_STATUS_FRAMES: {
      const done = grants.statusFrames(domid, u16(4), u32(0));
      status(6, done.status);
      list(8, done.frames);
      break;
    }
    case GrantOp.GET_VERSION: arg.setUint32(4, grants.version(domid, u16(0)), true); break;
    case GrantOp.SWAP_GRANT_REF: status(8, grants.swap(domid, u32(0), u32(4))); break;
    default: break;
  }
}
