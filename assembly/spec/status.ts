/** What a data-plane call answers. A guest can cause every one of these except STATE. */
export const enum Status {
  OK = 0,
  /** A gate refused: rights, Bus Master, frame ownership. */
  REFUSED = 1,
  /** Nothing answers at this address (master abort); reads give ones. */
  NOTHING = 2,
  /** The IOMMU refused the translation; a fault record may tell more. */
  FAULT = 3,
  /** Cannot be finished now; call `service` again. */
  PENDING = 4,
  /** Width or alignment is not valid for this register; no side effect. */
  WIDTH = 5,
  /** A pool is exhausted. */
  FULL = 6,
  /** A number is outside its range. */
  RANGE = 7,
  /** Another thread, or a device handler, is inside the engine. */
  BUSY = 8,
  /** The frame or mapping is in use. */
  IN_USE = 9,
  /** There is nothing of that name. */
  ABSENT = 10,
}

/** What `service` answers. */
export const enum Service {
  IDLE = 0,
  MORE = 1,
  PENDING = 2,
  /** Somebody else is in the engine. */
  BUSY = 8,
}
