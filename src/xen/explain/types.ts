/** What `explain` is asked, what it has to know for an answer, and the answer. */

import type { FoundCapability } from '../../pci/capability-list';
import type { Operation } from '../../pci/setpci/operation';
import type { ReasonCode } from './reasons';

// ---- the question

export type Access =
  /** Of all memory BARs, or of the page with an address. */
  | { readonly kind: 'mmio'; readonly address?: number }
  /** Of all port BARs, or of one port. */
  | { readonly kind: 'port'; readonly address?: number }
  /** Of the domain's memory, or of the page with a machine address. */
  | { readonly kind: 'dma'; readonly address?: number }
  | { readonly kind: 'irq' }
  /** A write of a register, as `setpci` names it. */
  | { readonly kind: 'config'; readonly register: Operation };

export interface Question {
  /** `0000:00:04.0` */
  readonly bdf: string;
  /** Name or number. Without it: any domain, or for an access the one that has the device. */
  readonly domain?: string;
  /** Without it: whether the device can be given away. */
  readonly access?: Access;
}

// ---- the facts

/** What a dump may not say. */
export type Known<T> = T | 'unknown';

export interface BarFacts {
  /** 6 is the expansion ROM. */
  readonly index: number;
  readonly io: boolean;
  readonly address: number;
  readonly size: Known<number>;
}

/** Memory that firmware has reserved for a device's DMA (RMRR). */
export interface ReservedRegion {
  readonly start: number;
  /** The last byte. */
  readonly end: number;
  /** Addresses of the other devices that it is for. */
  readonly others: readonly string[];
}

/** A field of the virtual config space. */
export interface FieldFacts {
  readonly name: string;
  readonly off: number;
  readonly size: number;
  readonly writable: boolean;
  /** Written by the first domain only, unless allow_interrupt_control is set. */
  readonly interruptControl: boolean;
}

export interface DeviceFacts {
  readonly bdf: string;
  /** Has a type 1 header, or the class of a bridge. */
  readonly bridge: boolean;
  /** Bridges that lead to it, nearest first. */
  readonly bridges: readonly string[];
  /** The first domain's driver. */
  readonly driver: string | undefined;
  /** Domain id; 0 for the first domain, 0x7ff1 for the quarantine. */
  readonly owner: number;
  /** The domain to which the toolstack has promised it. */
  readonly promisedTo: number | undefined;
  readonly bars: readonly BarFacts[];
  /** Global interrupt of its INTx pin; undefined without a pin. */
  readonly gsi: Known<number | undefined>;
  readonly resettable: Known<boolean>;
  readonly reserved: Known<readonly ReservedRegion[]>;
  /** Other devices whose DMA bears the same requester id: those behind the same conventional bridge. */
  readonly aliases: Known<readonly string[]>;
  /** Other devices that its DMA reaches below the unit, for want of access control in the bridges between them. */
  readonly peers: Known<readonly string[]>;
  readonly capabilities: Known<readonly FoundCapability[]>;
  readonly msix: Known<{ readonly enabled: boolean; readonly masked: boolean } | undefined>;
  readonly msi: Known<{ readonly enabled: boolean } | undefined>;
  readonly command: number;
  /** In D0. */
  readonly powered: Known<boolean>;
  readonly permissive: boolean;
  readonly interruptControl: boolean;
  /** What pciback lets through; undefined while it has not seized the device. */
  readonly fields: readonly FieldFacts[] | undefined;
}

/** The two ends of PCI of a domain, as the store has them. */
export interface PciEnds {
  readonly frontState: number;
  readonly backState: number;
  /** What the front end has written; undefined before. */
  readonly magic: string | undefined;
  /** Slots of the virtual bus without a device; undefined where guests have the host's addresses. */
  readonly freeSlots: number | undefined;
  /** Devices that are attached. */
  readonly devices: readonly string[];
}

export interface DomainFacts {
  readonly domid: number;
  readonly name: string;
  readonly kind: 'pv' | 'hvm' | 'pvh';
  /** Made with IOMMU tables. */
  readonly iommu: boolean;
  /** Whether its kernel has a front end for PCI. */
  readonly pcifront: boolean;
  /** Its reserved regions may be shared (rdm_policy=relaxed). */
  readonly relaxed: boolean;
  /** Undefined while no device has been given to it. */
  readonly pci: PciEnds | undefined;
  mayMap(firstMfn: number, count: number): boolean;
  mayUsePorts(first: number, count: number): boolean;
  mayUseInterrupt(gsi: number): boolean;
  /** Whether its devices' DMA reaches a machine frame, when it goes through the unit. */
  dmaReaches(mfn: number): boolean;
}

export interface ExplainFacts {
  /** A unit is there and used. */
  readonly iommu: boolean;
  readonly interruptRemapping: boolean;
  /** Devices may be given away without a unit. */
  readonly unsafePassthrough: boolean;
  readonly devices: readonly DeviceFacts[];
  /** By name or number. */
  domain(name: string | number): DomainFacts | undefined;
}

// ---- the answer

export type Outcome = 'ok' | 'refused' | 'warning' | 'unknown';

/** A command that can be run as it is printed; or a change in a file that is the user's. */
export type Remedy =
  | { readonly command: string; readonly executable: true }
  /** `patch`: what the machine's file or the domain's says then, where that is all of it. */
  | { readonly edit: string; readonly patch?: Readonly<Record<string, unknown>>; readonly executable: false };

export interface Check {
  readonly reason: ReasonCode;
  readonly outcome: Outcome;
  readonly sentence: string;
  /** The first is the one to try first. */
  readonly remedies: readonly Remedy[];
}

/** `unknown`: nothing refuses, and something is not known; that is not allowed. */
export type Verdict = 'allowed' | 'refused' | 'unknown';

export interface Explanation {
  readonly question: Question;
  readonly verdict: Verdict;
  /** The check that decides: the one that refuses, or the first that is unknown. */
  readonly decisive: ReasonCode | undefined;
  /** In the order in which they are done; the one that refuses is the last. */
  readonly checks: readonly Check[];
}
