/** What the engine's call to its host is about, for a device in TypeScript. */
export const enum HostCall {
  /** A read of a register: the answer is the dword. */
  READ = 0,
  /** A write, `value` and `lanes` in dword position. */
  WRITE = 1,
  /** The function was reset, and its cells with it; `value` is a HostReset. */
  RESET = 2,
}

/** Why a device is reset. */
export const enum HostReset {
  POWER_ON = 0,
  /** Function-level reset, or D3hot to D0. */
  FUNCTION = 1,
  /** Of the bus above it, or of the system. */
  BUS = 2,
}

/** The engine's part of the state of a device in TypeScript. */
export const enum HostDevice {
  /** INTx level that the device wants; a handler only writes it here, and the engine brings it to the line. */
  INTX = 0,
  /** The device has failed: it answers ones and does nothing any more. Never cleared. */
  FAILED = 4,
  /** It wants its `service`; work of the function may also be a message to be sent, or its deadline. */
  REQUESTED = 8,
  /** Bus Master was on when it took its last step. */
  MASTER = 12,
  SIZE = 64,
}
