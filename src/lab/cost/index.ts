export type { Bound, Resource } from './bounds';
export {
  cpuPacketRate, gbps, invalidationRate, invalidationRatePerCore, lazyFlushes, meanPostedTime, missLatency,
  missThroughput, pingPongAddition, postedWindowThroughput, randomMissShare, readLatency, readWalkRate,
  readWindowThroughput, tightest, writeWalkThroughput,
} from './closed-forms';
export type { LazyFlushes } from './closed-forms';
export { NO_COUNTS } from './counts';
export type { RunCounts } from './counts';
export type { CycleSplit } from './cycles';
export { FRAME_OVERHEAD, PACKET_OVERHEAD, linePacketRate, tcpGoodput, wireBytes } from './ethernet';
export { modelRun } from './model';
export type { Modelled } from './model';
export { NOT_IN_CLOSED_FORMS, PARAMETER_NAMES, describeParameter } from './parameters';
export type { Certainty, Column, Parameter, ParameterName, Unit } from './parameters';
export {
  TLP_OVERHEAD, countedBytes, payloadBandwidth, rawBandwidth, readBytes, tlpBandwidth, tlpOverhead, writeBytes,
} from './pcie';
export type { CountedTlps, Link, LinkBytes, Pattern, TlpOverhead } from './pcie';
export { MODELLED_POLICIES, POLICY_NAMES } from './policy';
export type { How, PolicyName } from './policy';
export { PROFILE_NAMES, resolveProfile } from './profiles';
export type { Profile, ProfileName } from './profiles';
