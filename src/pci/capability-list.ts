// The two lists of capabilities of a config space as it is, be it nonsense: both end after as many steps as there is room.
import { Pci, PciCap, PciExtCap, PciStatus } from '../../assembly/spec/pci';

export interface FoundCapability {
  readonly id: number;
  readonly off: number;
  /** Version of an extended one; undefined for others. */
  readonly version: number | undefined;
}

/** PCI Local Bus 3.0 §6.7: from the pointer in the header, at most 48 of at least four bytes. */
function plainList(view: DataView): FoundCapability[] {
  const found: FoundCapability[] = [];
  if ((view.getUint16(Pci.STATUS, true) & PciStatus.CAPABILITIES) === 0) return found;
  const limit = Math.min(view.byteLength, Pci.CONFIG_SIZE);
  let off = view.getUint8(Pci.CAPABILITY_POINTER) & ~3;
  while (off >= PciCap.FIRST_OFF && off + 2 <= limit && !found.some((one) => one.off === off)) {
    const id = view.getUint8(off);
    if (id === 0xff) break;
    found.push({ id, off, version: undefined });
    off = view.getUint8(off + 1) & ~3;
  }
  return found;
}

/** PCI Express 6.0 §7.6.3: from 0x100 on. */
function extendedList(view: DataView): FoundCapability[] {
  const found: FoundCapability[] = [];
  let off: number = PciExtCap.FIRST_OFF;
  while (off >= PciExtCap.FIRST_OFF && off + 4 <= view.byteLength && !found.some((one) => one.off === off)) {
    const header = view.getUint32(off, true);
    if (header === 0 || header === 0xffffffff) break;
    found.push({ id: header & 0xffff, off, version: (header >>> PciExtCap.VERSION_SHIFT) & 0xf });
    off = (header >>> PciExtCap.NEXT_SHIFT) & ~3;
  }
  return found;
}

/** Capabilities of a config space, the extended ones last. Of fewer than 64 bytes there are none. */
export function capabilitiesIn(bytes: Uint8Array): FoundCapability[] {
  if (bytes.length < 64) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return [...plainList(view), ...extendedList(view)];
}
