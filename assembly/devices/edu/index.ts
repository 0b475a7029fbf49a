// edu: QEMU's educational device (docs/specs/edu), PCI id 1234:11e8. Models: identification, liveness, factorial,
// status, interrupts by INTx or MSI, DMA between RAM and its 4 KiB buffer with a 28-bit mask.
// Differs from QEMU: the factorial is ready in the write (QEMU computes in a thread, so that STATUS may show it
// busy for a moment); a transfer out of the buffer's range does nothing instead of going ahead; time is virtual.
export { eduRead, eduReset, eduStep, eduWrite } from './device';
