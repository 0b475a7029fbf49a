// Dumps in machine descriptions: the file is read once, when the machine is made; from then on its text goes along.
import { type DumpedDevice, dumpDevices } from '../devices/dump/index';
import { PortcullisError } from '../errors';
import { parseLspciDump } from '../pci/lspci-dump';

export interface DumpDescription {
  model: 'dump';
  /** Path of what `lspci -vv -xxxx` printed; relative to the machine's own file. */
  file: string;
  /** Addresses of the functions to take, with what leads to them (default: all). */
  only?: string[];
  /** The functions have the addresses and interrupts that the file tells (default: those that firmware gives). */
  keep?: boolean;
  /** What is in the file. A host that reads no files gives it, and a snapshot has it. */
  text?: string;
}

export function isDump(device: { model: string }): device is DumpDescription {
  return device.model === 'dump';
}

/** Gives the text of a file that a description names. */
export type ReadFile = (path: string) => string | Promise<string>;

function noFiles(path: string): never {
  throw new PortcullisError('NO_FILES',
    `"${path}" cannot be read here; give its content as "text", or a readFile to Machine.create`,
    { path });
}

/** The description with the text of each dump in it. Throws NO_DUMP_FILE for a dump without a file's name. */
export async function withDumps<Device extends { model: string }, Description extends { devices?: Device[] }>(
  description: Description, readFile: ReadFile = noFiles): Promise<Description> {
  const { devices } = description;
  if (!Array.isArray(devices) || !devices.some(isDump)) return description;
  const read = async (device: Device): Promise<Device> => {
    if (!isDump(device)) return device;
    if (typeof device.file !== 'string') {
      throw new PortcullisError('NO_DUMP_FILE', 'a dump has no "file"; it is the path of what lspci -vv -xxxx printed');
    }
    return device.text === undefined ? { ...device, text: await readFile(device.file) } : device;
  };
  return { ...description, devices: await Promise.all(devices.map(read)) };
}

/** The devices of a dump whose text is there. Throws BAD_DUMP and NOT_IN_DUMP, with the file's name, and NO_FILES. */
export function devicesOfDump({ file, text, only }: DumpDescription): DumpedDevice[] {
  if (only !== undefined && (!Array.isArray(only) || only.some((one) => typeof one !== 'string'))) {
    throw new PortcullisError('BAD_DUMP', `${file}: "only" is a list of addresses, such as ["00:1f.2"]`, { file });
  }
  return dumpDevices(parseLspciDump(text ?? noFiles(file), file), file, only);
}
