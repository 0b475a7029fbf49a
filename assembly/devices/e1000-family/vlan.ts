// 802.1Q tags (chapter 9): the filter, taking a tag out of a received frame, putting one into a sent one.
import { E1000, E1000Ctrl, E1000Frame, E1000Rctl } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { deviceState } from '../../bus/functions';
import { blockOf, get } from './block';

/** A field of a frame: two bytes, the higher one first. */
@inline
export function field16(ptr: usize): u32 {
  return bswap<u16>(load<u16>(ptr));
}

@inline
export function fieldPut16(ptr: usize, value: u32): void {
  store<u16>(ptr, bswap<u16>(<u16>value));
}

/** Whether the frame's type says that it has a tag. */
@inline
export function tagged(b: usize, fn: u32, frame: usize): bool {
  return field16(frame + E1000Frame.TYPE) == get(blockOf(b, fn, E1000.VET), E1000.VET);
}

/**
 * The tag's id chooses a bit of the VLAN table, and with CFIEN its CFI has to be that of RCTL; a frame without a tag
 * passes (§9.3). Exported to stay out of line.
 */
export function vlanPasses(b: usize, fn: u32, block: usize, rctl: u32, frame: usize): bool {
  if (!tagged(b, fn, frame)) return true;
  const tag = field16(frame + E1000Frame.TAG);
  if ((rctl & E1000Rctl.CFIEN) != 0 && (tag >> 12 & 1) != (rctl & E1000Rctl.CFI ? <u32>1 : 0)) return false;
  const id = tag & 0xfff;
  return (get(block, E1000.VFTA + (id >> 5 << 2)) >> (id & 31) & 1) != 0;
}

/** The frame of `wire` bytes without its tag, in RX_BUFFER. Its FCS stays as it was. */
export function tagStrip(device: usize, frame: usize, wire: u32): void {
  const rest = E1000Frame.TYPE + E1000Frame.TAG_SIZE;
  memory.copy(device + E1000State.RX_BUFFER, frame, E1000Frame.TYPE);
  memory.copy(device + E1000State.RX_BUFFER + E1000Frame.TYPE, frame + rest, wire - rest);
}

/** Whether a packet of `len` bytes with VLE gets a tag: CTRL.VME says so (§9.2.1). */
export function tagWanted(b: usize, fn: u32, len: u32): bool {
  return len >= <u32>E1000Frame.TYPE && (get(blockOf(b, fn, E1000.CTRL), E1000.CTRL) & E1000Ctrl.VME) != 0;
}

/** Puts VET and `special` into the packet of `len` bytes in TX_BUFFER. */
export function tagInsert(b: usize, fn: u32, len: u32, special: u32): void {
  const at = deviceState(b, fn) + E1000State.TX_BUFFER + E1000Frame.TYPE;
  memory.copy(at + E1000Frame.TAG_SIZE, at, len - E1000Frame.TYPE);
  fieldPut16(at, get(blockOf(b, fn, E1000.VET), E1000.VET));
  fieldPut16(at + 2, special);
}
