/** What the guest's PCI core is told of an operation: PCIBIOS codes. */

import { PCI_ERR } from '../pciback/types';

export const PCIBIOS = {
  SUCCESSFUL: 0x00, FUNC_NOT_SUPPORTED: 0x81, BAD_VENDOR_ID: 0x83, DEVICE_NOT_FOUND: 0x86, BAD_REGISTER_NUMBER: 0x87,
  SET_FAILED: 0x88, BUFFER_TOO_SMALL: 0x89,
} as const;

const CODES: ReadonlyMap<number, number> = new Map([
  [PCI_ERR.SUCCESS, PCIBIOS.SUCCESSFUL],
  [PCI_ERR.DEV_NOT_FOUND, PCIBIOS.DEVICE_NOT_FOUND],
  [PCI_ERR.INVALID_OFFSET, PCIBIOS.BAD_REGISTER_NUMBER],
  [PCI_ERR.ACCESS_DENIED, PCIBIOS.SET_FAILED],
  [PCI_ERR.NOT_IMPLEMENTED, PCIBIOS.FUNC_NOT_SUPPORTED],
  [PCI_ERR.OP_FAILED, PCIBIOS.BAD_REGISTER_NUMBER],
]);

/** All else, such as -22, comes through as it is. */
export function pcibiosCode(err: number): number {
  return CODES.get(err) ?? err;
}
