// Disks in machine descriptions: an NVMe controller of one namespace, in RAM.
import { Model } from '../../assembly/spec/state';
import type { DeviceDefinition } from '../devices/definition';
import { nvme } from '../devices/nvme/index';
import { PortcullisError } from '../errors';
import { parseSize } from './size';

export interface DiskDescription {
  /** Of an NVMe controller: size of its disk in RAM, as in `64MiB`. */
  disk?: string;
  /** Bytes of a block (default 512). */
  blockSize?: 512 | 4096;
  /** It takes no writes (default false). */
  readOnly?: boolean;
}

export const DISK_FIELDS = ['disk', 'blockSize', 'readOnly'] as const;

/** Disk of a controller whose description names none. */
const DEFAULT_DISK = '1MiB';

/** The controller as firmware and the list of models know it. */
export const defaultNvme = nvme({ namespaces: [{ size: parseSize(DEFAULT_DISK, 'disk') }] });

/** The definition with the disk that the description wants. Throws NO_DISK for a disk of a device that has none. */
export function withDisk(definition: DeviceDefinition, device: DiskDescription & { bdf: string }): DeviceDefinition {
  const { disk = DEFAULT_DISK, blockSize = 512, readOnly = false } = device;
  if (definition !== defaultNvme) {
    const field = DISK_FIELDS.find((name) => device[name] !== undefined);
    if (field === undefined) return definition;
    throw new PortcullisError('NO_DISK', `${device.bdf} has "${field}", and ${definition.model} has no disk; nvme has`, { field });
  }
  return nvme({ namespaces: [{ size: parseSize(disk, `disk of ${device.bdf}`), blockSize, readOnly }] });
}

/** Bytes of the heap that disks in RAM take beside what devices take otherwise. */
export function diskBytes(definitions: readonly DeviceDefinition[]): number {
  return definitions.filter(({ engineModel }) => engineModel === Model.NVME).reduce((sum, { stateSize }) => sum + stateSize, 0);
}
