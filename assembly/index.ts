// The ABI on one page: every export of the engine. What each does stands at its definition.
export {
  barPageOff, barPlace, cacheBytes, configRead, configWrite, dmaFlush, dmaMap, dmaMapSetup, dmaTimer, dmaUnmap,
  domainCreate, domainDestroy, driverBufferGive, forwardRun, forwardStart, frameAssign, frameOwner, framePtr, frameRefs,
  functionApply, functionDmaRead, functionDmaRepeat, functionDmaWrite, functionPowerOn, functionReset, guestIn,
  guestLoad, guestLoadRepeat, guestMapGet, guestMapSet, guestOut, guestStore, guestStoreRepeat, init, intxLine,
  invalidate, ioDomainCreate, ioDomainDestroy, ioMap, ioPageMapped, ioUnmap, iommuOpFlush, iommuOpMap, iommuOpUnmap,
  iovaGive, iovaTake, linkChanged, messagePop, nextDeadline, portRead, portWrite, portsSet, registerRead, registerWrite, requestService,
  resultHigh, resultStatus, service, setup,
  tableFrameGive, tableFrameTake, windowAnswer, windowMap,
  windowRequest, windowRequestSerial, windowUnmap,
} from './paths/abi';
export { busReset, ecamRead, ecamWrite, functionIntx, functionMessage, systemReset } from './paths/abi-pci';
