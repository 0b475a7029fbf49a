import { HostDevice } from '../../../assembly/spec/host';
import { CellFlag, Model } from '../../../assembly/spec/state';
import { PortcullisError } from '../../errors';
import { buildConfig } from '../../pci/config-space';
import type { DeviceDefinition } from '../definition';
import { ALL_BITS, type RegisterRow, type RegisterTable } from '../register-table';
import { plainCopy } from './plain';
import type { DeviceHandlers, HostDefinition, HostRegister, HostRegisterTable } from './types';

/** A device in TypeScript, ready for a machine. */
export interface DefinedDevice extends DeviceDefinition {
  readonly host: {
    readonly version: number;
    readonly initial: unknown;
    readonly handlers: DeviceHandlers<unknown>;
  };
}

export function isDefinedDevice(definition: DeviceDefinition): definition is DefinedDevice {
  return 'host' in definition;
}

const WIDTH_FLAGS = { 1: CellFlag.WIDTH_1, 2: CellFlag.WIDTH_2, 4: CellFlag.WIDTH_4, 8: CellFlag.WIDTH_8 };

function callsOn(row: HostRegister, access: 'read' | 'write'): boolean {
  return row.host === true || row.host === access;
}

function flagsOf(row: HostRegister): number {
  const widths = row.widths ?? (row.bytes === 8 ? [4, 8] as const : [4] as const);
  let flags = 0;
  for (const width of widths) flags |= WIDTH_FLAGS[width] ?? 0;
  if (row.writeOnly) flags |= CellFlag.WRITE_ONLY;
  if (row.handlerStores) flags |= CellFlag.HANDLER_STORES;
  if (callsOn(row, 'read')) flags |= CellFlag.READ_EFFECT | CellFlag.HOST;
  if (callsOn(row, 'write')) flags |= CellFlag.WRITE_EFFECT | CellFlag.HOST;
  return flags;
}

function toRow(row: HostRegister): RegisterRow {
  return {
    name: row.name, off: row.off, bytes: row.bytes ?? 4, reset: row.reset ?? 0, writeMask: row.writeMask ?? 0,
    w1c: row.w1c ?? 0, flags: flagsOf(row), meaning: row.meaning ?? '',
  };
}

function isU32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= ALL_BITS;
}

/** Throws for the first thing about a table that the engine could not do as it is written. */
function checkTable(table: HostRegisterTable, names: Set<string>, handlers: DeviceHandlers<unknown>,
  bad: (why: string) => never): void {
  if (!isU32(table.constant ?? 0)) bad(`the constant of BAR ${table.bar} is ${table.constant}; it has 32 bits`);
  let end = 0;
  for (const row of table.rows) {
    const where = `register ${row.name} at 0x${row.off.toString(16)} of BAR ${table.bar}`;
    const bytes = row.bytes ?? 4;
    if (!Number.isInteger(row.off) || row.off % bytes !== 0) bad(`${where} is not aligned to its ${bytes} bytes`);
    if (row.off < end) bad(`${where} is out of order, or overlaps the one in front of it`);
    end = row.off + bytes;
    if (end > table.size) bad(`${where} lies beyond the BAR's ${table.size} bytes`);
    if (names.has(row.name)) bad(`${where} has a name that another has already`);
    names.add(row.name);
    for (const field of ['reset', 'writeMask', 'w1c'] as const) {
      if (!isU32(row[field] ?? 0)) bad(`${where} has ${field} ${row[field]}; it has 32 bits`);
    }
    const [reads, writes] = [callsOn(row, 'read'), callsOn(row, 'write')];
    if (reads && !handlers.onRead) bad(`${where} calls onRead, and there is none`);
    if (writes && !handlers.onWrite) bad(`${where} calls onWrite, and there is none`);
    if (row.handlerStores && !writes) bad(`${where} has handlerStores, but writes do not call the device`);
  }
}

/**
 * Defines a device in TypeScript; `Machine.create(description, { devices: [definition] })` makes it a model that the
 * description can name. See docs/devices.md. Throws DEVICE_DEFINITION, BAD_BAR or NOT_PLAIN for what cannot be.
 */
export function defineDevice<const Tables extends readonly HostRegisterTable[], State extends object>(
  definition: HostDefinition<Tables, State>,
): DefinedDevice {
  const { model, title, config, registers, state, version = 1 } = definition;
  const handlers = definition.handlers as unknown as DeviceHandlers<unknown>;
  const bad = (why: string): never => {
    throw new PortcullisError('DEVICE_DEFINITION', `device model "${model}": ${why}`, { model });
  };
  if (!/^[a-z][a-z0-9-]*$/.test(model)) bad('a model is named in lower case letters, digits and hyphens');
  if (!Number.isInteger(version) || version < 1) bad(`version is ${version}; it is a whole number from 1 on`);
  buildConfig(config);
  const names = new Set<string>();
  const bars = new Set<number>();
  for (const table of registers) {
    const bar = config.bars[table.bar];
    if (bar === undefined) return bad(`registers of BAR ${table.bar}, which its config space does not have`);
    if (bar.size !== table.size) {
      bad(`BAR ${table.bar} has ${bar.size} bytes in config space, ${table.size} in its registers`);
    }
    if (bars.has(table.bar)) bad(`BAR ${table.bar} has registers twice`);
    bars.add(table.bar);
    checkTable(table, names, handlers, bad);
  }
  const tables: RegisterTable[] = registers.map(({ bar, size, constant = ALL_BITS, rows }) => (
    { bar, size, constant, rows: rows.map(toRow) }));
  return {
    model, title, engineModel: Model.HOST, config, registers: tables, stateSize: HostDevice.SIZE,
    host: { version, initial: plainCopy(state), handlers },
  };
}
