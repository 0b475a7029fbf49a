// A write into the interrupt window becomes a message: as it is, without interrupt remapping; through the remap
// table, with it. Decides and records; sends nothing.
//
//   remappable address  31:20 FEE  19:5 handle[14:0]  4 = 1  3 SHV  2 handle[15]
//   IRTE low qword      0 P  1 FPD  2 DM  4 TM  7:5 DLM  15 IM  23:16 vector  63:32 destination
//   IRTE high qword     15:0 SID  17:16 SQ  19:18 SVT
import { Machine } from '../spec/machine';
import { Counter } from '../spec/counters';
import { Status } from '../spec/status';
import { IommuState, VtdFault, VtdGcmd, Vtd } from '../spec/vtd';
import { State } from '../spec/state';
import { count } from '../memory/state';
import { framePtr } from '../memory/windows';
import { faultRecord, vtdGet } from '../iommu/fault';
import { messagePush } from './messages';

const NO_HANDLE: u32 = 0xffff;

function blocked(b: usize, sid: u32, index: u32, reason: u32, silent: bool): Status {
  count(b, Counter.MESSAGES_BLOCKED);
  faultRecord(b, sid, <u64>index << 48, reason, false, silent);
  return Status.FAULT;
}

/** Whether the requester is the one that the entry names (SVT, SQ). */
function sourceValid(hi: u64, sid: u32): bool {
  const type = <u32>(hi >> 18) & 3;
  const named = <u32>hi & 0xffff;
  if (type == 0) return true;
  if (type == 1) {
    const qualifier = <u32>(hi >> 16) & 3;
    const ignored: u32 = qualifier == 0 ? 0 : qualifier == 1 ? 4 : qualifier == 2 ? 6 : 7;
    return ((named ^ sid) & ~ignored & 0xffff) == 0;
  }
  if (type == 2) return sid >> 8 >= named >> 8 && sid >> 8 <= (named & 0xff);
  return false;
}

/** OK, FAULT (blocked and recorded) or PENDING (queue full: try again, nothing has happened). */
export function interruptRequest(b: usize, sid: u32, addressLo: u32, data: u32): Status {
  const iommu = b + State.IOMMU;
  if (load<u32>(iommu, IommuState.IR_ENABLED) == 0) {
    const vector = (data & 0x7ff) | (addressLo & 4) << 9 | (data & 0x8000);
    return messagePush(b, sid | NO_HANDLE << 16, vector, (addressLo >> 12) & 0xff, data);
  }
  if ((addressLo & 0x10) == 0) {
    if ((vtdGet(b, Vtd.GSTS) & VtdGcmd.CFI) == 0) return blocked(b, sid, 0, VtdFault.IR_COMPATIBILITY, false);
    const vector = (data & 0x7ff) | (addressLo & 4) << 9 | (data & 0x8000);
    return messagePush(b, sid | NO_HANDLE << 16, vector, (addressLo >> 12) & 0xff, data);
  }
  const handle = ((addressLo >> 5) & 0x7fff) | (addressLo & 4) << 13;
  const index = handle + (addressLo & 8 ? data & 0xffff : 0);
  // without a sub-handle the data says nothing: an I/O APIC puts its vector there
  if ((addressLo & 8) != 0 && data >> 16 != 0) {
    return blocked(b, sid, index & 0xffff, VtdFault.IR_REQUEST_RESERVED, false);
  }
  if (index >> load<u32>(iommu, IommuState.IRT_SHIFT) != 0) {
    return blocked(b, sid, index & 0xffff, VtdFault.IR_INDEX, false);
  }
  const mfn = load<u32>(iommu, IommuState.IRT_MFN) + (index >> 8);
  const table = mfn < <u32>Machine.MFN_LIMIT ? framePtr(b, mfn) : 0;
  if (table == 0) return blocked(b, sid, index, VtdFault.IR_INACCESSIBLE, false);
  const lo = load<u64>(table + ((index & 255) << 4));
  const hi = load<u64>(table + ((index & 255) << 4), 8);
  const silent = (lo & 2) != 0;
  if ((lo & 1) == 0) return blocked(b, sid, index, VtdFault.IR_NOT_PRESENT, silent);
  // posted interrupts (bit 15) are not offered: reserved here
  if ((lo & 0xff00f000) != 0 || (hi >> 20) != 0 || ((hi >> 18) & 3) == 3) {
    return blocked(b, sid, index, VtdFault.IR_RESERVED, silent);
  }
  if (!sourceValid(hi, sid)) return blocked(b, sid, index, VtdFault.IR_SOURCE, silent);
  const vector = (<u32>(lo >> 16) & 0xff) | (<u32>lo & 0xe0) << 3 | (<u32>lo & 4) << 9 | (<u32>lo & 0x10) << 11;
  // xAPIC: the id is in 47:40
  return messagePush(b, sid | index << 16, vector, <u32>(lo >> 40) & 0xff, data);
}
