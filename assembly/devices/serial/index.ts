// serial: a 16550A UART behind an I/O BAR, PCI id 1b36:0002, after National Semiconductor's PC16550D data sheet (June
// 1995; sections cited are its own). Models: all registers, FIFOs of 16 with trigger levels and the character time-out,
// line errors of each character, break, loopback with the modem lines, modem status, interrupts by priority on INTx, and
// a character's time by divisor and frame in virtual time. The other end is a link of bytes, bounded both ways: when it
// is full, the transmitter waits.
// Left out: RXRDY and TXRDY (no DMA of the old kind: FCR.3 is kept), parity and framing as bits (the link says which
// character has an error), OUT1 and OUT2 other than in loopback (on this card OUT2 does not gate the interrupt).
// Differs: the divisor after reset is that of 9600 baud; divisor 0 counts as 65536; a character under a break is not
// sent; a break is told when it begins; what the other end sends during loopback waits.
export { serialDeadline, serialRead, serialReset, serialStep, serialWrite } from './device';
