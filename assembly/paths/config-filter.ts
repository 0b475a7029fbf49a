// What the hypervisor lets through of the first domain's config writes: messages are the hypervisor's to program. Within
// an MSI-X capability only Message Control as two bytes, whatever is set up; within an MSI capability with mask bits,
// while a message of it is set up, Control as two bytes and the mask bits as four, where what the hypervisor has masked
// stays masked. Without mask bits there is nothing to keep, and a permissive pciback's writes reach address and data. The
// hypervisor's own accesses, and those on a machine without one, do not come by here.
import { Msi, Msix, Pci } from '../spec/pci';
import { Status } from '../spec/status';
import { FunctionRecord, HeldMessage, State } from '../spec/state';
import { configWord } from '../bus/config';
import { functionRecord } from '../bus/functions';
import { configWrite, ecamTarget } from './config';

function refused(b: usize): void {
  store<u32>(b, Status.REFUSED, State.RESULT_STATUS);
}

/** Whether the write of `width` bytes at `off` touches the `size` bytes from `at` on. */
@inline
function touches(off: u32, width: u32, at: u32, size: u32): bool {
  return off < at + size && off + width > at;
}

/** A config write by the first domain; what is not let through changes nothing, and is told in the status only. */
export function ownerConfigWrite(b: usize, fn: u32, off: u32, width: u32, value: u32): void {
  if (load<u32>(b, State.CONFIG_FILTER) == 0) return configWrite(b, fn, off, width, value);
  const record = functionRecord(b, fn);
  const msix = load<u32>(record, FunctionRecord.MSIX_CAP);
  if (msix != 0 && touches(off, width, msix, Msix.SIZE)) {
    if (off != msix + Msix.CONTROL || width != 2) return refused(b);
  }
  const held = load<u32>(record, FunctionRecord.HELD_MESSAGE);
  const msi = load<u32>(record, FunctionRecord.MSI_CAP);
  if ((held & HeldMessage.MASKABLE) != 0 && msi != 0) {
    const wide = (configWord(b, fn, msi + Msi.CONTROL) & Msi.CONTROL_64BIT) != 0;
    const mask = msi + (wide ? <u32>Msi.MASK_64 : <u32>Msi.MASK_32);
    if (touches(off, width, msi, mask + 8 - msi)) {
      if (off == mask && width == 4) {
        if ((held & HeldMessage.MASKED) != 0) value |= 1;
      } else if (off != msi + Msi.CONTROL || width != 2) return refused(b);
    }
  }
  configWrite(b, fn, off, width, value);
}

@inline
function writeAs(b: usize, owner: bool, fn: u32, off: u32, width: u32, value: u32): void {
  if (owner) ownerConfigWrite(b, fn, off, width, value);
  else configWrite(b, fn, off, width, value);
}

/** `owner`: it is the first domain's. */
export function ecamWrite(b: usize, off: u32, width: u32, lo: u32, hi: u32, owner: bool): void {
  store<u32>(b, Status.OK, State.RESULT_STATUS);
  if (off & (width - 1)) return store<u32>(b, Status.WIDTH, State.RESULT_STATUS);
  let fn = ecamTarget(b, off);
  if (fn < 0) return store<u32>(b, Status.NOTHING, State.RESULT_STATUS);
  const register = off & (Pci.EXTENDED_CONFIG_SIZE - 1);
  writeAs(b, owner, fn, register, width == 8 ? 4 : width, lo);
  if (width != 8) return;
  const moved = load<u64>(b, State.BARS_MOVED);
  // the low dword may have changed who is there
  fn = ecamTarget(b, off);
  if (fn >= 0) writeAs(b, owner, fn, register + 4, 4, hi);
  store<u64>(b, load<u64>(b, State.BARS_MOVED) | moved, State.BARS_MOVED);
}
