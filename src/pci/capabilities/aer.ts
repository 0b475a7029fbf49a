import { PciExtCap } from '../../../assembly/spec/pci';
import { field } from '../fields';
import type { Capability } from './capability';

/** Uncorrectable errors that have a bit: data link, TLP poisoned to unsupported request (PCI Express 6.0 §7.8.4.2). */
const UNCORRECTABLE = 0x001ff010;
/** Data link, surprise down, flow control, overflow, malformed TLP and internal errors are fatal after reset. */
const FATAL = 0x00462030;
const CORRECTABLE = 0x000031c1;
/** Advisory non-fatal errors are masked after reset. */
const ADVISORY = 0x00002000;

/**
 * Advanced error reporting (PCI Express 6.0 §7.8.4). The engine reports no error: status stays 0, masks are kept.
 *
 *       31       20 19  16 15                 0
 *   00 | Next      | Ver. | ID = 0001         |
 *   04 | Uncorrectable error status    (RW1C) |
 *   08 | Uncorrectable error mask             |
 *   0C | Uncorrectable error severity         |
 *   10 | Correctable error status      (RW1C) |
 *   14 | Correctable error mask               |
 *   18 | Capabilities and control             |
 *   1C | Header log, four dwords              |
 *   2C | Root error command  (root port only) |
 *   30 | Root error status             (RW1C) |
 *   34 | Source identification                |
 */
export function aerCapability({ off, rootPort = false }: { off: number; rootPort?: boolean }): Capability {
  return {
    name: 'AER', id: PciExtCap.AER, version: 2, off, size: rootPort ? 0x38 : 0x2c,
    fields: () => [
      field('Uncorrectable Error Status', 0x04, 4, '', { clearable: UNCORRECTABLE }),
      field('Uncorrectable Error Mask', 0x08, 4, '', { writable: UNCORRECTABLE }),
      field('Uncorrectable Error Severity', 0x0c, 4, '', { value: FATAL, writable: UNCORRECTABLE }),
      field('Correctable Error Status', 0x10, 4, '', { clearable: CORRECTABLE }),
      field('Correctable Error Mask', 0x14, 4, '', { value: ADVISORY, writable: CORRECTABLE }),
      field('Capabilities and Control', 0x18, 4, 'no ECRC'),
      ...(rootPort ? [
        field('Root Error Command', 0x2c, 4, '', { writable: 0x7 }),
        field('Root Error Status', 0x30, 4, '', { clearable: 0x7f }),
        field('Error Source Identification', 0x34, 4, ''),
      ] : []),
    ],
  };
}
