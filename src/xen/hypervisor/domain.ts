import type { RangeSet } from './rangeset';

export type DomainKind = 'pv' | 'hvm' | 'native';

/** How a domain's devices reach memory. */
export type Translation =
  /** No unit, or the unit lets the requester pass. */
  | 'none' | 'pass-through'
  /** Tables that hold the domain's own frames, device frame = machine frame (PV) or guest frame (HVM). */
  | 'own-frames'
  /** Tables that are empty until the guest maps something by iommu_op. */
  | 'guest-mapped'
  /** All RAM but the hypervisor's tables, whoever has it: the first domain's devices in relaxed mode. */
  | 'all-frames';

/** SHUTDOWN_* (public/sched.h). */
export const SHUTDOWN = { poweroff: 0, reboot: 1, suspend: 2, crash: 3, watchdog: 4, soft_reset: 5 } as const;
export type ShutdownReason = keyof typeof SHUTDOWN;

export interface Domain {
  /** Slot in the engine, and id. */
  readonly slot: number;
  readonly domid: number;
  readonly name: string;
  readonly kind: DomainKind;
  /** Machine frame of each page, or NO_FRAME: the P2M. */
  readonly p2m: Uint32Array;
  readonly iomem: RangeSet;
  readonly ioport: RangeSet;
  readonly irq: RangeSet;
  /** Slot of its IO domain, the domain id in the unit, and for all frames the root of the tables. */
  io: { slot: number; did: number; translation: Translation; root?: number } | undefined;
  /** Routing ids of the functions that are assigned to it. */
  readonly assigned: Set<number>;
  /** Machine frame of I/O memory that each guest page is mapped to. */
  readonly ioMapped: Map<number, number>;
  /** First guest page that nothing is mapped at: I/O memory goes there. */
  nextMapPage: number;
  /** Created with XEN_DOMCTL_CDF_iommu: devices may be given to it by domctl. */
  readonly iommu: boolean;
  /** Numbers for interrupts: 0 to one less. */
  readonly nrPirqs: number;
  /** Whether a number of an INTx line that is in no table is the line's own. */
  readonly identityPirqs: boolean;
  /** Host interrupt (an INTx line) of each of its numbers that has been mapped. */
  readonly pirqs: Map<number, number>;
  /** How often it is paused: it runs at 0. */
  pauses: number;
  shutdown: ShutdownReason | undefined;
  dying: boolean;
}

/** The domains that there are, for the parts of the hypervisor. */
export interface DomainTable {
  readonly domains: Domain[];
  /** Throws ESRCH for an id that no domain has. */
  domain(domid: number): Domain;
}

/** A page of the P2M that has no frame: given back, or given away. */
export const NO_FRAME = 0xffffffff;

/** The domain that may do to others what they may do to themselves. */
export const CONTROL_DOMAIN = 0;

/** Guest page number that a page of the domain is mapped at: the machine's one OS sees machine frames. */
export function guestPage(domain: Domain, pfn: number): number {
  return domain.kind === 'native' ? domain.p2m[pfn] as number : pfn;
}

/** Shared page of a domain (public/xen.h, x86-64): event-pending bits at offset 2048, 64 words of 64 bits. */
export const SHARED_INFO_PFN = 0;
export const EVTCHN_PENDING = 2048;
