import type { Random } from '../../engine/index';
import type { ConfigDefinition } from '../../pci/config-space';

/**
 * A register of a device in TypeScript. Without `host` it is data: the engine reads and writes it by its masks, and the
 * device looks at it when it wants to. With `host`, a read or write of it calls the device.
 */
export interface HostRegister<Name extends string = string> {
  readonly name: Name;
  /** Offset in the BAR, a multiple of 4. */
  readonly off: number;
  readonly meaning?: string;
  /** A register of eight bytes is two dwords; reset, masks and effects hold for each of them (default 4). */
  readonly bytes?: 4 | 8;
  /** Value after reset (default 0). */
  readonly reset?: number;
  /** Bits that a write stores (default none), and bits that writing a one clears. */
  readonly writeMask?: number;
  readonly w1c?: number;
  /** Accesses that are valid (default 4, and 8 for a register of eight bytes); others give ones or are dropped. */
  readonly widths?: ReadonlyArray<1 | 2 | 4 | 8>;
  /** Reads give ones. */
  readonly writeOnly?: boolean;
  /** Which accesses call the device; true is both. Reads by other devices' DMA never do: they give ones. */
  readonly host?: true | 'read' | 'write';
  /** A write stores nothing by itself: `onWrite` does, or refuses. */
  readonly handlerStores?: boolean;
}

/** The registers of one BAR, in ascending order of their offsets. */
export interface HostRegisterTable {
  readonly bar: number;
  /** Bytes of the BAR, as in its config space. */
  readonly size: number;
  /** What a dword reads as that is no register (default: ones). */
  readonly constant?: number;
  readonly rows: readonly HostRegister[];
}

export type RegisterName<Tables extends readonly HostRegisterTable[]> = Tables[number]['rows'][number]['name'];

type Called<Row> = Extract<Row, { readonly host: unknown }>;

/** Names of the registers that call the device. Rows that were computed tell nothing apart: then all names. */
export type HostRegisterName<Tables extends readonly HostRegisterTable[]> =
  [Called<Tables[number]['rows'][number]>] extends [never] ? RegisterName<Tables>
    : Called<Tables[number]['rows'][number]>['name'];

/**
 * Why a device is reset: the machine was put together, a function-level reset or a power state (D3hot to D0) of the
 * guest, or a reset of the bus above it or of the system.
 */
export type ResetKind = 'power-on' | 'function' | 'bus';

/** What became of DMA. `pending`: it cannot be done now, and this step will be taken again from its start. */
export type DmaStatus = 'ok' | 'refused' | 'nothing' | 'fault' | 'pending' | 'busy';

/** What a read by DMA gave. */
export interface DmaRead {
  status: DmaStatus;
  bytes: Uint8Array;
}

/** A device, in one of its handlers. */
export interface RegisterDevice<State, Name extends string = string> {
  /** The device's own data; change it in place. */
  readonly state: State;
  /** Virtual time in ns: the only clock. */
  readonly now: number;
  /** The only randomness: seeded by the machine's seed and the device's address. */
  readonly random: Random;
  /** Whether MSI or MSI-X is on; then INTx is not asserted, and `sendMsi` is the way. */
  readonly msiEnabled: boolean;
  /** A dword of a register, side effects apart. `half` is 4 for the high dword of an eight-byte register. */
  get(register: Name, half?: 0 | 4): number;
  set(register: Name, value: number, half?: 0 | 4): void;
  /** A register of eight bytes. */
  getWide(register: Name): bigint;
  /** The device's INTx level. */
  intx(level: boolean): void;
  /** `deadline` is called once virtual time has reached `timeNs`; undefined: not any more. One time at a time. */
  schedule(timeNs: number | undefined): void;
  /** `service` is called soon. */
  requestService(): void;
}

/** A device in a step of deferred work: the only place where it does DMA. */
export interface ServiceContext<State, Name extends string = string> extends RegisterDevice<State, Name> {
  /** Reads up to 65,536 bytes. What cannot be read is ones; `bytes` is empty when `pending` or `busy`. */
  dmaRead(busAddr: number | bigint, length: number): DmaRead;
  dmaWrite(busAddr: number | bigint, bytes: ArrayLike<number>): DmaStatus;
  /** Sends a message, MSI-X or MSI, whichever is on, when this step is done. False when both are off. */
  sendMsi(vector?: number): boolean;
}

export interface DeviceHandlers<State, Name extends string = string, HostName extends string = Name> {
  /** Gives the dword that a read of the register sees. */
  onRead?(device: RegisterDevice<State, Name>, register: HostName, half: 0 | 4): number;
  /** After the register has stored, unless `handlerStores`. `value` and `lanes` (bits written) lie as in the dword. */
  onWrite?(device: RegisterDevice<State, Name>, register: HostName, value: number, lanes: number, half: 0 | 4): void;
  /** One piece of deferred work, when asked for and when Bus Master comes on. Asks for more by `requestService`. */
  service?(context: ServiceContext<State, Name>): void;
  /** The scheduled time has come. */
  deadline?(context: ServiceContext<State, Name>): void;
  /** Registers and state have their initial values already; `before` is the state until now. */
  reset?(device: RegisterDevice<State, Name>, kind: ResetKind, before: State): void;
  /** State as plain data, and back: only needed when `state` is not all, or when an older version is to be read. */
  save?(state: State): unknown;
  load?(saved: unknown, version: number): NoInfer<State>;
}

/** What `defineDevice` takes. */
export interface HostDefinition<Tables extends readonly HostRegisterTable[], State> {
  /** Name in machine descriptions: lower case letters, digits, hyphens. */
  readonly model: string;
  /** As `lspci` titles it. */
  readonly title: string;
  /** Version of the saved state (default 1). */
  readonly version?: number;
  readonly config: ConfigDefinition;
  readonly registers: Tables;
  /** Plain data; each device begins with a copy. */
  readonly state: State;
  readonly handlers: DeviceHandlers<NoInfer<State>, RegisterName<Tables>, HostRegisterName<Tables>>;
}

/** State of one device, for a snapshot: plain data. */
export interface SavedDevice {
  model: string;
  version: number;
  state: unknown;
  random: number[];
  failed: string | null;
}
