/** What the parts of pciback know of each other: the stub that has the devices, and what serves front ends. */

/** XEN_PCI_ERR_* (public/io/pciif.h), and of some operations a negative Linux errno, as Linux's pciback has it. */
export const PCI_ERR = {
  SUCCESS: 0, DEV_NOT_FOUND: -1, INVALID_OFFSET: -2, ACCESS_DENIED: -3, NOT_IMPLEMENTED: -4, OP_FAILED: -5,
} as const;

/** Where a guest sees a function. */
export interface VirtualAddress {
  readonly segment: number;
  readonly bus: number;
  /** Device in bits 7:3, function in bits 2:0. */
  readonly devfn: number;
}

export interface OpResult {
  /** 0 or negative. */
  readonly err: number;
  /** What goes into the field `value` of the answer. */
  readonly value: number;
}

/** A device that pciback has seized. */
export interface SeizedDevice {
  /** `0000:00:04.0` */
  readonly name: string;
  readonly routing: number;
  /** The domain whose front end has it. */
  readonly owner: number | undefined;
  /** A virtual function of a device with SR-IOV. */
  readonly virtualFunction?: boolean;
  /** Through the virtual fields; not truncated to the size of the access. */
  configRead(off: number, size: number): OpResult;
  configWrite(off: number, size: number, value: number): OpResult;
  enableMsi(): OpResult;
  disableMsi(): OpResult;
  /** `entries`: table indices. `pirqs` has one for each when all went well. */
  enableMsix(entries: readonly number[]): OpResult & { readonly pirqs: readonly number[] };
  disableMsix(): OpResult;
  /** After each operation: installs or removes the fake interrupt handler when INTx was turned on or off. */
  updateIntx(): void;
}

/** The driver of the first domain that has seized devices. */
export interface Stub {
  readonly seized: readonly SeizedDevice[];
  /** Gives a device to the front end of a domain; undefined when it is not seized, or in use. */
  take(routing: number, domid: number): SeizedDevice | undefined;
  /** Takes it back: reset, config space as it was when it was seized, virtual fields as at first. */
  give(device: SeizedDevice): void;
  /** Told when a device is unbound while a front end has it; the back end forgets it. */
  onTaken: ((device: SeizedDevice) => void) | undefined;
  /** A new topology for one front end, of the kind that the module was loaded with. */
  topology(): Topology;
}

/** Which virtual address each function of one front end has. */
export interface Topology {
  /** Throws a XenbusFailure-like error {errno, message} when there is no room, or for a bridge. */
  add(device: SeizedDevice): VirtualAddress;
  remove(device: SeizedDevice): void;
  find(segment: number, bus: number, devfn: number): SeizedDevice | undefined;
  addressOf(device: SeizedDevice): VirtualAddress | undefined;
  /** Segment and bus of each root that the guest scans. */
  roots(): ReadonlyArray<{ readonly segment: number; readonly bus: number }>;
  devices(): readonly SeizedDevice[];
}

/** Why something could not be exported; becomes an error node and state Closing. `errno` is positive. */
export class ExportError extends Error {
  readonly errno: number;

  constructor(errno: number, message: string) {
    super(message);
    this.errno = errno;
  }
}
