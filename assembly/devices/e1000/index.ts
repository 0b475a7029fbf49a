// e1000: Intel 82540EM, PCI id 8086:100e, after the PCI/PCI-X Family of Gigabit Ethernet Controllers Software
// Developer's Manual (317453; sections cited are its own). Models: registers through memory and through the I/O
// window, EEPROM by wire and by word, the internal PHY, address and VLAN filters, receive with multi-buffer frames,
// legacy transmit descriptors with checksum insertion, interrupt causes on INTx, statistics.
// Left out:
// - extended transmit descriptors (context, data; DEXT): taken off the ring with DD where RS asks for it, nothing is
//   sent and nothing counted; so no segmentation, and no checksums but those of legacy descriptors;
// - receive checksums (every frame says IXSM: ignore), VLAN tag stripping and insertion;
// - delay timers and throttling (RDTR, RADV, TIDV, TADV, ITR): an interrupt is raised at once;
// - descriptor prefetch and write-back in blocks (RXDCTL, TXDCTL): one at a time;
// - flow control, MAC and PHY loopback, half duplex, speeds below 1000 Mb/s, wake-up, manageability, Flash, MSI;
// - statistics of the wire's errors, collisions and flow control: they read 0.
// Differs: the wire does not lose a frame while there are no descriptors, receive is off or a ring has stopped: it
// waits there. DMA that faults stops its ring until a driver looks after it.
export { e1000Step } from './device';
export { e1000LinkChanged } from './link-state';
export { e1000Read, e1000Write } from './registers';
export { e1000Reset } from './reset';
export { e1000Deadline } from './timers';
