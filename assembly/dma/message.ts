// MSI and MSI-X: the function's own interrupt messages, each a four-byte DMA write like any other and gated like it.
// A register write only asks for one (`…Request`); `service` sends it.
import { Msi, Msix } from '../spec/pci';
import { Status } from '../spec/status';
import { FunctionFlag, FunctionRecord, State } from '../spec/state';
import { configDword, configPtr, configWord } from '../bus/config';
import { functionFlags, functionRecord } from '../bus/functions';
import { msiVectorMask, msixEntry, msixVectors, vectorDone, vectorReady, vectorRequest } from '../irq/vectors';
import { dmaWrite } from './dma';

@inline
export function msiEnabled(b: usize, fn: u32): bool {
  return (functionFlags(b, fn) & FunctionFlag.MSI_ENABLE) != 0;
}

@inline
export function msixEnabled(b: usize, fn: u32): bool {
  return (functionFlags(b, fn) & FunctionFlag.MSIX_ENABLE) != 0;
}

/** Asks for an MSI. With fewer vectors given than the function has, the high bits of the number fall off. */
export function msiRequest(b: usize, fn: u32, vector: u32): void {
  if (msiEnabled(b, fn)) vectorRequest(b, fn, vector & msiVectorMask(b, fn));
}

/** Asks for an MSI-X message; a vector that the table does not have is none. */
export function msixRequest(b: usize, fn: u32, vector: u32): void {
  if (msixEnabled(b, fn) && vector < msixVectors(b, fn)) vectorRequest(b, fn, vector);
}

/** Asks for a message of whichever kind is on. False when none is: then INTx is the way. */
export function messageRequest(b: usize, fn: u32, vector: u32): bool {
  if (msixEnabled(b, fn)) {
    msixRequest(b, fn, vector);
    return true;
  }
  if (!msiEnabled(b, fn)) return false;
  msiRequest(b, fn, vector);
  return true;
}

@inline
function scratch(b: usize): usize {
  return b + State.MESSAGE_SCRATCH;
}

function msixAddress(b: usize, fn: u32, vector: u32): u64 {
  store<u32>(scratch(b), msixEntry(b, fn, vector, Msix.ENTRY_DATA));
  return <u64>msixEntry(b, fn, vector, Msix.ENTRY_ADDRESS_HI) << 32 | msixEntry(b, fn, vector, Msix.ENTRY_ADDRESS);
}

function msiAddress(b: usize, fn: u32, vector: u32): u64 {
  const cap = load<u32>(functionRecord(b, fn), FunctionRecord.MSI_CAP);
  const wide = (configWord(b, fn, cap + Msi.CONTROL) & Msi.CONTROL_64BIT) != 0;
  // the low bits of the data tell the vectors apart (PCI Local Bus 3.0 §6.8.1.6)
  const mask = msiVectorMask(b, fn);
  const data = <u32>load<u16>(configPtr(b, fn) + cap + (wide ? Msi.DATA_64 : Msi.DATA_32));
  store<u32>(scratch(b), (data & ~mask) | (vector & mask));
  const low = <u64>configDword(b, fn, cap + Msi.ADDRESS);
  return wide ? <u64>configDword(b, fn, cap + Msi.ADDRESS_HI) << 32 | low : low;
}

/**
 * Sends the lowest message that is pending and not masked. NOTHING when there is none, PENDING when it cannot be taken
 * now and stays pending; anything else is the end of it, refused and faulted ones too, as on a bus.
 */
export function messageSend(b: usize, fn: u32): Status {
  const vector = vectorReady(b, fn);
  if (vector < 0) return Status.NOTHING;
  const address = msixEnabled(b, fn) ? msixAddress(b, fn, vector) : msiAddress(b, fn, vector);
  const status = dmaWrite(b, fn, address, 4, scratch(b));
  if (status == Status.PENDING) return status;
  vectorDone(b, fn, vector);
  return Status.OK;
}
