// Side effects of the unit's registers: commands take effect in the write, and GSTS shows them at once.
import { Machine } from '../spec/machine';
import { IommuState, Vtd, VtdFrcd, VtdGcmd } from '../spec/vtd';
import { State } from '../spec/state';
import { cellsReset, workDone } from '../bus/functions';
import { cachesReset, contextCommand, iotlbCommand, queueResume, queueTail } from './queue';
import { VTD_FUNCTION, faultSummary, vtdGet, vtdSet } from './fault';

/** Frame of a 64-bit base register; all ones when it lies beyond what this machine can have. */
function baseMfn(b: usize, off: u32): u32 {
  const hi = vtdGet(b, off + 4);
  return hi >> 8 != 0 ? 0xffffffff : vtdGet(b, off) >> Machine.PAGE_SHIFT | hi << 20;
}

function globalCommand(b: usize, command: u32): void {
  const iommu = b + State.IOMMU;
  let status = vtdGet(b, Vtd.GSTS);
  if (command & VtdGcmd.SRTP) {
    store<u32>(iommu, baseMfn(b, Vtd.RTADDR), IommuState.ROOT_MFN);
    status |= VtdGcmd.SRTP;
  }
  if (command & VtdGcmd.SIRTP) {
    store<u32>(iommu, baseMfn(b, Vtd.IRTA), IommuState.IRT_MFN);
    store<u32>(iommu, (vtdGet(b, Vtd.IRTA) & 0xf) + 1, IommuState.IRT_SHIFT);
    status |= VtdGcmd.SIRTP;
  }
  const levels = VtdGcmd.QIE | VtdGcmd.IRE | VtdGcmd.CFI | (<u32>1 << VtdGcmd.TE_BIT);
  if ((command & VtdGcmd.QIE) != 0 && (status & VtdGcmd.QIE) == 0) vtdSet(b, Vtd.IQH, 0);
  status = (status & ~levels) | (command & levels);
  vtdSet(b, Vtd.GSTS, status);
  store<u32>(iommu, status >> VtdGcmd.TE_BIT, IommuState.ENABLED);
  store<u32>(iommu, status & VtdGcmd.QIE ? 1 : 0, IommuState.QUEUE_ENABLED);
  store<u32>(iommu, status & VtdGcmd.IRE ? 1 : 0, IommuState.IR_ENABLED);
}

/** After software cleared status bits: IP goes when nothing is pending any more. */
function statusCleared(b: usize): void {
  faultSummary(b);
  if ((vtdGet(b, Vtd.FSTS) & 0xff) == 0) vtdSet(b, Vtd.FECTL, vtdGet(b, Vtd.FECTL) & 0x80000000);
  queueResume(b);
}

/** Clearing IM with an event pending sends it. */
function eventControl(b: usize, off: u32, event: u32): void {
  const control = vtdGet(b, off);
  if (control >> 31 != 0 || (control & 0x40000000) == 0) return;
  vtdSet(b, off, 0);
  store<u32>(b + State.IOMMU + event, 1);
}

/** Called after the cell has stored, with the value as written. */
export function vtdWrite(b: usize, off: u32, value: u32): void {
  switch (off >> 2) {
    case Vtd.GCMD >> 2:
      globalCommand(b, value);
      return;
    case (Vtd.CCMD + 4) >> 2:
      if (value >> 31 != 0) contextCommand(b);
      return;
    case Vtd.FSTS >> 2:
      statusCleared(b);
      return;
    case Vtd.FECTL >> 2:
      eventControl(b, Vtd.FECTL, IommuState.FAULT_EVENT);
      return;
    case Vtd.IQT >> 2:
      queueTail(b, value);
      return;
    case Vtd.ICS >> 2:
      // the wait is served: a masked event is no longer pending
      if (vtdGet(b, Vtd.ICS) == 0) vtdSet(b, Vtd.IECTL, vtdGet(b, Vtd.IECTL) & 0x80000000);
      return;
    case Vtd.IECTL >> 2:
      eventControl(b, Vtd.IECTL, IommuState.COMPLETION_EVENT);
      return;
    case (Vtd.IOTLB + 4) >> 2:
      if (value >> 31 != 0) iotlbCommand(b);
      return;
    default:
      // a fault record's F bit was written: PPF and FRI follow
      if (off >= <u32>Vtd.FRCD && (off & 15) == 12 && value >> VtdFrcd.F_BIT != 0) faultSummary(b);
      if ((vtdGet(b, Vtd.FSTS) & 0xff) == 0) {
        vtdSet(b, Vtd.FECTL, vtdGet(b, Vtd.FECTL) & 0x80000000);
      }
  }
}

/** System reset of the unit: registers as after power-on, nothing translated or remapped, caches empty. */
export function vtdReset(b: usize): void {
  cellsReset(b, VTD_FUNCTION, 0);
  cachesReset(b);
  // ENABLED to COMPLETION_EVENT; the clock of the caches goes on
  memory.fill(b + State.IOMMU + IommuState.ENABLED, 0, IommuState.CLOCK - IommuState.ENABLED);
  workDone(b, VTD_FUNCTION);
}
