/** The capability lists in words; the details of the larger ones have files of their own. */

import { Msi, Msix, Pci, PciCap, PciExtCap, PciStatus, Pm } from '../../../assembly/spec/pci';
import { aerLines } from './aer';
import { expressLines } from './express';
import { subsystem } from './header';
import { type Bits, bitsOf, type ConfigBytes, flags, hex, sign } from './image';
import type { Described, Verbosity } from './types';

type Decoder = (bytes: ConfigBytes, off: number, verbose: Verbosity) => Described;

const named = (title: string): Decoder => () => ({ title, more: [] });

/** By id. */
const PLAIN: Readonly<Record<number, Decoder>> = {
  [PciCap.PM]: powerManagement,
  0x02: named('AGP'),
  [PciCap.VPD]: named('Vital Product Data'),
  0x04: named('Slot ID'),
  [PciCap.MSI]: msi,
  0x06: named('CompactPCI hot-swap'),
  [PciCap.PCIX]: named('PCI-X'),
  0x08: named('HyperTransport'),
  [PciCap.VENDOR]: (bytes, off) => ({ title: `Vendor Specific Information: Len=${hex(bytes.u8(off + 2), 2)}`, more: [] }),
  0x0a: named('Debug port'),
  0x0c: named('Hot-plug capable'),
  [PciCap.SUBSYSTEM]: (bytes, off) => ({ title: `Subsystem: ${subsystem(bytes.u16(off + 4), bytes.u16(off + 6))}`, more: [] }),
  [PciCap.EXP]: expressLines,
  [PciCap.MSIX]: msix,
  0x12: named('SATA HBA'),
  0x13: advancedFeatures,
  0x14: named('Enhanced Allocation (EA)'),
};

const EXTENDED: Readonly<Record<number, Decoder>> = {
  [PciExtCap.AER]: aerLines,
  0x0002: named('Virtual Channel'),
  [PciExtCap.SERIAL_NUMBER]: serialNumber,
  0x0004: named('Power Budgeting'),
  0x000b: named('Vendor Specific Information'),
  0x000d: accessControl,
  0x000e: named('Alternative Routing-ID Interpretation (ARI)'),
  0x000f: named('Address Translation Service (ATS)'),
  0x0010: named('Single Root I/O Virtualization (SR-IOV)'),
  0x0013: named('Page Request Interface (PRI)'),
  0x0015: named('Physical Resizable BAR'),
  0x0017: named('Transaction Processing Hints'),
  0x0018: named('Latency Tolerance Reporting'),
  0x0019: named('Secondary PCI Express'),
  0x001b: named('Process Address Space ID (PASID)'),
  0x001d: named('Downstream Port Containment'),
  0x001e: named('L1 PM Substates'),
  0x001f: named('Precision Time Measurement'),
};

/** Entries at most: a list that goes round ends there. */
const LIST_MAX = 48;
const EXTENDED_LIST_MAX = 960;

export function capabilityLines(bytes: ConfigBytes, verbose: Verbosity): string[] {
  return [...plainLines(bytes, verbose), ...extendedLines(bytes, verbose)];
}

function lines(head: string, { title, more }: Described, verbose: Verbosity): string[] {
  return [`Capabilities: [${head}] ${title}`, ...(verbose > 1 ? more.map((line) => `\t${line}`) : [])];
}

function plainLines(bytes: ConfigBytes, verbose: Verbosity): string[] {
  if ((bytes.u16(Pci.STATUS) & PciStatus.CAPABILITIES) === 0) return [];
  const found: string[] = [];
  let off = bytes.u8(Pci.CAPABILITY_POINTER) & ~3;
  for (let i = 0; i < LIST_MAX && off >= PciCap.FIRST_OFF && off < bytes.size; i++) {
    const id = bytes.u8(off);
    if (id === 0xff) {
      found.push(`Capabilities: [${hex(off, 2)}] <chain broken>`);
      break;
    }
    const decode = PLAIN[id] ?? named(`#${hex(id, 2)} [${hex(bytes.u16(off + 2), 4)}]`);
    found.push(...lines(hex(off, 2), decode(bytes, off, verbose), verbose));
    off = bytes.u8(off + 1) & ~3;
  }
  return found;
}

function extendedLines(bytes: ConfigBytes, verbose: Verbosity): string[] {
  const found: string[] = [];
  let off: number = PciExtCap.FIRST_OFF;
  for (let i = 0; i < EXTENDED_LIST_MAX && off >= PciExtCap.FIRST_OFF && off < bytes.size; i++) {
    const header = bytes.u32(off);
    if (header === 0 || header === 0xffffffff) break;
    const id = header & 0xffff;
    const version = verbose > 1 ? ` v${bitsOf(header, PciExtCap.VERSION_SHIFT, 4)}` : '';
    const decode = EXTENDED[id] ?? named(`Extended Capability ID ${hex(id, 2)}`);
    found.push(...lines(`${hex(off, 3)}${version}`, decode(bytes, off, verbose), verbose));
    off = (header >>> PciExtCap.NEXT_SHIFT) & ~3;
  }
  return found;
}

const PM_POWER = [0, 55, 100, 160, 220, 270, 320, 375];

function powerManagement(bytes: ConfigBytes, off: number): Described {
  const [pmc, control] = [bytes.u16(off + Pm.PMC), bytes.u16(off + Pm.PMCSR)];
  const wakes: Bits = [['D0', 0x0800], ['D1', 0x1000], ['D2', 0x2000], ['D3hot', 0x4000], ['D3cold', 0x8000]];
  return {
    title: `Power Management version ${pmc & 7}`,
    more: [
      `Flags: ${flags(pmc, [['PMEClk', 0x0008], ['DSI', 0x0020], ['D1', Pm.PMC_D1], ['D2', Pm.PMC_D2]])} `
        + `AuxCurrent=${PM_POWER[bitsOf(pmc, 6, 3)]}mA PME(${flags(pmc, wakes).replace(/ /g, ',')})`,
      `Status: D${control & Pm.PMCSR_STATE_MASK} ${flags(control, [['NoSoftRst', Pm.PMCSR_NO_SOFT_RESET],
        ['PME-Enable', Pm.PMCSR_PME_ENABLE]])} DSel=${bitsOf(control, 9, 4)} DScale=${bitsOf(control, 13, 2)} `
        + `PME${sign((control & Pm.PMCSR_PME_STATUS) !== 0)}`,
    ],
  };
}

function msi(bytes: ConfigBytes, off: number): Described {
  const control = bytes.u16(off + Msi.CONTROL);
  const wide = (control & Msi.CONTROL_64BIT) !== 0;
  const [used, able] = [2 ** bitsOf(control, Msi.CONTROL_MME_SHIFT, 3), 2 ** bitsOf(control, Msi.CONTROL_MMC_SHIFT, 3)];
  const address = (wide ? hex(bytes.u32(off + Msi.ADDRESS_HI), 8) : '') + hex(bytes.u32(off + Msi.ADDRESS), 8);
  const more = [`Address: ${address}  Data: ${hex(bytes.u16(off + (wide ? Msi.DATA_64 : Msi.DATA_32)), 4)}`];
  if ((control & Msi.CONTROL_PER_VECTOR_MASKING) !== 0) {
    more.push(`Masking: ${hex(bytes.u32(off + (wide ? Msi.MASK_64 : Msi.MASK_32)), 8)}  `
      + `Pending: ${hex(bytes.u32(off + (wide ? Msi.PENDING_64 : Msi.PENDING_32)), 8)}`);
  }
  return {
    title: `MSI: ${flags(control, [['Enable', Msi.CONTROL_ENABLE]])} Count=${used}/${able} `
      + flags(control, [['Maskable', Msi.CONTROL_PER_VECTOR_MASKING], ['64bit', Msi.CONTROL_64BIT]]),
    more,
  };
}

function msix(bytes: ConfigBytes, off: number): Described {
  const control = bytes.u16(off + Msix.CONTROL);
  const place = (at: number): string => {
    const value = bytes.u32(off + at);
    return `BAR=${value & Msix.BIR_MASK} offset=${hex((value & ~Msix.BIR_MASK) >>> 0, 8)}`;
  };
  return {
    title: `MSI-X: ${flags(control, [['Enable', Msix.CONTROL_ENABLE]])} Count=${(control & Msix.CONTROL_SIZE_MASK) + 1} `
      + flags(control, [['Masked', Msix.CONTROL_FUNCTION_MASK]]),
    more: [`Vector table: ${place(Msix.TABLE)}`, `PBA: ${place(Msix.PBA)}`],
  };
}

/** Conventional PCI Advanced Features ECN: a function-level reset for what is not PCI Express. */
function advancedFeatures(bytes: ConfigBytes, off: number): Described {
  return {
    title: 'PCI Advanced Features',
    more: [
      `AFCap: ${flags(bytes.u8(off + 3), [['TP', 0x01], ['FLR', 0x02]])}`,
      `AFCtrl: ${flags(bytes.u8(off + 4), [['FLR', 0x01]])}`,
      `AFStatus: ${flags(bytes.u8(off + 5), [['TP', 0x01]])}`,
    ],
  };
}

function serialNumber(bytes: ConfigBytes, off: number): Described {
  const digits = hex(bytes.u32(off + 8), 8) + hex(bytes.u32(off + 4), 8);
  return { title: `Device Serial Number ${(digits.match(/../g) ?? []).join('-')}`, more: [] };
}

/** Access control services (PCI Express 6.0 §7.7.11). */
const ACS: Bits = [['SrcValid', 0x01], ['TransBlk', 0x02], ['ReqRedir', 0x04], ['CmpltRedir', 0x08], ['UpstreamFwd', 0x10],
  ['EgressCtrl', 0x20], ['DirectTrans', 0x40]];

function accessControl(bytes: ConfigBytes, off: number): Described {
  return {
    title: 'Access Control Services',
    more: [`ACSCap:\t${flags(bytes.u16(off + 4), ACS)}`, `ACSCtl:\t${flags(bytes.u16(off + 6), ACS)}`],
  };
}
