// Fault records: eight of them, written round robin, W1C by software. When the next one is still full the fault is
// lost, PFO says so, and nothing more is recorded until PFO is cleared.
import { IommuState, Vtd, VtdFrcd, VtdFsts } from '../spec/vtd';
import { DevicePage, State, StateSize } from '../spec/state';
import { Counter } from '../spec/counters';
import { TraceCategory } from '../spec/trace';
import { count } from '../memory/state';
import { trace, traceDetail } from '../memory/trace';
import { barPage } from '../bus/functions';

const FECTL_IM: u32 = 0x80000000;
const FECTL_IP: u32 = 0x40000000;

/** Function slot of the unit. */
export const VTD_FUNCTION: u32 = 0;

/** Value of a register of the unit. They lie in one page, and all have cells: no look-up of page and range. */
@inline
function vtdPtr(b: usize, off: u32): usize {
  const page = barPage(b, VTD_FUNCTION, 0, 0);
  return b + load<u32>(page, DevicePage.CELLS) + ((off >> 2) - load<u16>(page, DevicePage.FIRST)) * StateSize.CELL;
}

@inline
export function vtdGet(b: usize, off: u32): u32 {
  return load<u32>(vtdPtr(b, off));
}

@inline
export function vtdSet(b: usize, off: u32, value: u32): void {
  store<u32>(vtdPtr(b, off), value);
}

/** Sets bits of FSTS and, when none was set before, makes the fault event pending (or only IP, when masked). */
export function faultStatus(b: usize, bits: u32): void {
  const before = vtdGet(b, Vtd.FSTS);
  vtdSet(b, Vtd.FSTS, before | bits);
  if ((before & 0xff) != 0) return;
  const control = vtdGet(b, Vtd.FECTL);
  if (control & FECTL_IM) vtdSet(b, Vtd.FECTL, control | FECTL_IP);
  else store<u32>(b + State.IOMMU, 1, IommuState.FAULT_EVENT);
}

/** PPF is the OR of the F bits, FRI the oldest record that has one: records are written round robin. */
export function faultSummary(b: usize): void {
  let status = vtdGet(b, Vtd.FSTS) & ~(<u32>VtdFsts.PPF | 0xff00);
  const next = load<u32>(b + State.IOMMU, IommuState.NEXT_FAULT);
  for (let n: u32 = 0; n < <u32>Vtd.FRCD_COUNT; n++) {
    const i = (next + n) & (Vtd.FRCD_COUNT - 1);
    if (vtdGet(b, Vtd.FRCD + (i << 4) + 12) >> VtdFrcd.F_BIT == 0) continue;
    status |= <u32>VtdFsts.PPF | i << VtdFsts.FRI_SHIFT;
    break;
  }
  vtdSet(b, Vtd.FSTS, status);
}

/**
 * Records a fault. `info` goes to bits 63:12 of the record: the iova of a DMA, or the index << 48 of an interrupt.
 * `silent` is the context entry's FPD: the fault is counted and not recorded.
 */
export function faultRecord(b: usize, sid: u32, info: u64, reason: u32, read: bool, silent: bool): void {
  count(b, Counter.FAULTS);
  trace(b, TraceCategory.FAULT, sid, info, reason, traceDetail(0, !read, reason));
  if (silent) return;
  if (vtdGet(b, Vtd.FSTS) & VtdFsts.PFO) {
    count(b, Counter.FAULTS_DROPPED);
    return;
  }
  const index = load<u32>(b + State.IOMMU, IommuState.NEXT_FAULT);
  const off: u32 = Vtd.FRCD + (index << 4);
  if (vtdGet(b, off + 12) >> VtdFrcd.F_BIT != 0) {
    count(b, Counter.FAULTS_DROPPED);
    faultStatus(b, VtdFsts.PFO);
    return;
  }
  vtdSet(b, off, <u32>info & 0xfffff000);
  vtdSet(b, off + 4, <u32>(info >> 32));
  vtdSet(b, off + 8, sid);
  vtdSet(b, off + 12, <u32>1 << VtdFrcd.F_BIT | (read ? VtdFrcd.T : 0) | reason);
  store<u32>(b + State.IOMMU, (index + 1) & (Vtd.FRCD_COUNT - 1), IommuState.NEXT_FAULT);
  faultStatus(b, VtdFsts.PPF);
  faultSummary(b);
}
