/**
 * What a user's module that runs a domain has: the hypercalls, loads, stores and ports of a guest, and no more. All of it is
 * synchronous; what blocks lets the rest of the machine go on. Addresses are the guest's, in bytes; times are nanoseconds of
 * the machine's clock. Refusals throw an Error with a `code`: that of the hypercall or of the store (EPERM, ENOENT, …), or
 * BAD_CALL for what no guest could ask.
 */

export type AccessWidth = 1 | 2 | 4;

export interface GuestStore {
  read(path: string): string;
  write(path: string, value: string): void;
  mkdir(path: string): void;
  remove(path: string): void;
  /** Names below a path. */
  list(path: string): string[];
}

/** A function of the domain behind its front end for PCI. */
export interface GuestDevice {
  /** Bus in 15:8, device in 7:3, function in 2:0. */
  readonly routing: number;
  /** `0000:00:00.0` */
  readonly name: string;
  readonly vendor: number;
  readonly device: number;
  /** BAR 0 to 5 and the ROM: machine address and bytes, both 0 where there is none. */
  readonly resources: ReadonlyArray<{ readonly start: number; readonly size: number }>;
}

/** What came first: an event at one of the ports, a path that a watch is on, or nothing in time. */
export interface GuestWake {
  readonly port?: number;
  readonly path?: string;
}

export interface GuestApi {
  readonly domid: number;
  readonly name: string;
  /** `extra` or `cmdline` of the config. */
  readonly commandLine: string;
  /** A line on the domain's console. */
  log(text: string): void;
  now(): number;
  /** Until an event has come at one of `ports`, or a watch has fired, at most so long; takes what came. */
  wait(ns: number, ports?: readonly number[]): GuestWake;

  /** Refused accesses read as ones and change nothing. */
  load(va: number, width: AccessWidth): number;
  store(va: number, width: AccessWidth, value: number): void;
  /** At most 4096 bytes. */
  read(va: number, count: number): Uint8Array;
  write(va: number, bytes: Uint8Array): void;
  in(port: number, width: AccessWidth): number;
  out(port: number, width: AccessWidth, value: number): void;

  /** Address of the first of so many free pages (at most 512), which lie together for the guest. */
  allocPages(count: number): number;
  /** A page that a device reaches which drives addresses up to `mask` only. */
  allocPageBelow(mask: number): number;
  /** Gives one back that was allocated. */
  freePage(va: number): void;
  /** Where a byte of the guest's memory is for a device: pages that follow one another need not do so there. */
  machineAddress(va: number): number;
  /** Maps I/O memory (at most 16 MiB) that the domain has the right to. */
  ioremap(machineAddress: number, size: number): number;
  iounmap(va: number): void;

  readonly xenstore: GuestStore & {
    /** `wait` tells of changes at and below the path, and once at first. */
    watch(path: string): void;
    unwatch(path: string): void;
    /** All of `work` at once, again when somebody else was in the way; nothing of it when it throws. */
    transaction<T>(work: (inside: GuestStore) => T): T;
  };
  readonly events: {
    /** A port for another domain to bind. */
    allocUnbound(domid: number): number;
    bind(domid: number, port: number): number;
    send(port: number): void;
    close(port: number): void;
  };
  readonly grants: {
    /** Lets another domain map a page; the reference. */
    grant(va: number, domid: number): number;
    end(ref: number): void;
    /** Maps another domain's page by its reference; the address. */
    map(domid: number, ref: number): number;
    unmap(va: number): void;
  };
  readonly pci: {
    devices(): GuestDevice[];
    read(routing: number, off: number, width: AccessWidth): number;
    write(routing: number, off: number, width: AccessWidth, value: number): void;
    /** The port at which the function's message arrives. */
    enableMsi(routing: number): number;
    enableMsix(routing: number, vectors: number): number[];
    disableMessages(routing: number): void;
    /** The line comes again only after `endIntx`. */
    enableIntx(routing: number): { readonly pirq: number; readonly port: number };
    endIntx(pirq: number): void;
  };
}
