/** What a dump says of a function beyond its config space, and what it does not say: that is unknown, never fine. */
export interface DumpFacts {
  /** Line of the file where the function begins. */
  readonly line: number;
  /** The kernel's driver on the machine where the dump was made. */
  readonly driver: string | undefined;
  readonly irq: number | undefined;
  readonly iommuGroup: number | undefined;
  readonly deviceName: string | undefined;
  /** BARs (6: the expansion ROM) whose size the file does not have; the device has the least that can be. */
  readonly unknownSizes: readonly number[];
  /** The file ends before the capabilities, or has none of the extended ones of a PCI Express function. */
  readonly capabilitiesUnknown: boolean;
  readonly extendedUnknown: boolean;
}
