// Errors that a PCI Express function reports, and how the first domain's kernel gets over them: its drivers are told, and
// pciback's tells the front end that has the device (PCI Express 6.0 §6.2, §7.8.4; xen-passthrough.md 1.6).
import { Pci, PciExtCap } from '../../assembly/spec/pci';
import { FunctionRecord, State, StateSize } from '../../assembly/spec/state';
import { PortcullisError } from '../errors';
import { bdfOf, formatBdf } from '../pci/bdf';
import { capabilitiesIn } from '../pci/capability-list';
import type { PciCore } from '../xen/dom0/pci-core';
import type { Kernel } from '../xen/kernel/kernel';
import type { AerEvent } from '../xen/pciback/aer';
import { PcibackBackend } from '../xen/pciback/backend';
import type { Stub } from '../xen/pciback/types';
import { ERS_RESULT, PCI_CHANNEL } from '../xen/pciif';
import type { Job, Task } from '../xen/schedule/scheduler';
import type { XenbusDriver } from '../xen/xenbus/bus';

export type ErrorSeverity = 'correctable' | 'nonfatal' | 'fatal';

/** `masked`: the function keeps it to itself. `failed`: whoever drives the device has not got over it. */
export type ErrorOutcome = 'masked' | 'corrected' | 'recovered' | 'failed';

/** Registers of the capability. */
const AER = { UNCORRECTABLE: 0x04, SEVERITY: 0x0c, CORRECTABLE: 0x10 } as const;
/** The mask of either status is the register behind it. */
const MASK = 4;

/** What is raised for each: a bad TLP, a completion that did not come, a malformed TLP. */
const SIGNS: Readonly<Record<ErrorSeverity, { status: number; bit: number; name: string }>> = {
  correctable: { status: AER.CORRECTABLE, bit: 0x00000040, name: 'Bad TLP' },
  nonfatal: { status: AER.UNCORRECTABLE, bit: 0x00004000, name: 'Completion Timeout' },
  fatal: { status: AER.UNCORRECTABLE, bit: 0x00040000, name: 'Malformed TLP' },
};

/** What pciback says of a device that no front end has. */
const UNASSIGNED: Readonly<Record<AerEvent, number>> = {
  error_detected: ERS_RESULT.CAN_RECOVER, mmio_enabled: ERS_RESULT.RECOVERED, slot_reset: ERS_RESULT.RECOVERED, resume: ERS_RESULT.NONE,
};

export interface ErrorRecoveryParts {
  readonly kernel: Kernel;
  readonly core: PciCore;
  readonly stub: Stub | undefined;
  readonly pciback: XenbusDriver | undefined;
}

export class ErrorRecovery {
  readonly #parts: ErrorRecoveryParts;

  constructor(parts: ErrorRecoveryParts) {
    this.#parts = parts;
  }

  /**
   * The function finds an error, and reports it if it is not masked. What follows is a task of the first domain, for up to
   * 300 s for each step that a front end does not answer. Throws NO_DEVICE, and NO_AER for a function without the capability.
   */
  report(routing: number, severity: ErrorSeverity): Job<ErrorOutcome> {
    const { kernel, core } = this.#parts;
    const name = formatBdf(bdfOf(routing));
    const { status, bit, name: sign } = SIGNS[severity];
    const config = core.host.config(routing);
    const at = this.#capability(routing) + status;
    this.#raise(routing, at, bit);
    const masked = (config.read(at + MASK, 4) & bit) !== 0;
    const fatal = status === AER.UNCORRECTABLE && (config.read(at - AER.UNCORRECTABLE + AER.SEVERITY, 4) & bit) !== 0;
    const task = function* run(this: ErrorRecovery): Task<ErrorOutcome> {
      if (masked) return 'masked';
      const kind = status === AER.CORRECTABLE ? 'corrected' : fatal ? 'uncorrected (fatal)' : 'uncorrected (non-fatal)';
      kernel.print(`AER: ${name}: ${kind} error: ${sign}`);
      const outcome = status === AER.CORRECTABLE ? 'corrected' : (yield* this.#recover(routing, fatal)) ? 'recovered' : 'failed';
      // a written one clears it
      if (core.device(routing) !== undefined) config.write(at, 4, bit);
      if (outcome !== 'corrected') kernel.print(`AER: ${name}: recovery ${outcome === 'recovered' ? 'successful' : 'failed'}`);
      return outcome;
    };
    return kernel.scheduler.spawn(`error of ${name}`, kernel.domid, task.call(this));
  }

  #capability(routing: number): number {
    const { host } = this.#parts.core;
    const config = host.config(routing);
    const bytes = new Uint8Array(host.configSize(routing));
    const view = new DataView(bytes.buffer);
    for (let off = 0; off < bytes.length; off += 4) view.setUint32(off, config.read(off, 4), true);
    const found = capabilitiesIn(bytes).find(({ id, version }) => version !== undefined && id === PciExtCap.AER);
    if (found !== undefined) return found.off;
    const bdf = formatBdf(bdfOf(routing));
    throw new PortcullisError('NO_AER', `${bdf} has no advanced error reporting; take a PCI Express device, such as an e1000e`, { bdf });
  }

  /** The function itself sets the bit, which no write to config space can. */
  #raise(routing: number, off: number, bit: number): void {
    const { hypervisor } = this.#parts.kernel;
    const { engine } = hypervisor;
    const record = State.FUNCTION_TABLE + hypervisor.devices.functionOf(routing) * StateSize.FUNCTION_RECORD;
    const at = engine.word(record + FunctionRecord.CONFIG) + off;
    engine.setWord(at, engine.word(at) | bit);
  }

  /** The steps of it; each goes by what the last was answered. */
  *#recover(routing: number, fatal: boolean): Task<boolean> {
    const channel = fatal ? PCI_CHANNEL.FROZEN : PCI_CHANNEL.NORMAL;
    let result = yield* this.#tell(routing, 'error_detected', channel);
    if (result === ERS_RESULT.NONE || result === ERS_RESULT.DISCONNECT) return false;
    // what a link with a fatal error carries is not to be trusted: its function is reset, whoever says what
    if (fatal) result = ERS_RESULT.NEED_RESET;
    if (result === ERS_RESULT.CAN_RECOVER) result = yield* this.#tell(routing, 'mmio_enabled', channel);
    if (result === ERS_RESULT.NEED_RESET) {
      if (this.#parts.core.device(routing) === undefined) return false;
      this.#reset(routing);
      result = yield* this.#tell(routing, 'slot_reset', PCI_CHANNEL.NORMAL);
    }
    if (result !== ERS_RESULT.RECOVERED) return false;
    yield* this.#tell(routing, 'resume', PCI_CHANNEL.NORMAL);
    return true;
  }

  /** Its kernel puts back what was set, so that whoever has the device finds it as it thinks it is. */
  #reset(routing: number): void {
    const { host } = this.#parts.core;
    const config = host.config(routing);
    const command = config.read(Pci.COMMAND, 2);
    host.reset(routing);
    config.write(Pci.COMMAND, 2, command);
  }

  *#tell(routing: number, event: AerEvent, channel: number): Task<number> {
    const { kernel, core, stub, pciback } = this.#parts;
    const device = core.device(routing);
    const seized = stub?.seized.find((one) => one.routing === routing);
    if (device === undefined || seized === undefined || !(pciback instanceof PcibackBackend)) {
      kernel.print(`AER: ${formatBdf(bdfOf(routing))}: ${device?.driver ?? 'no driver'} knows nothing of errors`);
      return ERS_RESULT.NONE;
    }
    const job = pciback.report(seized, event, channel);
    if (job === undefined) {
      kernel.print(`pciback ${seized.name}: ${event}: no front end has the device`);
      return UNASSIGNED[event];
    }
    yield { until: () => job.done };
    return job.result ?? ERS_RESULT.NONE;
  }
}
