// e1000: Intel 82540EM, PCI id 8086:100e, after the PCI/PCI-X Family of Gigabit Ethernet Controllers Software
// Developer's Manual (317453; sections cited are its own). Models: registers through memory and through the I/O
// window, EEPROM by wire and by word, the internal PHY with loopback and power-down, address and VLAN filters, receive
// with multi-buffer frames, checksums and tag stripping, every kind of transmit descriptor with checksums,
// segmentation and tag insertion, interrupt causes on INTx with delays and throttling in virtual time, statistics.
// Left out:
// - the packet checksum of receive descriptors while RXCSUM is 0 as after reset: it reads 0 then;
// - descriptor prefetch and write-back in blocks (RXDCTL, TXDCTL): one at a time, so TXD_LOW never comes;
// - flow control (its registers are kept, no PAUSE frame is sent or obeyed), half duplex, speeds below 1000 Mb/s,
//   writing the EEPROM, wake-up, manageability, Flash, MSI;
// - statistics of the wire's errors, collisions, flow control and missing buffers (RNBC): they read 0. SBP stores
//   frames of a wrong length, there are no others;
// - the NIC at the other end of a wire does not see that this one's PHY is powered down.
// Differs: the wire does not lose a frame while there are no descriptors, receive is off or a ring has stopped: it
// waits there. DMA that faults stops its ring until a driver looks after it. TCP over IPv4 is checked with TUOFL alone,
// as the drivers set it, though §3.2.9.3 makes IPOFL a condition. A UDP checksum that comes out as 0 is sent as ones.
// A segmentation whose data ends before PAYLEN sends what there is and counts in TSCTFC (§13.7.54 leaves it open).
export { familyStep as e1000Step } from '../e1000-family/device';
export { familyLinkChanged as e1000LinkChanged } from '../e1000-family/link-state';
export { e1000Read, e1000Write } from './registers';
export { e1000Reset } from './reset';
export { familyDeadline as e1000Deadline } from '../e1000-family/timers';
