// e1000e: Intel 82574L, PCI id 8086:10d3, after its datasheet (317694; sections cited are its own). Models, with the
// rings, offloads, filters, PHY and statistics of the family (../e1000-family): NVM by word (EERD, EEWR), semaphores,
// the bits by which Linux waits for the chip, extended receive descriptors, INTx, MSI and MSI-X with IVAR, automatic
// clearing and masking, throttling of each vector in virtual time, and Master Disable.
// Left out, beside what e1000 leaves out:
// - the second receive and the second transmit queue: every frame goes to queue 0 and comes from it, RXQ1 and TXQ1 are
//   set by ICS alone. So receive-side scaling has nothing to choose: MRQC, RETA and RSSRK are kept, MRQ and hash are 0;
// - packet split (RCTL.DTYP), RCTL.FLXBUF, the fragment checksum (IP id and IPIDV are there), ACK detection;
// - the NVM by its SPI wires and the Flash behind BAR 1, which reads 0; time stamps (the registers are kept, SYSTIM
//   stands still); RAID, CPUVEC, interrupt statistics (0x4100 to 0x4124 read 0), error correction, management, wake-up,
//   the PHY's pages other than 0, function-level reset, which the chip does not have.
// Differs: with MSI-X a ring reports RXQ0 or TXQ0 and not RXT0, RXDMT0 or TXDW. A vector's causes are cleared and
// masked when its message is asked for, not when one that the MSI-X table masks goes at last. INT_ON_ALL_WB changes
// nothing, as a descriptor without RS is never written back. Messages turned on while a cause waits go with the next
// cause or write of IMS.
export { familyLinkChanged as e1000eLinkChanged } from '../e1000-family/link-state';
export { familyDeadline as e1000eDeadline } from '../e1000-family/timers';
export { e1000eStep } from './device';
export { e1000eRead, e1000eWrite } from './registers';
export { e1000eReset } from './reset';
