// nvme: an NVM Express 1.4 controller. See assembly/devices/nvme for what is modelled. Ids and capabilities as QEMU's
// controller has them, and MSI besides.
import { Nvme, NvmeHealth, NvmeNamespace, NvmeState } from '../../../assembly/spec/nvme';
import { Model } from '../../../assembly/spec/state';
import { PortcullisError } from '../../errors';
import { expressCapability } from '../../pci/capabilities/express';
import { msiCapability } from '../../pci/capabilities/msi';
import { msixCapability } from '../../pci/capabilities/msix';
import { pmCapability } from '../../pci/capabilities/pm';
import type { DeviceDefinition } from '../definition';
import { effectsLog, firmwareLog, identifyController, identifyNamespace, namespaceGuid, serialNumber } from './identify';
import { NVME_REGISTERS } from './registers';

/** A namespace of a controller. */
export interface NvmeNamespaceOptions {
  /** Bytes, a multiple of the block size. */
  readonly size: number;
  /** Default 512. */
  readonly blockSize?: 512 | 4096;
  readonly readOnly?: boolean;
  /** Whether its bytes are a back end's of the host (see NvmeDisks) and not in RAM (default false). */
  readonly host?: boolean;
}

export interface NvmeOptions {
  readonly namespaces: readonly NvmeNamespaceOptions[];
  /** Up to 20 characters (default: follows from the address). */
  readonly serial?: string;
}

const RAM_MAX = 2 ** 30;

function check({ namespaces, serial = '' }: NvmeOptions): void {
  if (namespaces.length < 1 || namespaces.length > Nvme.NAMESPACES) {
    throw new PortcullisError('BAD_NVME', `an NVMe controller has 1 to ${Nvme.NAMESPACES} namespaces, not ${namespaces.length}`);
  }
  if (!/^[\x20-\x7e]{0,20}$/.test(serial)) {
    throw new PortcullisError('BAD_NVME', `the serial number "${serial}" has to be up to 20 characters of ASCII`, { serial });
  }
  let ram = 0;
  namespaces.forEach(({ size, blockSize = 512, host = false }, index) => {
    if (blockSize !== 512 && blockSize !== 4096) {
      throw new PortcullisError('BAD_NVME', `namespace ${index + 1} has blocks of ${blockSize} bytes; there are 512 and 4096`);
    }
    if (!Number.isSafeInteger(size) || size < blockSize || size % blockSize !== 0) {
      throw new PortcullisError('BAD_NVME', `namespace ${index + 1} has ${size} bytes; it has a positive multiple of ${blockSize}`);
    }
    if (!host) ram += size;
  });
  if (ram > RAM_MAX) {
    throw new PortcullisError('BAD_NVME', `disks in RAM of ${ram} bytes; together they have at most 1 GiB, use a file`, { ram });
  }
}

/** What the state holds at power-on. */
function initialState({ namespaces, serial }: NvmeOptions, routing: number, size: number): Uint8Array {
  const state = new Uint8Array(size);
  const view = new DataView(state.buffer);
  const name = serial ?? serialNumber(routing);
  state.set(identifyController(routing, name, namespaces.length), NvmeState.IDENTIFY_CONTROLLER);
  state.set(effectsLog(), NvmeState.EFFECTS);
  state.set(firmwareLog(), NvmeState.FIRMWARE);
  view.setUint32(NvmeState.NAMESPACE_COUNT, namespaces.length, true);
  view.setBigUint64(NvmeState.HEALTH + NvmeHealth.POWER_CYCLES, 1n, true);
  let disk: number = NvmeState.DISKS;
  namespaces.forEach(({ size: bytes, blockSize = 512, readOnly = false, host = false }, index) => {
    const record = NvmeState.NAMESPACE_TABLE + index * NvmeNamespace.SIZE_OF;
    view.setBigUint64(record + NvmeNamespace.BLOCKS, BigInt(bytes / blockSize), true);
    view.setUint32(record + NvmeNamespace.SHIFT, Math.log2(blockSize), true);
    view.setUint32(record + NvmeNamespace.READ_ONLY, readOnly ? 1 : 0, true);
    const facts = { size: bytes, blockSize, readOnly };
    state.set(identifyNamespace(facts, namespaceGuid(routing, name, index + 1)), NvmeState.NAMESPACES + index * NvmeState.NAMESPACE_PAGES);
    if (host) return;
    view.setUint32(record + NvmeNamespace.RAM, disk, true);
    disk += bytes;
  });
  return state;
}

/** Bytes of state that the controller takes, its disks in RAM among them. Throws BAD_NVME. */
export function nvmeStateSize(options: NvmeOptions): number {
  check(options);
  return options.namespaces.reduce((sum, { size, host = false }) => sum + (host ? 0 : size), NvmeState.DISKS);
}

/** A controller with these namespaces. Throws BAD_NVME. */
export function nvme(options: NvmeOptions): DeviceDefinition {
  const stateSize = nvmeStateSize(options);
  return {
    model: 'nvme',
    title: 'Non-Volatile memory controller: Red Hat, Inc. QEMU NVM Express Controller (rev 02)',
    engineModel: Model.NVME,
    config: {
      vendorId: 0x1b36, deviceId: 0x0010, classCode: 0x010802, revision: 0x02,
      subsystemVendorId: 0x1af4, subsystemId: 0x1100, interruptPin: 1,
      bars: [{ kind: 'memory64', size: Nvme.BAR_SIZE }],
      capabilities: [
        msixCapability({ off: 0x40, vectors: Nvme.VECTORS, table: { bar: 0, off: Nvme.MSIX_TABLE },
          pending: { bar: 0, off: Nvme.MSIX_PENDING } }),
        msiCapability({ off: 0x50, vectors: Nvme.MSI_VECTORS, wide: true }),
        pmCapability({ off: 0x60 }),
        expressCapability({ off: 0x80, type: 'endpoint', version: 2, flr: true }),
      ],
    },
    registers: [NVME_REGISTERS],
    stateSize,
    initialState: (routing) => initialState(options, routing, stateSize),
  };
}
