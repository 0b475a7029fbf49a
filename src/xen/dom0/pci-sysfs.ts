/**
 * /sys/bus/pci and /sys/devices/pci0000:00 of Linux 6.1: what there is of each device and driver, in Linux's formats.
 * Left out: what belongs to parts that are not modelled (NUMA, runtime power management, virtual functions, VPD), and
 * the BARs as files that are mapped.
 */

import { Pci, PciBridge } from '../../../assembly/spec/pci';
import type { ConfigAccess } from '../../pci/access';
import { KernelError } from './errors';
import type { PciCore, PciCoreObserver } from './pci-core';
import type { SysfsTree } from './sysfs-tree';
import type { PciDevice, SysfsFile } from './types';

const BUS = '/sys/bus/pci';
const ROOT = '/sys/devices/pci0000:00';
/** Lines of `resource`: six BARs and the ROM; of a bridge four windows more (ports, memory, prefetchable, one unused). */
const RESOURCES = 7;
const BRIDGE_RESOURCES = 11;

/** Shows the devices and drivers of the core in the tree, and follows it. */
export function showPci(core: PciCore, tree: SysfsTree): void {
  for (const name of ['devices', 'drivers']) tree.addFolder(`${BUS}/${name}`);
  tree.addFile(`${BUS}/rescan`, writeOnly((text) => {
    if (numberOf(text) !== 0) core.rescan();
  }));
  tree.addFile(`${BUS}/drivers_probe`, writeOnly((text) => core.probe(lineOf(text))));
  core.observe(new PciFolders(core, tree));
}

class PciFolders implements PciCoreObserver {
  readonly #core: PciCore;
  readonly #tree: SysfsTree;

  constructor(core: PciCore, tree: SysfsTree) {
    this.#core = core;
    this.#tree = tree;
  }

  /** Where the device's folder really is: within that of the bridge above it. */
  #pathOf(device: PciDevice): string {
    const { parent } = device.host;
    const above = parent === undefined ? undefined : this.#core.device(parent);
    return `${above === undefined ? ROOT : this.#pathOf(above)}/${device.name}`;
  }

  deviceAdded(device: PciDevice): void {
    const path = this.#pathOf(device);
    for (const [name, file] of Object.entries(deviceFiles(this.#core, device))) this.#tree.addFile(`${path}/${name}`, file);
    this.#tree.addLink(`${path}/subsystem`, BUS);
    this.#tree.addLink(`${BUS}/devices/${device.name}`, path);
  }

  deviceRemoved(device: PciDevice): void {
    this.#tree.remove(this.#pathOf(device));
    this.#tree.remove(`${BUS}/devices/${device.name}`);
  }

  driverAdded(name: string): void {
    const core = this.#core;
    const files: Record<string, SysfsFile> = {
      bind: writeOnly((text) => core.bind(name, lineOf(text))),
      unbind: writeOnly((text) => core.unbind(name, lineOf(text))),
      new_id: writeOnly((text) => core.addId(name, idOf(text))),
      remove_id: writeOnly((text) => core.removeId(name, idOf(text))),
    };
    for (const [file, behaviour] of Object.entries(files)) this.#tree.addFile(`${driverPath(name)}/${file}`, behaviour);
  }

  driverRemoved(name: string): void {
    this.#tree.remove(driverPath(name));
  }

  bound(device: PciDevice, driver: string): void {
    const path = this.#pathOf(device);
    this.#tree.addLink(`${path}/driver`, driverPath(driver));
    this.#tree.addLink(`${driverPath(driver)}/${device.name}`, path);
  }

  unbound(device: PciDevice, driver: string): void {
    this.#tree.remove(`${this.#pathOf(device)}/driver`);
    this.#tree.remove(`${driverPath(driver)}/${device.name}`);
  }
}

function driverPath(name: string): string {
  return `${BUS}/drivers/${name}`;
}

function deviceFiles(core: PciCore, device: PciDevice): Record<string, SysfsFile> {
  const config = core.host.config(device.routing);
  const { host } = device;
  const number = (off: number, width: 1 | 2 | 4, digits: number, shift = 0): SysfsFile =>
    readOnly(() => `0x${hex(config.read(off, width) >>> shift, digits)}\n`);
  const subsystem = (off: number): SysfsFile => readOnly(() => `0x${hex(subsystemId(config, off), 4)}\n`);
  return {
    vendor: number(Pci.VENDOR_ID, 2, 4), device: number(Pci.DEVICE_ID, 2, 4),
    subsystem_vendor: subsystem(Pci.SUBSYSTEM_VENDOR_ID), subsystem_device: subsystem(Pci.SUBSYSTEM_ID),
    class: number(Pci.REVISION_ID, 4, 6, 8), revision: number(Pci.REVISION_ID, 1, 2),
    irq: readOnly(() => `${host.irq}\n`),
    resource: readOnly(() => resourceLines(device, isBridge(config))),
    config: configFile(config, core.host.configSize(device.routing)),
    enable: {
      read: () => `${core.enableCount(device)}\n`,
      write: (text) => enable(core, device, numberOf(text) !== 0),
    },
    driver_override: {
      read: () => `${device.override ?? '(null)'}\n`,
      write: (text) => core.setOverride(device.name, lineOf(text)),
    },
    modalias: readOnly(() => `${modalias(config)}\n`),
    uevent: readOnly(() => uevent(device, config)),
    remove: writeOnly((text) => {
      if (numberOf(text) !== 0) core.remove(device.routing);
    }),
    ...(host.resettable ? {
      reset: writeOnly((text) => {
        if (numberOf(text) !== 1) throw new KernelError('EINVAL', `${device.name}: a reset is asked for by writing 1`);
        core.reset(device);
      }),
    } : {}),
  };
}

function enable(core: PciCore, device: PciDevice, on: boolean): void {
  if (device.driver !== undefined) {
    throw new KernelError('EBUSY', `driver ${device.driver} has ${device.name}`, { device: device.name });
  }
  if (on) core.enable(device);
  else if (core.isEnabled(device)) core.disable(device);
  else throw new KernelError('EIO', `${device.name} is not enabled`, { device: device.name });
}

function resourceLines(device: PciDevice, bridge: boolean): string {
  const line = (value: number): string => `0x${hex(value, 16)}`;
  return Array.from({ length: bridge ? BRIDGE_RESOURCES : RESOURCES }, (_, index) => {
    const { start = 0, end = 0, flags = 0 } = device.host.resources[index] ?? {};
    return `${line(start)} ${line(end)} ${line(flags)}\n`;
  }).join('');
}

/** All bytes, one character each. A write begins at offset 0, and goes in aligned pieces. */
function configFile(config: ConfigAccess, size: number): SysfsFile {
  return {
    read: () => {
      let text = '';
      for (let off = 0; off < size; off += 4) {
        const dword = config.read(off, 4);
        for (let byte = 0; byte < 4; byte++) text += String.fromCharCode((dword >>> (8 * byte)) & 0xff);
      }
      return text;
    },
    write: (text) => {
      const byte = (off: number): number => text.charCodeAt(off) & 0xff;
      const end = Math.min(text.length, size);
      let off = 0;
      for (; off + 4 <= end; off += 4) {
        config.write(off, 4, (byte(off) | byte(off + 1) << 8 | byte(off + 2) << 16 | byte(off + 3) << 24) >>> 0);
      }
      if (off + 2 <= end) {
        config.write(off, 2, byte(off) | byte(off + 1) << 8);
        off += 2;
      }
      if (off < end) config.write(off, 1, byte(off));
    },
  };
}

function isBridge(config: ConfigAccess): boolean {
  return (config.read(Pci.HEADER_TYPE, 1) & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT;
}

/** Of a bridge they are 0: a type 1 header has none, and its capability is not looked at. */
function subsystemId(config: ConfigAccess, off: number): number {
  return isBridge(config) ? 0 : config.read(off, 2);
}

function ids(config: ConfigAccess): { vendor: number; device: number; subVendor: number; subDevice: number; code: number } {
  return {
    vendor: config.read(Pci.VENDOR_ID, 2), device: config.read(Pci.DEVICE_ID, 2),
    subVendor: subsystemId(config, Pci.SUBSYSTEM_VENDOR_ID), subDevice: subsystemId(config, Pci.SUBSYSTEM_ID),
    code: config.read(Pci.REVISION_ID, 4) >>> 8,
  };
}

function modalias(config: ConfigAccess): string {
  const { vendor, device, subVendor, subDevice, code } = ids(config);
  const up = (value: number, digits: number): string => hex(value, digits).toUpperCase();
  return `pci:v${up(vendor, 8)}d${up(device, 8)}sv${up(subVendor, 8)}sd${up(subDevice, 8)}`
    + `bc${up(code >>> 16, 2)}sc${up((code >>> 8) & 0xff, 2)}i${up(code & 0xff, 2)}`;
}

function uevent(device: PciDevice, config: ConfigAccess): string {
  const { vendor, device: id, subVendor, subDevice, code } = ids(config);
  const up = (value: number, digits: number): string => hex(value, digits).toUpperCase();
  return [
    ...(device.driver === undefined ? [] : [`DRIVER=${device.driver}`]),
    `PCI_CLASS=${up(code, 1)}`, `PCI_ID=${up(vendor, 4)}:${up(id, 4)}`, `PCI_SUBSYS_ID=${up(subVendor, 4)}:${up(subDevice, 4)}`,
    `PCI_SLOT_NAME=${device.name}`, `MODALIAS=${modalias(config)}`, '',
  ].join('\n');
}

function readOnly(read: () => string): SysfsFile {
  return { read };
}

function writeOnly(write: (text: string) => void): SysfsFile {
  return { write };
}

/** What is written, without the newline that echo adds. */
function lineOf(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}

/** A whole number as the kernel reads it: decimal, 0x hexadecimal or 0 octal. Throws EINVAL. */
function numberOf(text: string): number {
  const line = lineOf(text);
  if (/^0[0-7]+$/.test(line)) return parseInt(line, 8);
  if (!/^(0x[0-9a-f]+|[0-9]+)$/i.test(line)) throw new KernelError('EINVAL', `"${line}" is no number`, { text });
  return Number(line);
}

/** `8086 100e`: vendor and device id in hexadecimal; the optional fields behind them are not looked at. */
function idOf(text: string): { vendor: number; device: number } {
  const match = /^\s*([0-9a-f]{1,4})\s+([0-9a-f]{1,4})(\s+[0-9a-f]+)*\s*$/i.exec(text);
  if (match === null) {
    throw new KernelError('EINVAL', `"${lineOf(text)}" names no device; write vendor and device id, as in "8086 100e"`, { text });
  }
  return { vendor: parseInt(match[1] as string, 16), device: parseInt(match[2] as string, 16) };
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
