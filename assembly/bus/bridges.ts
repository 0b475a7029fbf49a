// What the bridges above a function let through: config cycles by bus number, addresses by windows, Bus Master.
// Who is behind whom is set by the control plane and never a circle; what the bridge's registers say may be nonsense,
// which hides or stops what is behind it and nothing else.
//
//   memory window    base 15:4 and limit 15:4 are bits 31:20: whole MiB        (PCI-to-PCI Bridge 1.2 §3.2.5.8)
//   prefetchable     the same, with 32 more bits each                          (§3.2.5.9)
//   I/O window       base 7:4 and limit 7:4 are bits 15:12: 4 KiB              (§3.2.5.6)
//   a base above its limit: no window
import { Pci, PciBridge } from '../spec/pci';
import { FunctionFlag, FunctionRecord } from '../spec/state';
import { configDword, configPtr, configWord } from './config';
import { functionFlags, functionRecord } from './functions';

/** Slot of the bridge that leads to the function, plus one; 0 on the root bus. */
@inline
export function parentOf(b: usize, fn: u32): u32 {
  return load<u32>(functionRecord(b, fn), FunctionRecord.PARENT);
}

@inline
function configByte(b: usize, fn: u32, off: u32): u32 {
  return load<u8>(configPtr(b, fn) + off);
}

/** Whether the function has a type 1 header. */
@inline
export function isBridge(b: usize, fn: u32): bool {
  return load<u32>(functionRecord(b, fn), FunctionRecord.CONFIG_SIZE) != 0
    && (configByte(b, fn, Pci.HEADER_TYPE) & Pci.HEADER_LAYOUT_MASK) == PciBridge.LAYOUT;
}

@inline
export function secondaryReset(b: usize, bridge: u32): bool {
  return (configWord(b, bridge, PciBridge.CONTROL) & PciBridge.CONTROL_SECONDARY_RESET) != 0;
}

/** Whether a config cycle to the bridge's secondary bus gets there: each bridge on the way must claim that number. */
function busReached(b: usize, bridge: u32): bool {
  const bus = configByte(b, bridge, PciBridge.SECONDARY_BUS);
  if (bus == 0 || bus > configByte(b, bridge, PciBridge.SUBORDINATE_BUS)) return false;
  for (let up = parentOf(b, bridge); up != 0; up = parentOf(b, up - 1)) {
    if (bus <= configByte(b, up - 1, PciBridge.SECONDARY_BUS)) return false;
    if (bus > configByte(b, up - 1, PciBridge.SUBORDINATE_BUS)) return false;
  }
  return true;
}

/** Takes from a function's own flags what the bridges above do not let through. Their flags are up to date. */
export function upstreamFlags(b: usize, fn: u32, flags: u32): u32 {
  const parent = parentOf(b, fn);
  if (parent == 0) return flags;
  const bridge = parent - 1;
  const above = functionFlags(b, bridge);
  const passed: u32 = FunctionFlag.IO_DECODE | FunctionFlag.MEMORY_DECODE | FunctionFlag.BUS_MASTER;
  if ((above & (FunctionFlag.POWERED_DOWN | FunctionFlag.LINK_DOWN)) != 0 || secondaryReset(b, bridge)) {
    return (flags & ~passed) | FunctionFlag.LINK_DOWN | FunctionFlag.HIDDEN;
  }
  flags &= above | ~passed;
  return busReached(b, bridge) ? flags : flags | FunctionFlag.HIDDEN;
}

/** Bus, device and function number: the bus is what the bridge above calls its secondary bus. */
export function busNumberApply(b: usize, fn: u32): void {
  const parent = parentOf(b, fn);
  if (parent == 0) return;
  const record = functionRecord(b, fn);
  const before = load<u32>(record, FunctionRecord.BDF);
  const bdf = configByte(b, parent - 1, PciBridge.SECONDARY_BUS) << 8 | (before & 0xff);
  // the requester id goes along, unless the control plane has set another one
  if (load<u32>(record, FunctionRecord.SID) == before) store<u32>(record, bdf, FunctionRecord.SID);
  store<u32>(record, bdf, FunctionRecord.BDF);
}

@inline
function within(first: u64, last: u64, base: u64, limit: u64): bool {
  return base <= limit && first >= base && last <= limit;
}

function portsForwarded(b: usize, bridge: u32, first: u64, last: u64): bool {
  const base = (configByte(b, bridge, PciBridge.IO_BASE) >> 4) << PciBridge.IO_WINDOW_SHIFT;
  const limit = (configByte(b, bridge, PciBridge.IO_LIMIT) >> 4) << PciBridge.IO_WINDOW_SHIFT
    | ((1 << PciBridge.IO_WINDOW_SHIFT) - 1);
  return within(first, last, base, limit);
}

function memoryForwarded(b: usize, bridge: u32, first: u64, last: u64): bool {
  const low: u64 = (1 << PciBridge.MEMORY_WINDOW_SHIFT) - 1;
  const base = <u64>(configWord(b, bridge, PciBridge.MEMORY_BASE) >> 4) << PciBridge.MEMORY_WINDOW_SHIFT;
  const limit = <u64>(configWord(b, bridge, PciBridge.MEMORY_LIMIT) >> 4) << PciBridge.MEMORY_WINDOW_SHIFT | low;
  if (within(first, last, base, limit)) return true;
  const wideBase = <u64>(configWord(b, bridge, PciBridge.PREFETCH_BASE) >> 4) << PciBridge.MEMORY_WINDOW_SHIFT
    | <u64>configDword(b, bridge, PciBridge.PREFETCH_BASE_HI) << 32;
  const wideLimit = <u64>(configWord(b, bridge, PciBridge.PREFETCH_LIMIT) >> 4) << PciBridge.MEMORY_WINDOW_SHIFT | low
    | <u64>configDword(b, bridge, PciBridge.PREFETCH_LIMIT_HI) << 32;
  return within(first, last, wideBase, wideLimit);
}

/** Whether all of a range of addresses or ports is forwarded by every bridge above. In part is not at all. */
export function windowsForward(b: usize, fn: u32, io: bool, first: u64, size: u32): bool {
  const last = first + size - 1;
  for (let up = parentOf(b, fn); up != 0; up = parentOf(b, up - 1)) {
    if (!(io ? portsForwarded(b, up - 1, first, last) : memoryForwarded(b, up - 1, first, last))) return false;
  }
  return true;
}
