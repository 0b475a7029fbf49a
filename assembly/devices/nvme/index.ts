// nvme: an NVM Express controller, PCI id 1b36:0010, after the NVM Express Base Specification, revision 1.4 (sections cited
// are its own). Models: the controller's registers; 32 I/O queue pairs beside the admin queues; the admin commands
// Identify (CNS 0 to 3, and 6), Create and Delete of queues, Get Log Page (errors, SMART, firmware slot, commands and
// effects), Set and Get Features, Abort, Asynchronous Event Request; the NVM commands Read, Write, Flush, Compare, Write
// Zeroes, Dataset Management and Verify; PRP entries and chained lists; INTx, MSI and MSI-X with masks and coalescing;
// shutdown, reset, fatal status; up to 16 namespaces, each in RAM or at a back end of the host.
// Left out: SGLs, fused commands, metadata and protection information, namespace management, firmware update, Format,
// Security, directives, the controller memory buffer, persistent memory, boot partitions, subsystem reset, weighted
// arbitration, pages other than 4 KiB, self-test, keep alive, host memory buffer, reservations, streams, telemetry.
// Differs: commands are done one at a time, so Abort finds only event requests to abort, and a back end that takes its
// time holds up all queues. A doorbell that is written with the value that it has is no error. Deallocated blocks read 0.
export { nvmeReset } from './control';
export { nvmeDeadline } from './interrupts';
export { nvmeWrite } from './registers';
export { nvmeStep } from './step';
