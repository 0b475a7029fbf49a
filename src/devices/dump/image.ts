// Config space of a dumped function: the bytes of the file, and what a write may change of them.
import { Msi, Msix, Pci, PciBridge, PciCap, PciCommand, PciExp, PciExtCap, PciStatus, Pm } from '../../../assembly/spec/pci';
import type { ConfigImage } from '../../pci/config-space';
import type { FoundCapability } from '../../pci/capability-list';
import type { BarRange } from '../../pci/capabilities/capability';
import { type DumpedBar, ROM } from './bars';

/** What of a register is software's. */
interface Register {
  readonly off: number;
  readonly bytes: 1 | 2 | 4;
  readonly writable?: number;
  readonly clearable?: number;
  /** Value of the writable bits after a reset, when it is not 0. */
  readonly reset?: number;
  /** Bits that are off when the machine starts, whatever the file says. */
  readonly off0?: number;
}

const COMMAND = PciCommand.IO | PciCommand.MEMORY | PciCommand.MASTER | PciCommand.PARITY | PciCommand.SERR
  | PciCommand.INTX_DISABLE;
/** Special cycles, memory write and invalidate, VGA snoop, stepping, fast back-to-back: where the file has them on. */
const COMMAND_OTHERS = 0x02b8;
// parity response, SERR, ISA, VGA, VGA 16-bit, secondary bus reset (PCI Express 6.0 §7.5.1.3.13)
const BRIDGE_CONTROL = 0x005f;

function header(bars: readonly DumpedBar[], bridge: boolean, express: boolean, view: DataView, messages: boolean): Register[] {
  const command = view.getUint16(Pci.COMMAND, true);
  const common: Register[] = [
    // a driver that uses messages has turned the pin off, and gives it back with them
    { off: Pci.COMMAND, bytes: 2, writable: COMMAND | (command & COMMAND_OTHERS), off0: messages ? PciCommand.INTX_DISABLE : 0 },
    { off: Pci.STATUS, bytes: 2, clearable: PciStatus.RW1C },
    { off: Pci.CACHE_LINE_SIZE, bytes: 1, writable: 0xff },
    { off: Pci.LATENCY_TIMER, bytes: 1, writable: express ? 0 : 0xff },
    { off: Pci.INTERRUPT_LINE, bytes: 1, writable: 0xff },
    ...bars.flatMap((bar) => barRegisters(bar, bridge)),
  ];
  return bridge ? [...common, ...bridgeRegisters(view)] : common;
}

function barRegisters({ index, kind, size }: DumpedBar, bridge: boolean): Register[] {
  const low = size >= 2 ** 32 ? 0 : -size;
  if (index === ROM) return [{ off: bridge ? PciBridge.ROM_ADDRESS : Pci.ROM_ADDRESS, bytes: 4, writable: low | 1 }];
  const off = Pci.BAR0 + 4 * index;
  if (kind !== 'memory64') return [{ off, bytes: 4, writable: low }];
  return [{ off, bytes: 4, writable: low }, { off: off + 4, bytes: 4, writable: -Math.ceil(size / 2 ** 32) }];
}

/** Bus numbers, and the windows that the bridge has: one whose base and limit read as 0 may be none. */
function bridgeRegisters(view: DataView): Register[] {
  const registers: Register[] = [
    { off: PciBridge.PRIMARY_BUS, bytes: 1, writable: 0xff }, { off: PciBridge.SECONDARY_BUS, bytes: 1, writable: 0xff },
    { off: PciBridge.SUBORDINATE_BUS, bytes: 1, writable: 0xff },
    { off: PciBridge.SECONDARY_STATUS, bytes: 2, clearable: PciStatus.RW1C },
    { off: PciBridge.MEMORY_BASE, bytes: 2, writable: 0xfff0 }, { off: PciBridge.MEMORY_LIMIT, bytes: 2, writable: 0xfff0 },
    { off: PciBridge.CONTROL, bytes: 2, writable: BRIDGE_CONTROL, off0: PciBridge.CONTROL_SECONDARY_RESET },
  ];
  if (view.getUint16(PciBridge.IO_BASE, true) !== 0) {
    registers.push({ off: PciBridge.IO_BASE, bytes: 1, writable: 0xf0 }, { off: PciBridge.IO_LIMIT, bytes: 1, writable: 0xf0 });
  }
  if (view.getUint32(PciBridge.PREFETCH_BASE, true) !== 0) {
    const wide = (view.getUint16(PciBridge.PREFETCH_BASE, true) & PciBridge.PREFETCH_64) !== 0 ? -1 : 0;
    registers.push(
      { off: PciBridge.PREFETCH_BASE, bytes: 2, writable: 0xfff0 }, { off: PciBridge.PREFETCH_LIMIT, bytes: 2, writable: 0xfff0 },
      { off: PciBridge.PREFETCH_BASE_HI, bytes: 4, writable: wide }, { off: PciBridge.PREFETCH_LIMIT_HI, bytes: 4,
        writable: wide },
    );
  }
  return registers;
}

function powerManagement(view: DataView, off: number): Register[] {
  // PME can be enabled where the function can send one from any state (PCI PM 1.2 §3.2.3)
  const pme = view.getUint16(off + Pm.PMC, true) >>> 11 !== 0;
  return [{
    off: off + Pm.PMCSR, bytes: 2, writable: Pm.PMCSR_STATE_MASK | (pme ? Pm.PMCSR_PME_ENABLE : 0),
    clearable: pme ? Pm.PMCSR_PME_STATUS : 0, off0: Pm.PMCSR_STATE_MASK,
  }];
}

function msi(view: DataView, off: number): Register[] {
  const control = view.getUint16(off + Msi.CONTROL, true);
  const wide = (control & Msi.CONTROL_64BIT) !== 0;
  const registers: Register[] = [
    { off: off + Msi.CONTROL, bytes: 2, writable: Msi.CONTROL_ENABLE | Msi.CONTROL_MME_MASK, off0: Msi.CONTROL_ENABLE },
    { off: off + Msi.ADDRESS, bytes: 4, writable: -4 },
    { off: off + (wide ? Msi.DATA_64 : Msi.DATA_32), bytes: 2, writable: 0xffff },
  ];
  if (wide) registers.push({ off: off + Msi.ADDRESS_HI, bytes: 4, writable: -1 });
  if ((control & Msi.CONTROL_PER_VECTOR_MASKING) !== 0) {
    const vectors = 1 << Math.min(5, control >> Msi.CONTROL_MMC_SHIFT & 7);
    registers.push({ off: off + (wide ? Msi.MASK_64 : Msi.MASK_32), bytes: 4, writable: vectors === 32 ? -1
      : (1 << vectors) - 1 });
  }
  return registers;
}

function msix(_view: DataView, off: number): Register[] {
  const bits = Msix.CONTROL_ENABLE | Msix.CONTROL_FUNCTION_MASK;
  return [{ off: off + Msix.CONTROL, bytes: 2, writable: bits, off0: bits }];
}

/** Which registers there are depends on the version and the kind of function (PCI Express 6.0 §7.5.3). */
function express(view: DataView, off: number): Register[] {
  const flags = view.getUint16(off + PciExp.FLAGS, true);
  const type = flags >> PciExp.FLAGS_TYPE_SHIFT & 0xf;
  const root = type === PciExp.TYPE_ROOT_PORT;
  const link = type !== PciExp.TYPE_ROOT_COMPLEX_ENDPOINT;
  const registers: Register[] = [
    { off: off + PciExp.DEVCTL, bytes: 2, writable: 0x7fff, reset: 0x2810 },
    { off: off + PciExp.DEVSTA, bytes: 2, clearable: PciExp.DEVSTA_RW1C },
  ];
  if (link) registers.push({ off: off + PciExp.LNKCTL, bytes: 2, writable: 0x0fcb });
  // bit 8: there is a slot
  if ((flags & 0x100) !== 0) {
    registers.push({ off: off + PciExp.SLTCTL, bytes: 2, writable: 0x1fff }, { off: off + PciExp.SLTSTA, bytes: 2,
      clearable: 0x011f });
  }
  if (root) registers.push({ off: off + PciExp.ROOTCTL, bytes: 2, writable: 0x1f }, { off: off + PciExp.ROOTSTA, bytes: 4,
    clearable: 0x10000 });
  if ((flags & 0xf) < 2) return registers;
  registers.push({ off: off + PciExp.DEVCTL2, bytes: 2, writable: 0x7fff });
  if (link) registers.push({ off: off + PciExp.LNKCTL2, bytes: 2, writable: 0xf, reset: view.getUint16(off + PciExp.LNKCTL2,
    true) & 0xf });
  return registers;
}

/** Error status, masks and severities (PCI Express 6.0 §7.8.4); masks and severities survive a reset as they are. */
function aer(view: DataView, off: number): Register[] {
  const kept = (at: number): Register => ({ off: at, bytes: 4, writable: -1, reset: view.getUint32(at, true) });
  return [
    { off: off + 0x04, bytes: 4, clearable: -1 }, kept(off + 0x08), kept(off + 0x0c), { off: off + 0x10, bytes: 4,
      clearable: -1 },
    kept(off + 0x14),
  ];
}

type Rule = (view: DataView, off: number) => Register[];
/** Everything that is not here is read-only. An inert device does nothing that could be asked for there. */
const RULES: ReadonlyMap<number, { bytes: number; rule: Rule }> = new Map([
  [PciCap.PM, { bytes: Pm.SIZE, rule: powerManagement }], [PciCap.MSI, { bytes: 10, rule: msi }],
  [PciCap.MSIX, { bytes: Msix.SIZE, rule: msix }], [PciCap.EXP, { bytes: PciExp.LNKCAP, rule: express }],
]);
const EXTENDED_RULES: ReadonlyMap<number, { bytes: number; rule: Rule }> = new Map([
  [PciExtCap.AER, { bytes: 0x1c, rule: aer }],
]);

/** The first of each kind, as software looks for it; one that the end cuts off is left alone. */
function capabilityRegisters(view: DataView, capabilities: readonly FoundCapability[]): Register[] {
  return capabilities.flatMap(({ id, off, version }, index) => {
    const known = (version === undefined ? RULES : EXTENDED_RULES).get(id);
    const first = capabilities.findIndex((one) => one.id === id && (one.version === undefined) === (version === undefined));
    return known === undefined || first !== index || off + known.bytes > view.byteLength ? [] : known.rule(view, off);
  });
}

function messagesOn(view: DataView, at: Readonly<Record<'msiCap' | 'msixCap', number>>): boolean {
  return (at.msiCap !== 0 && (view.getUint16(at.msiCap + Msi.CONTROL, true) & Msi.CONTROL_ENABLE) !== 0)
    || (at.msixCap !== 0 && (view.getUint16(at.msixCap + Msix.CONTROL, true) & Msix.CONTROL_ENABLE) !== 0);
}

/**
 * The image. It begins with the file's bytes, but in power state D0 and with interrupt messages off, as a driver finds
 * a function; after a reset its writable bits are off. A file with 64 bytes gives 256, the rest 0.
 */
export function dumpImage(bytes: Uint8Array, capabilities: readonly FoundCapability[], bars: readonly DumpedBar[],
  table: { vectors: number; table: BarRange; pending: BarRange } | undefined): ConfigImage {
  const size = bytes.length <= Pci.CONFIG_SIZE ? Pci.CONFIG_SIZE : Pci.EXTENDED_CONFIG_SIZE;
  const value = new Uint8Array(size);
  value.set(bytes);
  const view = new DataView(value.buffer);
  const offsetOf = (id: number): number => {
    const off = capabilities.find((one) => one.id === id && one.version === undefined)?.off ?? 0;
    return off + (RULES.get(id)?.bytes ?? 0) > size ? 0 : off;
  };
  const at = {
    pmCap: offsetOf(PciCap.PM), msiCap: offsetOf(PciCap.MSI), msixCap: offsetOf(PciCap.MSIX), expressCap: offsetOf(PciCap.EXP),
  };
  const bridge = (view.getUint8(Pci.HEADER_TYPE) & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT;
  const registers = [
    ...header(bars, bridge, at.expressCap !== 0, view, messagesOn(view, at)), ...capabilityRegisters(view, capabilities),
  ];
  const [writable, clearable, reset] = [new Uint8Array(size), new Uint8Array(size), value.slice()];
  for (const register of registers) {
    for (let i = 0; i < register.bytes && register.off + i < size; i++) {
      const byte = (mask: number | undefined): number => ((mask ?? 0) >>> (8 * i)) & 0xff;
      const off = register.off + i;
      writable[off] = byte(register.writable);
      clearable[off] = byte(register.clearable);
      value[off] = (value[off] as number) & ~byte(register.off0);
      reset[off] = ((reset[off] as number) & ~(byte(register.writable) | byte(register.clearable)))
        | (byte(register.reset) & byte(register.writable));
    }
  }
  // whose bit 3 shows the pin's level, which is the engine's
  for (const plane of [value, reset]) plane[Pci.STATUS] = (plane[Pci.STATUS] as number) & ~PciStatus.INTERRUPT;
  return { value, reset, writable, clearable, ...at, msix: table };
}

