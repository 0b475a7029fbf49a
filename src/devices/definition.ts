import type { Model } from '../../assembly/spec/state';
import type { ConfigDefinition } from '../pci/config-space';
import type { DumpFacts } from './dump/facts';
import type { RegisterTable } from './register-table';

/** A built-in device: what its config space and registers are, and which model of the engine is behind them. */
export interface DeviceDefinition {
  /** Name in machine descriptions. */
  model: string;
  /** As `lspci` titles it. */
  title: string;
  engineModel: Model;
  /** Absent for the IOMMU, which is no PCI function. */
  config?: ConfigDefinition;
  /** For a device without config space: its register window. */
  window?: { size: number };
  registers: readonly RegisterTable[];
  /** A network card: it has a port that a link is plugged into. */
  port?: boolean;
  /** Bytes of the device's own state. */
  stateSize: number;
  /** What the state holds before power-on (an EEPROM), for the function at a routing id; the rest is 0. */
  initialState?: (routing: number) => Uint8Array;
  /** Of a device made from a dump: what the file says beyond config space, and what it does not. */
  dump?: DumpFacts;
}
