/**
 * What `lspci -vv -xxxx` prints, read: per function a line with address and title, lines of text behind a tab, lines of
 * bytes in hexadecimal, an empty line. Any of -v, -vv, -x, -xxx, -xxxx, -n, -nn and -D may have been given, or not.
 * Of the text, only facts are kept that the bytes do not have: sizes, what the kernel said.
 */
import { Pci, PciBar, PciBridge } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { type Bdf, formatBdf } from './bdf';

/** A BAR or the expansion ROM, as the text has it. */
export interface DumpedRegion {
  readonly io: boolean;
  /** Undefined where the text says <unassigned> or <ignored>. */
  readonly address: number | undefined;
  /** Bytes; undefined where the text does not say. */
  readonly size: number | undefined;
  readonly wide: boolean;
  readonly prefetchable: boolean;
  /** Not in a register: the kernel's own idea of where something is. */
  readonly virtual: boolean;
}

/** A capability, as the text has it. */
export interface DumpedCapability {
  readonly off: number;
  /** Version of an extended one; undefined for others. */
  readonly version: number | undefined;
  readonly text: string;
}

export interface DumpedFunction {
  readonly bdf: Bdf;
  /** Line of its address, counted from 1. */
  readonly line: number;
  /** What is behind the address: `Ethernet controller: …`. */
  readonly title: string;
  /** Config space from byte 0 on, as far as the file has it: none, 64, 128, 256 or 4096 bytes. */
  readonly bytes: Uint8Array;
  /** Whether there is text about it beyond its title. */
  readonly verbose: boolean;
  /** By register number. */
  readonly regions: ReadonlyMap<number, DumpedRegion>;
  readonly rom: DumpedRegion | undefined;
  readonly capabilities: readonly DumpedCapability[];
  /** Whoever made the dump was not allowed to read the capabilities. */
  readonly denied: boolean;
  /** The kernel's number for the interrupt; that of a message where the driver uses messages. */
  readonly irq: number | undefined;
  readonly driver: string | undefined;
  readonly iommuGroup: number | undefined;
  /** The firmware's name for it. */
  readonly deviceName: string | undefined;
}

const TITLE = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7]) (.*)$/i;
const BYTES = /^([0-9a-f]{2,3}):((?: [0-9a-f]{2})+)\s*$/i;
/** What lspci and its library complain of, on the same terminal. */
const COMPLAINT = /^(?:lspci|pcilib): /;
const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
/** Lengths in which lspci prints config space. */
const LENGTHS = [0, 64, 128, Pci.CONFIG_SIZE, Pci.EXTENDED_CONFIG_SIZE];

/** A function while its lines are read. */
class Draft {
  readonly bytes: number[] = [];
  verbose = false;
  readonly regions = new Map<number, DumpedRegion>();
  /** Of `lspci -v`, which does not number them. */
  readonly unnumbered: DumpedRegion[] = [];
  rom: DumpedRegion | undefined;
  readonly capabilities: DumpedCapability[] = [];
  denied = false;
  irq: number | undefined;
  driver: string | undefined;
  iommuGroup: number | undefined;
  deviceName: string | undefined;

  constructor(readonly bdf: Bdf, readonly line: number, readonly title: string) {}

  /** One line of text, without the tab. Lines that say nothing of use are most of them. */
  text(line: string): void {
    this.verbose = true;
    const region = /^(?:Region (\d): )?((?:\[virtual\] )?(?:Memory|I\/O ports) at .*)$/.exec(line);
    if (region !== null) {
      const read = regionOf(region[2] as string);
      if (region[1] === undefined) this.unnumbered.push(read);
      else this.regions.set(Number(region[1]), read);
      return;
    }
    if (/^(?:\[virtual\] )?Expansion ROM at /.test(line)) {
      this.rom = regionOf(line);
      return;
    }
    if (/^Capabilities: <access denied>/.test(line)) this.denied = true;
    const capability = /^Capabilities: \[([0-9a-f]+)(?: v(\d+))?\] (.*)$/.exec(line);
    if (capability !== null) {
      const [, off, version, text] = capability;
      this.capabilities.push({
        off: parseInt(off as string, 16), version: version === undefined ? undefined : Number(version), text: text as string,
      });
    }
    this.irq ??= numberIn(/^(?:Interrupt: .*routed to|Flags: .*\b)\s?IRQ (\d+)/, line);
    this.iommuGroup ??= numberIn(/^(?:IOMMU group: |Flags: .*\bIOMMU group )(\d+)/, line);
    this.driver ??= /^Kernel driver in use: (\S+)/.exec(line)?.[1];
    this.deviceName ??= /^DeviceName: *(\S.*)$/.exec(line)?.[1];
  }

  done(): DumpedFunction {
    const bytes = Uint8Array.from(this.bytes);
    number(bytes, this.unnumbered, this.regions);
    const { bdf, line, title, verbose, regions, rom, capabilities, denied, irq, driver, iommuGroup, deviceName } = this;
    return { bdf, line, title, bytes, verbose, regions, rom, capabilities, denied, irq, driver, iommuGroup, deviceName };
  }
}

function numberIn(pattern: RegExp, line: string): number | undefined {
  const found = pattern.exec(line)?.[1];
  return found === undefined ? undefined : Number(found);
}

function regionOf(line: string): DumpedRegion {
  const address = / at ([0-9a-f]+)\b/.exec(line)?.[1];
  const size = /\[size=(\d+)([KMGT]?)\]/.exec(line);
  return {
    io: /I\/O ports/.test(line),
    address: address === undefined ? undefined : parseInt(address, 16),
    size: size === null ? undefined : Number(size[1]) * (UNITS[size[2] as string] as number),
    wide: /\(64-bit/.test(line), prefetchable: /[ (]prefetchable/.test(line), virtual: /\[virtual\]/.test(line),
  };
}

/** Finds the register of each region that has no number: they come in the order of the registers. */
function number(bytes: Uint8Array, unnumbered: readonly DumpedRegion[], regions: Map<number, DumpedRegion>): void {
  const view = new DataView(bytes.buffer);
  const registers = bytes.length < 64 ? 0 : registersOf(view);
  let index = 0;
  for (const region of unnumbered) {
    for (let at = index; at < registers && !region.virtual; at++) {
      if (addressIn(view, at, region) !== region.address) continue;
      regions.set(at, region);
      index = at + (region.wide ? 2 : 1);
      break;
    }
  }
}

function registersOf(view: DataView): number {
  return (view.getUint8(Pci.HEADER_TYPE) & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT ? PciBridge.BARS : 6;
}

function addressIn(view: DataView, index: number, { io, wide }: DumpedRegion): number | undefined {
  const off = Pci.BAR0 + 4 * index;
  const low = view.getUint32(off, true);
  if (((low & PciBar.SPACE_IO) !== 0) !== io) return undefined;
  const high = wide ? view.getUint32(off + 4, true) : 0;
  return high * 2 ** 32 + ((low & ~(io ? PciBar.IO_FLAGS : PciBar.MEMORY_FLAGS)) >>> 0);
}

function refuse(name: string, line: number, why: string): never {
  throw new PortcullisError('BAD_DUMP', `${name}, line ${line}: ${why}`, { name, line });
}

/**
 * The functions of a dump, in its order. `name` is the file's, for messages. Throws BAD_DUMP, with the line, for text
 * that lspci does not print: bytes that do not follow each other, a function that is there twice, a file without any.
 */
export function parseLspciDump(text: string, name = 'the dump'): DumpedFunction[] {
  const found: DumpedFunction[] = [];
  const lines = new Map<string, number>();
  let draft: Draft | undefined;
  const finish = (line: number): void => {
    if (draft === undefined) return;
    const { length } = draft.bytes;
    if (!LENGTHS.includes(length)) {
      refuse(name, line, `${formatBdf(draft.bdf)} ends after ${length} bytes of its config space, where lspci prints 64, `
        + '256 or 4096: the file seems cut off; make it again');
    }
    found.push(draft.done());
    draft = undefined;
  };
  const all = text.replace(/^\ufeff/, '').split(/\r?\n|\r/);
  all.forEach((raw, index) => {
    const at = index + 1;
    const line = raw.trimEnd();
    const title = TITLE.exec(line);
    const bytes = BYTES.exec(line);
    if (line === '') finish(at);
    else if (title !== null) {
      finish(at);
      draft = new Draft(bdfIn(title, name, at), at, title[5] as string);
      const key = formatBdf(draft.bdf);
      const before = lines.get(key);
      if (before !== undefined) refuse(name, at, `${key} is there a second time, after line ${before}; take one out`);
      lines.set(key, at);
    } else if (COMPLAINT.test(line)) return;
    else if (draft === undefined) {
      refuse(name, at, `"${line.slice(0, 40)}" is no line of lspci's; a function begins with its address, as in `
        + '"00:1f.2 SATA controller: …"; make the file with lspci -vv -xxxx, as root');
    } else if (bytes !== null) addBytes(draft, bytes, name, at);
    else if (/^\s/.test(line)) draft.text(line.trim());
    else refuse(name, at, `"${line.slice(0, 40)}" is neither text (it begins with a tab) nor bytes ("00: 86 80 …")`);
  });
  finish(all.length);
  if (found.length === 0) refuse(name, 1, 'there is no function in it; make the file with lspci -vv -xxxx, as root');
  return found;
}

function bdfIn([, segment, bus, device, fn]: RegExpExecArray, name: string, line: number): Bdf {
  const bdf = {
    segment: parseInt(segment ?? '0', 16), bus: parseInt(bus as string, 16), device: parseInt(device as string, 16),
    function: Number(fn),
  };
  if (bdf.device > 31) refuse(name, line, `there is no device number ${device}; they end at 1f`);
  return bdf;
}

function addBytes(draft: Draft, [, off, text]: RegExpExecArray, name: string, line: number): void {
  const at = parseInt(off as string, 16);
  const values = (text as string).trim().split(' ');
  if (at !== draft.bytes.length) {
    refuse(name, line, `bytes from ${off} on, where those from ${draft.bytes.length.toString(16).padStart(2, '0')} on are due`);
  }
  if (values.length !== 16) refuse(name, line, `${values.length} bytes, where lspci prints 16 in a line`);
  draft.bytes.push(...values.map((value) => parseInt(value, 16)));
}
