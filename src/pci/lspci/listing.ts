/**
 * What `lspci` prints: a line for each function; decoded with `verbose` 1 to 3, as bytes with `hex` 1 (the header),
 * 3 (256 bytes) and 4 (all). The wording is that of pciutils with -nn, so that people and scripts find their way.
 */

import { Pci } from '../../../assembly/spec/pci';
import { bdfOf, formatBdf } from '../bdf';
import { capabilityLines } from './capabilities';
import { headerLines } from './header';
import { ConfigBytes, hex } from './image';
import { className, interfaceName, vendorName } from './names';
import type { Hex, ListedFunction, ListingOptions, Verbosity } from './types';

const HEX_BYTES: Readonly<Record<Hex, number>> = { 0: 0, 1: 64, 2: 64, 3: Pci.CONFIG_SIZE, 4: Pci.EXTENDED_CONFIG_SIZE };

export function listFunctions(functions: readonly ListedFunction[], options: ListingOptions): string {
  const apart = options.verbose > 0 || options.hex > 0;
  return functions.map((one) => {
    const wanted = Math.max(HEX_BYTES[options.hex], options.verbose > 0 ? Pci.EXTENDED_CONFIG_SIZE : 64);
    const bytes = readBytes(one, wanted);
    const lines = [titleLine(one, bytes, options.verbose), ...(options.verbose > 0 ? details(one, bytes, options) : []),
      ...hexLines(bytes, HEX_BYTES[options.hex])];
    return `${lines.join('\n')}\n${apart ? '\n' : ''}`;
  }).join('');
}

/** A dword that cannot be read is all ones, as it is on a bus without the device. */
function readBytes({ config }: ListedFunction, wanted: number): ConfigBytes {
  const size = Math.min(config.size, wanted);
  const view = new DataView(new ArrayBuffer(size));
  for (let off = 0; off < size; off += 4) {
    const { code, value } = config.read(off, 4);
    view.setUint32(off, code === 0 ? value : 0xffffffff, true);
  }
  return new ConfigBytes(new Uint8Array(view.buffer));
}

function titleLine({ routing, name }: ListedFunction, bytes: ConfigBytes, verbose: Verbosity): string {
  const [vendor, device] = [bytes.u16(Pci.VENDOR_ID), bytes.u16(Pci.DEVICE_ID)];
  const code = bytes.u16(Pci.SUBCLASS);
  const words = name ?? [vendorName(vendor), 'Device'].filter(Boolean).join(' ');
  const revision = bytes.u8(Pci.REVISION_ID);
  const prog = bytes.u8(Pci.PROG_IF);
  const progName = interfaceName(code << 8 | prog);
  const shown = verbose > 0 && (prog !== 0 || progName !== undefined);
  return `${formatBdf(bdfOf(routing)).slice(5)} ${className(code)} [${hex(code, 4)}]: ${words} [${hex(vendor, 4)}:${hex(device, 4)}]`
    + (revision === 0 ? '' : ` (rev ${hex(revision, 2)})`)
    + (shown ? ` (prog-if ${hex(prog, 2)}${progName === undefined ? '' : ` [${progName}]`})` : '');
}

function details(one: ListedFunction, bytes: ConfigBytes, { verbose }: ListingOptions): string[] {
  const lines = [...headerLines(one, bytes, verbose), ...capabilityLines(bytes, verbose)];
  if (one.driver !== undefined) lines.push(`Kernel driver in use: ${one.driver}`);
  return lines.map((line) => `\t${line}`);
}

function hexLines(bytes: ConfigBytes, most: number): string[] {
  const lines: string[] = [];
  for (let off = 0; off < Math.min(most, bytes.size); off += 16) {
    const row = Array.from({ length: 16 }, (_, i) => hex(bytes.u8(off + i), 2));
    lines.push(`${hex(off, 2)}: ${row.join(' ')}`);
  }
  return lines;
}
