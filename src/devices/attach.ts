import {
  BarKind, BarRecord, Cell, DevicePage, FunctionRecord, PageKind, State, StateSize,
} from '../../assembly/spec/state';
import { Machine } from '../../assembly/spec/machine';
import type { Engine } from '../engine/index';
import { PortcullisError } from '../errors';
import { bdfOf, formatBdf } from '../pci/bdf';
import { barKind, buildConfig } from '../pci/config-space';
import { interruptLine } from '../pci/interrupts';
import type { DeviceDefinition } from './definition';
import { withMsix } from './msix-registers';
import { type RegisterTable, pageCells } from './register-table';

const PAGE = 4096;

/** A function of the engine: its slot, and the parts of the heap that are its own. */
export interface AttachedFunction {
  fn: number;
  routing: number;
  definition: DeviceDefinition;
  /** Bridge that leads to it; undefined on the root bus. */
  parent: AttachedFunction | undefined;
  parts: Array<{ off: number; bytes: number }>;
}

export interface AttachOptions {
  /** Slot of the engine; 0 is the IOMMU's, which has no address. By default the first that is free. */
  slot?: number;
  parent?: AttachedFunction | undefined;
  /** Its device has more functions than one. */
  multiFunction?: boolean;
  /** Bytes of an expansion ROM that it has besides. */
  rom?: number | undefined;
  /** Interrupt that its INTx pin leads to, where it is not the one that follows from its place. */
  gsi?: number | undefined;
}

function recordOff(fn: number): number {
  return State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD;
}

function freeSlot(engine: Engine): number {
  for (let fn = 1; fn < Machine.FUNCTIONS; fn++) if (engine.word(recordOff(fn) + FunctionRecord.MODEL) === 0) return fn;
  throw new PortcullisError('TOO_MANY_FUNCTIONS', `a machine has at most ${Machine.FUNCTIONS - 1} functions; take one out`);
}

/**
 * Attaches a device at a routing id (bus/device/function). Everything is taken from the heap before the function
 * becomes visible. Behind a bridge, the bus number counts once the bridge has been given it.
 */
export function attach(engine: Engine, definition: DeviceDefinition, routing: number,
  options: AttachOptions = {}): AttachedFunction {
  const { slot, parent, multiFunction = false, rom, gsi } = options;
  if (slot === undefined && addressTaken(engine, routing, parent)) {
    throw new PortcullisError('ADDRESS_TAKEN', `${formatBdf(bdfOf(routing))} has a device already; give ${definition.model} another address`,
      { bdf: formatBdf(bdfOf(routing)) });
  }
  const fn = slot ?? freeSlot(engine);
  const attached: AttachedFunction = { fn, routing, definition, parent, parts: [] };
  const take = (bytes: number, what: string): number => {
    const off = engine.heap.take(bytes, `${what} of ${definition.model}`);
    attached.parts.push({ off, bytes });
    engine.stateBytes(off, bytes).fill(0);
    return off;
  };
  const record = recordOff(fn);
  engine.stateBytes(record, StateSize.FUNCTION_RECORD).fill(0);
  const set = (off: number, value: number): void => engine.setWord(record + off, value);

  let { registers } = definition;
  if (definition.config) {
    const image = buildConfig(rom === undefined ? definition.config : { ...definition.config, rom }, { rootBus: parent === undefined, multiFunction, routing });
    registers = withMsix(registers, image.msix, definition.model);
    const size = image.value.length;
    const config = take(4 * size, 'the config space');
    engine.stateBytes(config, 4 * size).set([...image.value, ...image.writable, ...image.clearable, ...image.reset]);
    set(FunctionRecord.CONFIG, config);
    set(FunctionRecord.CONFIG_SIZE, size);
    set(FunctionRecord.CONFIG_RESET, config + 3 * size);
    set(FunctionRecord.MSI_CAP, image.msiCap);
    set(FunctionRecord.MSIX_CAP, image.msixCap);
    set(FunctionRecord.PM_CAP, image.pmCap);
    set(FunctionRecord.EXP_CAP, image.expressCap);
    set(FunctionRecord.INTX_PIN, definition.config.interruptPin);
    set(FunctionRecord.INTX_LINE, gsi ?? interruptLine(pathOf(attached), definition.config.interruptPin));
  }
  if (parent !== undefined) set(FunctionRecord.PARENT, parent.fn + 1);
  if (definition.stateSize > 0) {
    const state = take(definition.stateSize, 'the state');
    set(FunctionRecord.DEVICE, state);
    if (definition.initialState) engine.stateBytes(state, definition.stateSize).set(definition.initialState(routing));
  }
  set(FunctionRecord.DEVICE_SIZE, definition.stateSize);
  const bars = definition.config?.bars ?? [{ kind: 'memory32' as const, size: definition.window?.size ?? PAGE }];
  bars.forEach((bar, index) => {
    if (bar === undefined) return;
    const table = registers.find(({ bar: own }) => own === index);
    const pages = Math.max(1, bar.size / PAGE);
    const pagesOff = take(pages * StateSize.DEVICE_PAGE, `BAR ${index}`);
    const off = record + FunctionRecord.BARS + index * BarRecord.SIZE_OF;
    engine.setWord(off + BarRecord.KIND, barKind(bar));
    engine.setWord(off + BarRecord.SIZE, bar.size);
    engine.setWord(off + BarRecord.PAGES, pagesOff);
    for (let page = 0; page < pages; page++) {
      fillPage(engine, pagesOff + page * StateSize.DEVICE_PAGE, fn, index, page, table, take);
    }
  });
  set(FunctionRecord.BDF, routing);
  set(FunctionRecord.SID, routing);
  set(FunctionRecord.DEADLINE, 0xffffffff);
  set(FunctionRecord.DEADLINE + 4, 0xffffffff);
  set(FunctionRecord.MODEL, definition.engineModel);
  engine.exports.functionPowerOn(fn);
  if (definition.config) engine.exports.functionApply(fn);
  engine.windows.functionsChanged();
  return attached;
}

/** Whether the bus has something at this device and function number already. */
function addressTaken(engine: Engine, routing: number, parent: AttachedFunction | undefined): boolean {
  for (let fn = 1; fn < Machine.FUNCTIONS; fn++) {
    const record = recordOff(fn);
    if (engine.word(record + FunctionRecord.MODEL) === 0) continue;
    if (engine.word(record + FunctionRecord.PARENT) !== (parent === undefined ? 0 : parent.fn + 1)) continue;
    if ((engine.word(record + FunctionRecord.BDF) & 0xff) === (routing & 0xff)) return true;
  }
  return false;
}

function pathOf(attached: AttachedFunction): { device: number; bridges: number[] } {
  const bridges: number[] = [];
  for (let up = attached.parent; up !== undefined; up = up.parent) bridges.push((up.routing >> 3) & 31);
  return { device: (attached.routing >> 3) & 31, bridges };
}

function fillPage(engine: Engine, off: number, fn: number, bar: number, page: number,
  table: RegisterTable | undefined, take: (bytes: number, what: string) => number): void {
  const { view, base } = engine;
  view.setUint16(base + off + DevicePage.FUNCTION, fn, true);
  view.setUint8(base + off + DevicePage.BAR, bar);
  view.setUint32(base + off + DevicePage.CONSTANT, (table?.constant ?? 0) >>> 0, true);
  const content = table === undefined ? undefined : pageCells(table, page);
  view.setUint8(base + off + DevicePage.KIND, content === undefined ? PageKind.CONSTANT : PageKind.CELLS);
  if (content === undefined) return;
  const count = content.cells.length;
  // cells, and behind them their values after reset
  const cells = take(count * (StateSize.CELL + 4), `the registers in page ${page} of BAR ${bar}`);
  view.setUint32(base + off + DevicePage.CELLS, cells, true);
  view.setUint16(base + off + DevicePage.FIRST, content.first, true);
  view.setUint16(base + off + DevicePage.COUNT, count, true);
  content.cells.forEach((one, index) => {
    const cell = cells + index * StateSize.CELL;
    engine.setWord(cell + Cell.VALUE, one.reset);
    engine.setWord(cell + Cell.WRITE_MASK, one.writeMask);
    engine.setWord(cell + Cell.W1C, one.w1c);
    engine.setWord(cell + Cell.FLAGS, one.flags);
    engine.setWord(cells + count * StateSize.CELL + index * 4, one.reset);
  });
}

/** Takes a function out of the machine: its BARs leave the decode, its interrupts fall, its heap comes back. */
export function detach(engine: Engine, attached: AttachedFunction): void {
  const record = recordOff(attached.fn);
  for (let fn = 1; fn < Machine.FUNCTIONS; fn++) {
    if (engine.word(recordOff(fn) + FunctionRecord.MODEL) === 0) continue;
    if (engine.word(recordOff(fn) + FunctionRecord.PARENT) !== attached.fn + 1) continue;
    const bridge = formatBdf(bdfOf(attached.routing));
    const behind = formatBdf(bdfOf(engine.word(recordOff(fn) + FunctionRecord.BDF)));
    throw new PortcullisError('BRIDGE_IN_USE', `${bridge} leads to ${behind}; remove what is behind a bridge first`,
      { bridge, behind });
  }
  engine.exports.functionReset(attached.fn);
  for (let bar = 0; bar < Machine.BARS; bar++) {
    const kind = engine.word(record + FunctionRecord.BARS + bar * BarRecord.SIZE_OF + BarRecord.KIND);
    if (kind !== BarKind.NONE) engine.exports.barPlace(attached.fn, bar, 0, 0, 0);
  }
  engine.windows.functionLeaves(attached.fn);
  engine.stateBytes(record, StateSize.FUNCTION_RECORD).fill(0);
  const work = engine.view.getBigUint64(engine.base + State.WORK, true) & ~(1n << BigInt(attached.fn));
  engine.view.setBigUint64(engine.base + State.WORK, work, true);
  for (const { off, bytes } of attached.parts) engine.heap.give(off, bytes);
}
