// MSI: the function's own interrupt message, a four-byte DMA write like any other and gated like it.
import { Msi } from '../spec/pci';
import { Status } from '../spec/status';
import { FunctionFlag, FunctionRecord, State } from '../spec/state';
import { configDword, configPtr, configWord } from '../bus/config';
import { functionFlags, functionRecord, workRequest } from '../bus/functions';
import { dmaWrite } from './dma';

/** Scratch dword for the message; overwritten by the next one. */
@inline
function scratch(b: usize): usize {
  return b + State.MESSAGE_SCRATCH;
}

@inline
export function msiEnabled(b: usize, fn: u32): bool {
  return (functionFlags(b, fn) & FunctionFlag.MSI_ENABLE) != 0;
}

/**
 * Asks for vector `vector` of the function's MSI; `service` sends it, as a register write does no DMA. A second
 * request before that is the same message and merges.
 */
@inline
export function msiRequest(b: usize, fn: u32, vector: u32): void {
  if (!msiEnabled(b, fn)) return;
  store<u32>(functionRecord(b, fn), vector + 1, FunctionRecord.MSI_WAITING);
  workRequest(b, fn);
}

/**
 * Sends vector `vector` of the function's MSI. When the message cannot be taken now it is kept, and `service` tries
 * again.
 */
export function msiSend(b: usize, fn: u32, vector: u32): Status {
  const record = functionRecord(b, fn);
  const cap = load<u32>(record, FunctionRecord.MSI_CAP);
  if (cap == 0 || !msiEnabled(b, fn)) {
    store<u32>(record, 0, FunctionRecord.MSI_WAITING);
    return Status.REFUSED;
  }
  const control = configWord(b, fn, cap + Msi.CONTROL);
  const wide = (control & Msi.CONTROL_64BIT) != 0;
  const address = <u64>configDword(b, fn, cap + Msi.ADDRESS) | (wide
    ? <u64>configDword(b, fn, cap + Msi.ADDRESS_HI) << 32 : 0);
  // the low bits of the data tell the vectors apart (PCI Local Bus 3.0 §6.8.1.6)
  const mask: u32 = (1 << ((control & Msi.CONTROL_MME_MASK) >> Msi.CONTROL_MME_SHIFT)) - 1;
  const data = <u32>load<u16>(configPtr(b, fn) + cap + (wide ? Msi.DATA_64 : Msi.DATA_32));
  store<u32>(scratch(b), (data & ~mask) | (vector & mask));
  const status = dmaSend(b, fn, address);
  store<u32>(record, status == Status.PENDING ? vector + 1 : 0, FunctionRecord.MSI_WAITING);
  if (status == Status.PENDING) workRequest(b, fn);
  return status;
}

// one copy of the DMA's code is enough here
function dmaSend(b: usize, fn: u32, address: u64): Status {
  return dmaWrite(b, fn, address, 4, scratch(b));
}
