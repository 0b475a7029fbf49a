import { Counter } from '../../assembly/spec/counters';

/** Every counter by the name it has in reports, in the order of the ABI. */
export const COUNTER_NAMES = [
  'dmaReads', 'dmaReadBytes', 'dmaWrites', 'dmaWriteBytes', 'readRequestTlps', 'completionTlps', 'writeTlps',
  'dmaRefused', 'dmaNothing', 'translations', 'iotlbHits', 'iotlbMisses', 'tableReads', 'tableReadsForReads',
  'tableReadsForWrites', 'pwc2mMisses', 'pwc1gMisses', 'pwc512gMisses', 'contextHits', 'contextMisses', 'faults',
  'faultsDropped', 'invalidations', 'invalidateContext', 'invalidateGlobal', 'invalidateDomain', 'invalidatePage',
  'invalidateInterrupt', 'waits', 'invalidationSubmissions', 'messagesSent', 'messagesMerged', 'messagesBlocked',
  'messagesStalled', 'intxAsserts', 'mmioReads', 'mmioWrites', 'portReads', 'portWrites', 'guestRefused',
  'configReads', 'configWrites', 'hypercalls', 'iommuOpMaps', 'iommuOpUnmaps', 'iommuOpFlushes', 'iommuOpRefused',
  'ptesWritten', 'maps', 'unmaps', 'iovaAllocsFast', 'iovaAllocsTree', 'iovaFreesFast', 'iovaFreesTree',
  'deferredUnmaps', 'deferredFlushes', 'bounced', 'bytesCopied', 'descriptorFetches', 'descriptorWritebacks',
  'rxFrames', 'rxBytes', 'txFrames', 'txBytes', 'peerWrites', 'peerReads', 'peerUnsupported', 'peerStalled',
  'barMoves', 'serviceUnits', 'driverInterrupts', 'mapFailures', 'eventsSent', 'eventsRefused', 'eventsSet',
  'eventUpcalls', 'grantMaps', 'grantUnmaps', 'grantCopies', 'grantCopyBytes', 'grantRefused',
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];
export type Counters = Record<CounterName, number>;

/** One name for each counter of the engine: checked where it is compiled. */
export const COUNTER_COUNT: number = Counter.COUNT;

/** What was counted between two readings. */
export function countersBetween(before: Counters, after: Counters): Counters {
  const difference = {} as Counters;
  for (const name of COUNTER_NAMES) difference[name] = after[name] - before[name];
  return difference;
}
