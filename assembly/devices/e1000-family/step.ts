/** What became of one step of one direction. */
export const enum Outcome {
  /** Nothing to do until a register is written or the link has something new. */
  IDLE = 0,
  /** Something was done. */
  DONE = 1,
  /** Cannot go on now: memory or the link does not take it yet. Nothing has changed; the step is done again. */
  PENDING = 2,
  /** Of an extended transmit descriptor: its data is to be added to the packet like that of a legacy one. */
  DATA = 3,
}
