/** Words for the numbers of config space: class codes (PCI Code and ID Assignment), and the vendors of our models. */

const BASES: Readonly<Record<number, string>> = {
  0x00: 'Unclassified device', 0x01: 'Mass storage controller', 0x02: 'Network controller', 0x03: 'Display controller',
  0x04: 'Multimedia controller', 0x05: 'Memory controller', 0x06: 'Bridge', 0x07: 'Communication controller',
  0x08: 'Generic system peripheral', 0x09: 'Input device controller', 0x0a: 'Docking station', 0x0b: 'Processor',
  0x0c: 'Serial bus controller', 0x0d: 'Wireless controller', 0x0e: 'Intelligent controller',
  0x0f: 'Satellite communications controller', 0x10: 'Encryption controller', 0x11: 'Signal processing controller',
  0x12: 'Processing accelerators', 0x13: 'Non-Essential Instrumentation', 0xff: 'Unassigned class',
};

/** Base class and subclass. */
const CLASSES: Readonly<Record<number, string>> = {
  0x0000: 'Non-VGA unclassified device', 0x0001: 'VGA compatible unclassified device',
  0x0100: 'SCSI storage controller', 0x0101: 'IDE interface', 0x0104: 'RAID bus controller', 0x0106: 'SATA controller',
  0x0107: 'Serial Attached SCSI controller', 0x0108: 'Non-Volatile memory controller', 0x0180: 'Mass storage controller',
  0x0200: 'Ethernet controller', 0x0207: 'Infiniband controller', 0x0280: 'Network controller',
  0x0300: 'VGA compatible controller', 0x0302: '3D controller', 0x0380: 'Display controller',
  0x0400: 'Multimedia video controller', 0x0401: 'Multimedia audio controller', 0x0403: 'Audio device',
  0x0500: 'RAM memory', 0x0580: 'Memory controller',
  0x0600: 'Host bridge', 0x0601: 'ISA bridge', 0x0604: 'PCI bridge', 0x0607: 'CardBus bridge', 0x0680: 'Bridge',
  0x0700: 'Serial controller', 0x0780: 'Communication controller',
  0x0800: 'PIC', 0x0801: 'DMA controller', 0x0802: 'Timer', 0x0805: 'SD Host controller', 0x0806: 'IOMMU',
  0x0880: 'System peripheral',
  0x0c03: 'USB controller', 0x0c05: 'SMBus', 0x0d80: 'Wireless controller', 0x1180: 'Signal processing controller',
};

/** Class code with its programming interface. */
const INTERFACES: Readonly<Record<number, string>> = {
  0x010601: 'AHCI 1.0', 0x010802: 'NVM Express', 0x030000: 'VGA controller', 0x060400: 'Normal decode',
  0x060401: 'Subtractive decode', 0x070002: '16550', 0x0c0300: 'UHCI', 0x0c0310: 'OHCI', 0x0c0320: 'EHCI', 0x0c0330: 'XHCI',
};

const VENDORS: Readonly<Record<number, string>> = {
  0x10ec: 'Realtek Semiconductor Co., Ltd.', 0x1af4: 'Red Hat, Inc.', 0x1b36: 'Red Hat, Inc.', 0x8086: 'Intel Corporation',
};

/** `code`: base class and subclass. */
export function className(code: number): string {
  return CLASSES[code] ?? BASES[code >> 8] ?? 'Class';
}

/** `code`: all 24 bits. */
export function interfaceName(code: number): string | undefined {
  return INTERFACES[code];
}

export function vendorName(id: number): string | undefined {
  return VENDORS[id];
}
