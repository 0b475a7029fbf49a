import { PortcullisError } from '../errors';
import { formatBdf, parseBdf, routingId } from '../pci/bdf';
import { FIRMWARE_FRAMES } from '../xen/hypervisor/hypervisor';
import type { ReservedRegion } from '../xen/hypervisor/reserved';
import { parseAddress } from './addresses';
import { parseSize } from './size';

const PAGE = 4096;

/** Memory that firmware has reserved for the DMA of devices. */
export interface ReservedDescription {
  /** Machine address, as in "0x100000": in the first 2 MiB, or beyond RAM. */
  address: string;
  size: string;
  /** The devices that it is for. */
  devices: string[];
}

export const RESERVED_FIELDS = ['address', 'size', 'devices'] as const;

/** Throws BAD_RESERVED for what cannot be reserved, or is for a device that there is not. */
export function resolveReserved(one: ReservedDescription, index: number, frames: number, there: ReadonlySet<number>): ReservedRegion {
  const what = `reserved region ${index}`;
  const refuse = (message: string, fields?: Record<string, unknown>): never => {
    throw new PortcullisError('BAD_RESERVED', message, fields);
  };
  const address = parseAddress(what, one.address, refuse);
  const size = parseSize(one.size, `the size of ${what}`);
  const [firstMfn, count] = [address / PAGE, size / PAGE];
  const firmware = address >= PAGE && firstMfn + count <= FIRMWARE_FRAMES;
  if (address % PAGE !== 0 || size % PAGE !== 0 || size === 0 || !(firmware || firstMfn >= frames)) {
    refuse(`${what} is ${one.size} at ${one.address}; it must be whole pages of 4 KiB from 0x1000 to 0x1fffff, or beyond RAM`,
      { address, size });
  }
  const routings = (Array.isArray(one.devices) ? one.devices : []).map((text) => {
    const bdf = parseBdf(text);
    const routing = routingId(bdf);
    return there.has(routing) ? routing : refuse(`${what} is for ${formatBdf(bdf)}, and there is no such device`, { bdf: text });
  });
  if (routings.length === 0) refuse(`${what} is for no device; name those that it is for`, { index });
  return { firstMfn, count, routings };
}
