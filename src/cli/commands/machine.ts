/** Machines that a command line describes. */

import path from 'node:path';
import { PortcullisError } from '../../index';
import type { MachineDescription } from '../../index';
import { CommandError, endingOf, usage } from '../exit';
import { readFile } from '../files';

/** Reads a file that a description names, relative to the description's own. */
export type ReadNamed = (name: string) => string;

/** Makes something of the machine in a file; what is wrong with the machine is told with the file's name. */
export async function fromFile<T>(file: string,
  make: (description: MachineDescription, readNamed: ReadNamed) => Promise<T>): Promise<T> {
  const bytes = readFile(file, 'the machine', 'name a machine description in JSON, or none for the default machine');
  const description = parseMachine(new TextDecoder().decode(bytes), file);
  try {
    return await make(description, (name) => new TextDecoder()
      .decode(readFile(path.resolve(path.dirname(file), name), 'the dump', `correct its name in ${file}`)));
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    throw new CommandError(endingOf(error, false).exitCode, `${file}: ${error.message}`, { cause: error });
  }
}

/** The shape only: what the fields may hold, the machine checks. */
export function parseMachine(text: string, file: string): MachineDescription {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw usage(`${file} is no JSON (${error instanceof Error ? error.message : String(error)}); `
      + 'write a machine description such as {"devices": [{"model": "edu", "bdf": "0000:00:06.0"}]}');
  }
  if (!isObject(value)) throw usage(`${file}: a machine is a JSON object, as in {"memory": "64MiB"}`);
  const { devices, dom0, iommu } = value;
  if (devices !== undefined && !(Array.isArray(devices) && devices.every(isObject))) {
    throw usage(`${file}: devices must be a list of objects, as in [{"model": "edu", "bdf": "0000:00:06.0"}]`);
  }
  if (dom0 !== undefined && !isObject(dom0)) throw usage(`${file}: dom0 must be an object, as in {"memory": "8MiB"}`);
  if (iommu !== undefined && typeof iommu !== 'string' && !isObject(iommu)) {
    throw usage(`${file}: iommu must be "none", "vtd" or an object, as in {"kind": "vtd"}`);
  }
  return value as MachineDescription;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
