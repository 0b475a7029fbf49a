/** Where things lie in XenStore and in sysfs. */

import { type Bdf, formatBdf } from '../../pci/bdf';
import { nodeName } from './pci-spec';

export const domainPath = (domid: number): string => `/local/domain/${domid}`;
export const libxlPath = (domid: number): string => `/libxl/${domid}`;

/** All devices of a domain are one xenbus device, number 0. */
export const pciBackend = (domid: number): string => `/local/domain/0/backend/pci/${domid}/0`;
export const pciFrontend = (domid: number): string => `/local/domain/${domid}/device/pci/0`;

/** What the toolstack knows of a device: driver_path, name, domid. */
export const devicePath = (bdf: Bdf, key: 'driver_path' | 'name' | 'domid'): string => `/libxl/pci/${nodeName(bdf)}/${key}`;

export const PCIBACK = '/sys/bus/pci/drivers/pciback';
export const sysfsDevice = (bdf: Bdf): string => `/sys/bus/pci/devices/${formatBdf(bdf)}`;
