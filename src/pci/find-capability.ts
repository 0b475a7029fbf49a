import { Pci, PciStatus } from '../../assembly/spec/pci';
import type { ConfigAccess } from './access';

/** Config offset of a capability, 0 when the function has none. Bounded: a list has at most 48 entries. */
export function findCapability(config: ConfigAccess, id: number): number {
  if ((config.read(Pci.STATUS, 2) & PciStatus.CAPABILITIES) === 0) return 0;
  let off = config.read(Pci.CAPABILITY_POINTER, 1) & ~3;
  for (let i = 0; i < 48 && off !== 0; i++) {
    if (config.read(off, 1) === id) return off;
    off = config.read(off + 1, 1) & ~3;
  }
  return 0;
}
