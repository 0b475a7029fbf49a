/** PCI hardware as the first domain's kernel sees it. The machine implements it; tests make their own. */

import type { ConfigAccess } from '../../pci/access';

/** One line of sysfs `resource`: addresses are machine addresses, `end` is the last one; all 0 when there is none. */
export interface Resource {
  readonly start: number;
  readonly end: number;
  /** Linux's IORESOURCE_*: 0x100 I/O, 0x200 memory, 0x2000 prefetch, 0x100000 64-bit, 0x40000 sized; low four bits as in the BAR. */
  readonly flags: number;
}

export const IORESOURCE = {
  IO: 0x100, MEM: 0x200, PREFETCH: 0x2000, READONLY: 0x4000, SIZEALIGN: 0x40000, MEM_64: 0x100000,
  /** Of a ROM: its decoder is on. */
  ROM_ENABLE: 1,
} as const;

export interface HostFunction {
  /** Bus, device and function; the segment is always 0. */
  readonly routing: number;
  /** Global interrupt of its INTx pin, 0 when it has none. */
  readonly gsi: number;
  /** The first domain's number for that interrupt: sysfs `irq`, and what config byte 3C shows to a guest. 0: none. */
  readonly irq: number;
  /** BAR 0 to 5 and the ROM; a 64-bit BAR takes two, the second empty. */
  readonly resources: readonly Resource[];
  /** Routing id of the bridge above it; undefined on the root bus. */
  readonly parent: number | undefined;
  /** Whether a function-level reset of some kind is there: sysfs `reset` exists. */
  readonly resettable: boolean;
}

export interface HostPci {
  functions(): readonly HostFunction[];
  /** The real config space, all 4096 bytes where there are so many. */
  config(routing: number): ConfigAccess;
  /** Bytes of config space: 256 or 4096. */
  configSize(routing: number): number;
  /** Resets the function; BARs, cache line size and interrupt line are put back, everything else is as after power-on. */
  reset(routing: number): void;
  /** Whether the function's INTx pin is asserted. */
  intx(routing: number): boolean;
}

/** An error of the first domain's kernel, as a tool gets it from a system call. */
export type KernelErrno = 'EPERM' | 'ENOENT' | 'EIO' | 'ENXIO' | 'EACCES' | 'EBUSY' | 'EEXIST' | 'ENODEV' | 'ENOTDIR' | 'EISDIR'
  | 'EINVAL' | 'ENOMEM' | 'ENOSPC' | 'ENOSYS' | 'ENOTTY' | 'EOPNOTSUPP';

/** strerror of each. */
export const STRERROR: Readonly<Record<KernelErrno, string>> = {
  EPERM: 'Operation not permitted', ENOENT: 'No such file or directory', EIO: 'Input/output error',
  ENXIO: 'No such device or address', EACCES: 'Permission denied', EBUSY: 'Device or resource busy',
  EEXIST: 'File exists', ENODEV: 'No such device', ENOTDIR: 'Not a directory', EISDIR: 'Is a directory',
  EINVAL: 'Invalid argument', ENOMEM: 'Cannot allocate memory', ENOSPC: 'No space left on device',
  ENOSYS: 'Function not implemented', ENOTTY: 'Inappropriate ioctl for device', EOPNOTSUPP: 'Operation not supported',
};

/** A device of the first domain's kernel, bound to a driver or not. */
export interface PciDevice {
  readonly routing: number;
  /** `0000:00:04.0` */
  readonly name: string;
  readonly host: HostFunction;
  /** Name of the driver that has it. */
  readonly driver: string | undefined;
  /** sysfs `driver_override`. */
  readonly override: string | undefined;
}

/** A driver of the first domain's kernel. */
export interface PciDriver {
  /** Name of its folder in sysfs: `/sys/bus/pci/drivers/<name>`. */
  readonly name: string;
  /** Whether it takes the device by itself when one appears. */
  matches(device: PciDevice): boolean;
  /** Takes the device; throws a KernelError when it will not. */
  probe(device: PciDevice): void;
  remove(device: PciDevice): void;
}

/** Where drivers put their own files: mode, and what reading and writing do. Both throw KernelErrors. */
export interface SysfsFile {
  readonly read?: () => string;
  readonly write?: (text: string) => void;
}

export interface SysfsHost {
  addFile(path: string, file: SysfsFile): void;
  removeFile(path: string): void;
}

/** sysfs of the first domain, for tools. Paths are absolute: `/sys/bus/pci/...`. Every call throws KernelErrors. */
export interface Sysfs {
  read(path: string): string;
  write(path: string, text: string): void;
  /** Names in a folder, sorted. */
  list(path: string): string[];
  exists(path: string): boolean;
  /** Where a symbolic link leads to, absolute. */
  readlink(path: string): string;
}
