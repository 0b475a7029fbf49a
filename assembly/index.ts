// The ABI on one page: every export of the engine. What each does stands at its definition.
export {
  barPageOff, barPlace, cacheBytes, configRead, configWrite, domainCreate, domainDestroy, frameAssign, frameOwner,
  framePtr, frameRefs, functionApply, functionPowerOn, functionReset, guestIn, guestLoad, guestMapGet, guestMapSet,
  guestOut, guestStore, init, intxLine, linkChanged, messagePop, nextDeadline, portRead, portWrite, portsSet,
  registerRead, registerWrite, requestService, resultHigh, resultStatus, service, setup, tableFrameGive,
  tableFrameTake, windowAnswer, windowMap, windowRequest, windowRequestSerial, windowUnmap,
} from './paths/abi';
export {
  dmaFlush, dmaMap, dmaMapSetup, dmaTimer, dmaUnmap, driverBufferGive, driverPoll, driverSend, forwardRun, forwardStart, functionDmaRead,
  functionDmaRepeat, functionDmaScatter, functionDmaWrite, guestInRepeat, guestLoadRepeat, guestStoreRepeat, invalidate, ioDomainCreate,
  ioDomainDestroy, ioMap, ioPageMapped, ioUnmap, iommuOpFlush, iommuOpMap, iommuOpUnmap, iovaGive, iovaTake,
  receiveRun,
} from './paths/abi-dma';
export { functionFail, functionStepDone } from './paths/abi-host';
export { busReset, ecamRead, ecamWrite, ecamWriteOwner, functionIntx, functionMessage, systemReset } from './paths/abi-pci';
export {
  eventFromXen, eventSet, eventTake, eventVirq, evtchnSend, evtchnUnmask, grantMap, grantTableOp, grantUnmap,
  grantsCreate, grantsDestroy, grantsIoFill, grantsPinned, grantsWithdraw, guestMapForget, interruptsDeliver, lineEnd,
} from './paths/abi-xen';
