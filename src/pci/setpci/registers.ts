/** The names that `setpci` has for registers and capabilities. */

export type Width = 1 | 2 | 4;

/** Header types that have a register. */
const ANY = [0, 1, 2];
const PLAIN = [0, 1];
const ENDPOINT = [0];
const BRIDGE = [1];
const CARDBUS = [2];

/** The three headers in their order: name, offset, bytes, header types. */
export const REGISTERS: ReadonlyArray<readonly [name: string, off: number, width: Width, layouts: readonly number[]]> = [
  ['VENDOR_ID', 0x00, 2, ANY], ['DEVICE_ID', 0x02, 2, ANY], ['COMMAND', 0x04, 2, ANY], ['STATUS', 0x06, 2, ANY],
  ['REVISION', 0x08, 1, ANY], ['CLASS_PROG', 0x09, 1, ANY], ['CLASS_DEVICE', 0x0a, 2, ANY],
  ['CACHE_LINE_SIZE', 0x0c, 1, ANY], ['LATENCY_TIMER', 0x0d, 1, ANY], ['HEADER_TYPE', 0x0e, 1, ANY], ['BIST', 0x0f, 1, ANY],
  ['BASE_ADDRESS_0', 0x10, 4, PLAIN], ['BASE_ADDRESS_1', 0x14, 4, PLAIN], ['BASE_ADDRESS_2', 0x18, 4, ENDPOINT],
  ['BASE_ADDRESS_3', 0x1c, 4, ENDPOINT], ['BASE_ADDRESS_4', 0x20, 4, ENDPOINT], ['BASE_ADDRESS_5', 0x24, 4, ENDPOINT],
  ['CARDBUS_CIS', 0x28, 4, ENDPOINT], ['SUBSYSTEM_VENDOR_ID', 0x2c, 2, ENDPOINT], ['SUBSYSTEM_ID', 0x2e, 2, ENDPOINT],
  ['ROM_ADDRESS', 0x30, 4, ENDPOINT], ['CAPABILITIES', 0x34, 1, PLAIN], ['INTERRUPT_LINE', 0x3c, 1, PLAIN],
  ['INTERRUPT_PIN', 0x3d, 1, PLAIN], ['MIN_GNT', 0x3e, 1, ENDPOINT], ['MAX_LAT', 0x3f, 1, ENDPOINT],

  ['PRIMARY_BUS', 0x18, 1, BRIDGE], ['SECONDARY_BUS', 0x19, 1, BRIDGE], ['SUBORDINATE_BUS', 0x1a, 1, BRIDGE],
  ['SEC_LATENCY_TIMER', 0x1b, 1, BRIDGE], ['IO_BASE', 0x1c, 1, BRIDGE], ['IO_LIMIT', 0x1d, 1, BRIDGE],
  ['SEC_STATUS', 0x1e, 2, BRIDGE], ['MEMORY_BASE', 0x20, 2, BRIDGE], ['MEMORY_LIMIT', 0x22, 2, BRIDGE],
  ['PREF_MEMORY_BASE', 0x24, 2, BRIDGE], ['PREF_MEMORY_LIMIT', 0x26, 2, BRIDGE], ['PREF_BASE_UPPER32', 0x28, 4, BRIDGE],
  ['PREF_LIMIT_UPPER32', 0x2c, 4, BRIDGE], ['IO_BASE_UPPER16', 0x30, 2, BRIDGE], ['IO_LIMIT_UPPER16', 0x32, 2, BRIDGE],
  ['BRIDGE_ROM_ADDRESS', 0x38, 4, BRIDGE], ['BRIDGE_CONTROL', 0x3e, 2, BRIDGE],

  ['CB_CARDBUS_BASE', 0x10, 4, CARDBUS], ['CB_CAPABILITIES', 0x14, 2, CARDBUS], ['CB_SEC_STATUS', 0x16, 2, CARDBUS],
  ['CB_BUS_NUMBER', 0x18, 1, CARDBUS], ['CB_CARDBUS_NUMBER', 0x19, 1, CARDBUS], ['CB_SUBORDINATE_BUS', 0x1a, 1, CARDBUS],
  ['CB_CARDBUS_LATENCY', 0x1b, 1, CARDBUS], ['CB_MEMORY_BASE_0', 0x1c, 4, CARDBUS], ['CB_MEMORY_LIMIT_0', 0x20, 4, CARDBUS],
  ['CB_MEMORY_BASE_1', 0x24, 4, CARDBUS], ['CB_MEMORY_LIMIT_1', 0x28, 4, CARDBUS], ['CB_IO_BASE_0', 0x2c, 2, CARDBUS],
  ['CB_IO_BASE_0_HI', 0x2e, 2, CARDBUS], ['CB_IO_LIMIT_0', 0x30, 2, CARDBUS], ['CB_IO_LIMIT_0_HI', 0x32, 2, CARDBUS],
  ['CB_IO_BASE_1', 0x34, 2, CARDBUS], ['CB_IO_BASE_1_HI', 0x36, 2, CARDBUS], ['CB_IO_LIMIT_1', 0x38, 2, CARDBUS],
  ['CB_IO_LIMIT_1_HI', 0x3a, 2, CARDBUS], ['CB_SUBSYSTEM_VENDOR_ID', 0x40, 2, CARDBUS],
  ['CB_SUBSYSTEM_ID', 0x42, 2, CARDBUS], ['CB_LEGACY_MODE_BASE', 0x44, 4, CARDBUS],
];

/** Capabilities by id. */
export const CAPABILITIES: ReadonlyArray<readonly [name: string, id: number]> = [
  ['CAP_PM', 0x01], ['CAP_AGP', 0x02], ['CAP_VPD', 0x03], ['CAP_SLOTID', 0x04], ['CAP_MSI', 0x05], ['CAP_CHSWP', 0x06],
  ['CAP_PCIX', 0x07], ['CAP_HT', 0x08], ['CAP_VNDR', 0x09], ['CAP_DBG', 0x0a], ['CAP_CCRC', 0x0b], ['CAP_HOTPLUG', 0x0c],
  ['CAP_SSVID', 0x0d], ['CAP_AGP3', 0x0e], ['CAP_SECURE', 0x0f], ['CAP_EXP', 0x10], ['CAP_MSIX', 0x11], ['CAP_SATA', 0x12],
  ['CAP_AF', 0x13], ['CAP_EA', 0x14],
];

/** Extended capabilities by id. */
export const EXTENDED: ReadonlyArray<readonly [name: string, id: number]> = [
  ['ECAP_AER', 0x01], ['ECAP_VC', 0x02], ['ECAP_DSN', 0x03], ['ECAP_PB', 0x04], ['ECAP_RCLINK', 0x05], ['ECAP_RCILINK', 0x06],
  ['ECAP_RCEC', 0x07], ['ECAP_MFVC', 0x08], ['ECAP_VC2', 0x09], ['ECAP_RBCB', 0x0a], ['ECAP_VNDR', 0x0b], ['ECAP_ACS', 0x0d],
  ['ECAP_ARI', 0x0e], ['ECAP_ATS', 0x0f], ['ECAP_SRIOV', 0x10], ['ECAP_MRIOV', 0x11], ['ECAP_MCAST', 0x12], ['ECAP_PRI', 0x13],
  ['ECAP_REBAR', 0x15], ['ECAP_DPA', 0x16], ['ECAP_TPH', 0x17], ['ECAP_LTR', 0x18], ['ECAP_SECPCI', 0x19], ['ECAP_PMUX', 0x1a],
  ['ECAP_PASID', 0x1b], ['ECAP_LNR', 0x1c], ['ECAP_DPC', 0x1d], ['ECAP_L1PM', 0x1e], ['ECAP_PTM', 0x1f], ['ECAP_M_PCIE', 0x20],
  ['ECAP_FRS', 0x21], ['ECAP_RTR', 0x22], ['ECAP_DVSEC', 0x23], ['ECAP_VF_REBAR', 0x24], ['ECAP_DLNK', 0x25],
  ['ECAP_16GT', 0x26], ['ECAP_LMR', 0x27], ['ECAP_HIER_ID', 0x28], ['ECAP_NPEM', 0x29],
];
