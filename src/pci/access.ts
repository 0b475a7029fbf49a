import type { Engine } from '../engine/index';
import { PciBar, PciBridge, Pci, PciCommand } from '../../assembly/spec/pci';

/** Config accesses of one function, however they travel: ports, a hypercall, a ring. Widths 1, 2 and 4. */
export interface ConfigAccess {
  read(off: number, width: 1 | 2 | 4): number;
  write(off: number, width: 1 | 2 | 4, value: number): void;
}

export const CONFIG_ADDRESS = 0xcf8;
export const CONFIG_DATA = 0xcfc;

/** In and out at ports: a guest's, through the gate, or the machine's own. */
export interface PortAccess {
  in(port: number, width: 1 | 2 | 4): number;
  out(port: number, width: 1 | 2 | 4, value: number): void;
}

/** The machine's own ports, no gate in front: firmware and hypervisor. */
export function machinePorts(engine: Engine): PortAccess {
  return {
    in: (port, width) => engine.exports.portRead(port, width) >>> 0,
    out: (port, width, value) => engine.exports.portWrite(port, width, value),
  };
}

/** Configuration mechanism #1 (PCI Local Bus 3.0 §3.2.2.3.2): address at 0xCF8, data at 0xCFC. */
export function configByPorts(ports: PortAccess, routing: number): ConfigAccess {
  const select = (off: number): void => ports.out(CONFIG_ADDRESS, 4, (0x80000000 | routing << 8 | (off & 0xfc)) >>> 0);
  return {
    read: (off, width) => {
      select(off);
      return ports.in(CONFIG_DATA + (off & 3), width);
    },
    write: (off, width, value) => {
      select(off);
      ports.out(CONFIG_DATA + (off & 3), width, value);
    },
  };
}

/** The enhanced config space, where all 4096 bytes of a function are: the machine's own access, no gate in front. */
export function configByEcam(engine: Engine, routing: number): ConfigAccess {
  const { exports } = engine;
  const base = routing << 12;
  return {
    read: (off, width) => exports.ecamRead(base | off, width) >>> 0,
    write: (off, width, value) => exports.ecamWrite(base | off, width, value, 0),
  };
}

/** The same as the kernel of the first domain has it: the hypervisor keeps what programs messages. */
export function configOfOwner(engine: Engine, routing: number): ConfigAccess {
  const { exports } = engine;
  return {
    read: configByEcam(engine, routing).read,
    write: (off, width, value) => exports.ecamWriteOwner(routing << 12 | off, width, value, 0),
  };
}

export interface BarSize {
  index: number;
  io: boolean;
  wide: boolean;
  prefetchable: boolean;
  /** Bytes. */
  size: number;
  /** Where the register points now. */
  address: number;
}

/** Whether the function has a type 1 header. */
export function isBridge(config: ConfigAccess): boolean {
  return (config.read(Pci.HEADER_TYPE, 1) & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT;
}

/** Bytes of a BAR of 4 GiB and more, whose size shows in the register of its high half only. */
function highSize(config: ConfigAccess, off: number, before: number): number {
  config.write(off, 4, 0xffffffff);
  const mask = config.read(off, 4);
  config.write(off, 4, before);
  return ((mask & -mask) >>> 0) * 2 ** 32;
}

/**
 * Finds a function's BARs and their sizes as firmware does it: decode off, all ones written, read back, restored
 * (PCI Local Bus 3.0 §6.2.5.1).
 */
export function sizeBars(config: ConfigAccess): BarSize[] {
  const command = config.read(Pci.COMMAND, 2);
  config.write(Pci.COMMAND, 2, command & ~(PciCommand.IO | PciCommand.MEMORY));
  const found: BarSize[] = [];
  const registers = isBridge(config) ? PciBridge.BARS : 6;
  for (let index = 0; index < registers; index++) {
    const off = Pci.BAR0 + 4 * index;
    const before = config.read(off, 4) >>> 0;
    config.write(off, 4, 0xffffffff);
    const mask = config.read(off, 4) >>> 0;
    config.write(off, 4, before);
    if (mask === 0) continue;
    const io = (mask & PciBar.SPACE_IO) !== 0;
    const wide = !io && (mask & PciBar.MEMORY_TYPE_64) !== 0;
    const bits = (mask & ~(io ? PciBar.IO_FLAGS : PciBar.MEMORY_FLAGS)) >>> 0;
    const flagMask = io ? PciBar.IO_FLAGS : PciBar.MEMORY_FLAGS;
    const high = wide ? config.read(off + 4, 4) >>> 0 : 0;
    const size = bits === 0 && wide ? highSize(config, off + 4, high) : (bits & -bits) >>> 0;
    found.push({
      index, io, wide, prefetchable: !io && (mask & PciBar.PREFETCHABLE) !== 0,
      size, address: high * 2 ** 32 + ((before & ~flagMask) >>> 0),
    });
    if (wide) index++;
  }
  config.write(Pci.COMMAND, 2, command);
  return found;
}

/** Number of the expansion ROM among the BARs, as Linux has it. */
export const ROM_INDEX = 6;

/** The same for the expansion ROM of a type 0 header (PCI Local Bus 3.0 §6.2.5.2); undefined when there is none. */
export function sizeRom(config: ConfigAccess): BarSize | undefined {
  if (isBridge(config)) return undefined;
  const before = config.read(Pci.ROM_ADDRESS, 4) >>> 0;
  config.write(Pci.ROM_ADDRESS, 4, (0xffffffff & ~PciBar.ROM_FLAGS) >>> 0);
  const bits = (config.read(Pci.ROM_ADDRESS, 4) & ~PciBar.ROM_FLAGS) >>> 0;
  config.write(Pci.ROM_ADDRESS, 4, before);
  if (bits === 0) return undefined;
  return {
    index: ROM_INDEX, io: false, wide: false, prefetchable: false, size: (bits & -bits) >>> 0,
    address: (before & ~PciBar.ROM_FLAGS) >>> 0,
  };
}
