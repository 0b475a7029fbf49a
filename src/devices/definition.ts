import type { Model } from '../../assembly/spec/state';
import type { ConfigDefinition } from '../pci/config-space';
import type { RegisterRow } from './register-table';

export interface RegisterBlock {
  bar: number;
  rows: readonly RegisterRow[];
  /** What reads give where there is no register. */
  constant: number;
}

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
  registers: readonly RegisterBlock[];
  /** Bytes of the device's own state. */
  stateSize: number;
}
