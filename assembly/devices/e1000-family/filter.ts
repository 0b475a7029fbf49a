// Which frames are for this port (§3.2.1, 13.5): exact addresses, multicast table, broadcast, promiscuous modes, and
// the VLAN table of vlan.ts.
import { E1000, E1000Ra, E1000Rctl } from '../../spec/e1000';
import { get } from './block';
import { vlanPasses } from './vlan';

/** Kinds of destination address. */
export const enum Destination {
  UNICAST = 0,
  MULTICAST = 1,
  BROADCAST = 2,
}

@inline
export function destinationOf(frame: usize): Destination {
  if ((load<u8>(frame) & 1) == 0) return Destination.UNICAST;
  return load<u32>(frame) == 0xffffffff && load<u16>(frame, 4) == 0xffff
    ? Destination.BROADCAST : Destination.MULTICAST;
}

/** The last address bytes, twelve bits of them from the bit on that MO names, choose a bit of the table. */
function multicastPasses(block: usize, rctl: u32, high: u32): bool {
  const offset = (rctl >> E1000Rctl.MO_SHIFT) & 3;
  // MO 0 takes bits 47:36 of the address, and so on down to 43:32 (§13.5.1)
  const shift: u32 = offset == 3 ? 0 : 4 - offset;
  const bit = (high >> shift) & 0xfff;
  return (get(block, E1000.MTA + (bit >> 5 << 2)) >> (bit & 31) & 1) != 0;
}

@inline
function exactPasses(block: usize, low: u32, high: u32): bool {
  for (let off: u32 = E1000.RA; off < <u32>E1000.RA_END; off += 8) {
    if (get(block, off) == low && (get(block, off + 4) & 0x8000ffff) == (<u32>1 << E1000Ra.AV_BIT | high)) return true;
  }
  return false;
}

@inline
function addressPasses(block: usize, rctl: u32, frame: usize, kind: Destination): bool {
  if (kind == Destination.UNICAST && (rctl & E1000Rctl.UPE) != 0) return true;
  const high = <u32>load<u16>(frame, 4);
  if (exactPasses(block, load<u32>(frame), high)) return true;
  if (kind == Destination.UNICAST) return false;
  if (kind == Destination.BROADCAST && (rctl & E1000Rctl.BAM) != 0) return true;
  return (rctl & E1000Rctl.MPE) != 0 || multicastPasses(block, rctl, high);
}

/** Whether a multicast frame that passed did so by the table alone, which is inexact (§3.2.3.1). */
export function passedInexact(block: usize, rctl: u32, frame: usize): bool {
  return (rctl & E1000Rctl.MPE) == 0 && !exactPasses(block, load<u32>(frame), load<u16>(frame, 4));
}

/** `block` is the page of the address filter and of the VLAN table. */
@inline
export function filterPasses(b: usize, fn: u32, block: usize, rctl: u32, frame: usize, kind: Destination): bool {
  if (!addressPasses(block, rctl, frame, kind)) return false;
  return (rctl & E1000Rctl.VFE) == 0 || vlanPasses(b, fn, block, rctl, frame);
}
