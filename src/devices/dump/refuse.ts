import { PortcullisError } from '../../errors';
import { formatBdf } from '../../pci/bdf';
import type { DumpedFunction } from '../../pci/lspci-dump';

/** A function that cannot become a device. Throws BAD_DUMP. */
export function refuse({ bdf, line }: DumpedFunction, name: string, why: string): never {
  throw new PortcullisError('BAD_DUMP', `${name}, line ${line}: ${formatBdf(bdf)}: ${why}`, { name, line, bdf: formatBdf(bdf) });
}
