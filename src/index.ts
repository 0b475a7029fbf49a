// The public API, in the order a reader meets it.
export { Machine } from './machine/machine';
export type { DomainConfig, MachineHost } from './machine/machine';
export type { MachineDocument, MachineSnapshot } from './machine/snapshot';
export { DIGEST_SECTIONS, difference } from './machine/digest';
export type { Digest, DigestSection, DigestSectionName } from './machine/digest';
export { DEVICE_MODELS } from './machine/description';
export type { DeviceDescription, IommuDescription, MachineDescription } from './machine/description';
export { parseSize } from './machine/size';
export { defineDevice } from './devices/host/define';
export type { DefinedDevice } from './devices/host/define';
export type { DeviceFailure, HostDeviceHandle } from './devices/host/device';
export type {
  DeviceHandlers, DmaRead, DmaStatus, HostDefinition, HostRegister, HostRegisterTable, RegisterDevice, ResetKind,
  SavedDevice, ServiceContext,
} from './devices/host/types';
export type { BarDefinition, ConfigDefinition } from './pci/config-space';
export type { Capability } from './pci/capabilities/capability';
export { expressCapability } from './pci/capabilities/express';
export { msiCapability } from './pci/capabilities/msi';
export { msixCapability } from './pci/capabilities/msix';
export { pmCapability } from './pci/capabilities/pm';
export { Engine } from './engine/engine';
export type { EngineHost, EngineOptions, InterruptMessage } from './engine/engine';
export { TRACE_CATEGORIES } from './engine/trace';
export type { TraceEvent, TraceKind, TraceOptions } from './engine/trace';
export type { WindowFile, WindowOptions, WindowRequest } from './engine/windows';
export { COUNTER_NAMES } from './engine/counters';
export type { CounterName, Counters } from './engine/counters';
export { compare } from './lab/compare';
export { ATTACKS } from './lab/result';
export type {
  AbsentResult, Attack, CompareDocument, CompareOptions, CompareResult, Isolation, Manifest, Owner,
} from './lab/result';
export { OWNERS } from './lab/matrix';
export { DEFAULT_WORKLOADS } from './lab/workload';
export { MODELLED_POLICIES, PARAMETER_NAMES, POLICY_NAMES, PROFILE_NAMES, resolveProfile } from './lab/cost/index';
export type { ParameterName, PolicyName, Profile, ProfileName } from './lab/cost/index';
export { EduDriver } from './drivers/edu';
export { E1000Driver } from './drivers/e1000';
export { E1000eDriver } from './drivers/e1000e';
export { DmaMapper } from './drivers/guest';
export type { DmaOptions, Guest } from './drivers/guest';
export { loadPcap, parsePcap, writePcap } from './devices/links/pcap';
export type { PcapFile, PcapFrame } from './devices/links/pcap';
export { formatBdf, parseBdf } from './pci/bdf';
export type { Bdf } from './pci/bdf';
export { HypercallError } from './xen/hypervisor/errors';
export { Xenstored } from './xen/xenstore/daemon';
export type { XenstoredOptions } from './xen/xenstore/daemon';
export { StoreAccess, XenstoreClient } from './xen/xenstore/client';
export type { WatchEvent } from './xen/xenstore/client';
export type { Connection } from './xen/xenstore/connection';
export type { DomainHost } from './xen/xenstore/state';
export type { Link } from './xen/xenstore/ring';
export { DEFAULT_QUOTAS } from './xen/xenstore/quotas';
export type { QuotaName, Quotas } from './xen/xenstore/quotas';
export { countStore, digestInput, dumpStore } from './xen/xenstore/dump';
export type { StoreCounts } from './xen/xenstore/dump';
export { loadStore, saveStore } from './xen/xenstore/snapshot';
export type { SavedStore } from './xen/xenstore/snapshot';
export { XenstoreError } from './xen/xenstore/errors';
export type { ErrorName } from './xen/xenstore/errors';
export { PortcullisError } from './errors';
