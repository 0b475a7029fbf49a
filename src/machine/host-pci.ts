import { Pci, PciBar, PciBridge, PciCap, PciExp, PciStatus, Pm } from '../../assembly/spec/pci';
import { FunctionRecord, State, StateSize } from '../../assembly/spec/state';
import type { AttachedFunction } from '../devices/attach';
import type { Engine } from '../engine/index';
import { PortcullisError } from '../errors';
import { type ConfigAccess, configOfOwner } from '../pci/access';
import { bdfOf, formatBdf } from '../pci/bdf';
import { findCapability } from '../pci/find-capability';
import type { EnumeratedFunction } from '../pci/enumerate';
import { resetKeepingConfig } from '../pci/reset';
import { type HostFunction, type HostPci, IORESOURCE, type Resource } from '../xen/dom0/types';

/** What the machine knows of its functions. */
export interface MachineFunctions {
  /** The host bridge is one of them. */
  attached(): readonly AttachedFunction[];
  /** As firmware has found it; the host bridge has nothing to enumerate. */
  enumerated(routing: number): EnumeratedFunction | undefined;
  /** The first domain's number for its interrupt, where the description gives one. */
  irq(routing: number): number | undefined;
}

const NONE: Resource = { start: 0, end: 0, flags: 0 };
/** BARs and ROM. */
const RESOURCES = 7;
const ROM = 6;
/** Advanced Features (PCI ECN of 2006): what it has, and the bit of a function-level reset. */
const AF_CAPABILITIES = 3;
const AF_FLR = 2;

/** The machine's PCI functions, for the first domain's kernel. */
export class MachinePci implements HostPci {
  readonly #engine: Engine;
  readonly #machine: MachineFunctions;

  constructor(engine: Engine, machine: MachineFunctions) {
    this.#engine = engine;
    this.#machine = machine;
  }

  functions(): readonly HostFunction[] {
    const all = this.#machine.attached();
    return all.map((attached) => this.#describe(attached, all)).sort((a, b) => a.routing - b.routing);
  }

  config(routing: number): ConfigAccess {
    return configOfOwner(this.#engine, routing);
  }

  configSize(routing: number): number {
    return this.#word(routing, FunctionRecord.CONFIG_SIZE);
  }

  reset(routing: number): void {
    const { fn } = this.#attached(routing);
    resetKeepingConfig(this.config(routing), () => this.#engine.exports.functionReset(fn));
  }

  intx(routing: number): boolean {
    return (this.config(routing).read(Pci.STATUS, 2) & PciStatus.INTERRUPT) !== 0;
  }

  #attached(routing: number): AttachedFunction {
    const found = this.#machine.attached().find((one) => one.routing === routing);
    if (found === undefined) {
      const bdf = formatBdf(bdfOf(routing));
      throw new PortcullisError('NO_DEVICE', `there is no device ${bdf}`, { bdf });
    }
    return found;
  }

  #word(routing: number, off: number): number {
    return this.#engine.word(State.FUNCTION_TABLE + this.#attached(routing).fn * StateSize.FUNCTION_RECORD + off);
  }

  #describe({ routing, parent }: AttachedFunction, all: readonly AttachedFunction[]): HostFunction {
    const pin = this.#word(routing, FunctionRecord.INTX_PIN);
    const gsi = pin === 0 ? 0 : this.#word(routing, FunctionRecord.INTX_LINE);
    const config = this.config(routing);
    const alone = parent !== undefined && all.filter((one) => one.parent?.routing === parent.routing).length === 1;
    return {
      routing, gsi, irq: pin === 0 ? 0 : this.#machine.irq(routing) ?? gsi, parent: parent?.routing,
      resources: resourcesOf(this.#machine.enumerated(routing), config),
      resettable: isResettable(config, alone && this.#machine.enumerated(routing)?.secondaryBus === undefined),
    };
  }
}

/** As Linux reads them, with the flags of linux/ioport.h; of a bridge, its windows come behind the ROM. */
function resourcesOf(found: EnumeratedFunction | undefined, config: ConfigAccess): Resource[] {
  const resources = Array.from({ length: RESOURCES }, () => NONE);
  for (const { index, io, wide, prefetchable, address, size } of found?.bars ?? []) {
    const own = config.read(Pci.BAR0 + 4 * index, 4) & (io ? 3 : 0xf);
    const kind = io ? IORESOURCE.IO
      : IORESOURCE.MEM | (wide ? IORESOURCE.MEM_64 : 0) | (prefetchable ? IORESOURCE.PREFETCH : 0);
    resources[index] = { start: address, end: address + size - 1, flags: own | kind | IORESOURCE.SIZEALIGN };
  }
  if (found?.rom !== undefined) {
    const { address, size } = found.rom;
    const enabled = (config.read(Pci.ROM_ADDRESS, 4) & PciBar.ROM_ENABLE) !== 0 ? IORESOURCE.ROM_ENABLE : 0;
    const flags = IORESOURCE.MEM | IORESOURCE.PREFETCH | IORESOURCE.READONLY | IORESOURCE.SIZEALIGN | enabled;
    resources[ROM] = { start: address, end: address + size - 1, flags };
  }
  if (found?.secondaryBus !== undefined) resources.push(...windowsOf(config));
  return resources;
}

/** Ports, memory, prefetchable memory; one that is closed is empty. */
function windowsOf(config: ConfigAccess): Resource[] {
  const range = (first: number, last: number, flags: number): Resource =>
    (first > last ? NONE : { start: first, end: last, flags });
  const [ioBase, ioLimit] = [config.read(PciBridge.IO_BASE, 1), config.read(PciBridge.IO_LIMIT, 1)];
  const [base, limit] = [config.read(PciBridge.MEMORY_BASE, 2), config.read(PciBridge.MEMORY_LIMIT, 2)];
  const [low, lowEnd] = [config.read(PciBridge.PREFETCH_BASE, 2), config.read(PciBridge.PREFETCH_LIMIT, 2)];
  const [high, highEnd] = [config.read(PciBridge.PREFETCH_BASE_HI, 4), config.read(PciBridge.PREFETCH_LIMIT_HI, 4)];
  const memory = (register: number): number => (register & 0xfff0) * 0x10000;
  return [
    range((ioBase & 0xf0) << 8, (ioLimit & 0xf0) << 8 | 0xfff, IORESOURCE.IO | (ioBase & 0xf)),
    range(memory(base), memory(limit) + 0xfffff, IORESOURCE.MEM),
    range(high * 2 ** 32 + memory(low), highEnd * 2 ** 32 + memory(lowEnd) + 0xfffff,
      IORESOURCE.MEM | IORESOURCE.PREFETCH | IORESOURCE.MEM_64 | (low & 0xf)),
  ];
}

/**
 * Whether Linux finds a way to reset the function: a function-level reset, a power state that loses all, or the reset of
 * a bus that it is alone on.
 */
function isResettable(config: ConfigAccess, aloneOnBus: boolean): boolean {
  if (aloneOnBus) return true;
  const express = findCapability(config, PciCap.EXP);
  if (express !== 0 && (config.read(express + PciExp.DEVCAP, 4) & PciExp.DEVCAP_FLR) !== 0) return true;
  const advanced = findCapability(config, PciCap.AF);
  if (advanced !== 0 && (config.read(advanced + AF_CAPABILITIES, 1) & AF_FLR) !== 0) return true;
  const power = findCapability(config, PciCap.PM);
  return power !== 0 && (config.read(power + Pm.PMCSR, 2) & Pm.PMCSR_NO_SOFT_RESET) === 0;
}
