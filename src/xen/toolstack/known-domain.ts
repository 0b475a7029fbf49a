/** What the toolstack remembers of the domains that it has made. */

import type { Bdf } from '../../pci/bdf';
import type { Domain } from '../hypervisor/domain';
import type { DomainConfig, Range } from './domain-config';

/** What a device occupies. */
export interface DeviceResources {
  readonly ports: readonly Range[];
  /** Machine frames. */
  readonly frames: readonly Range[];
  /** Interrupt number in domain 0. */
  readonly irq: number | undefined;
}

/** What is remembered of a domain that was made here. */
export interface KnownDomain {
  readonly domain: Domain;
  readonly uuid: string;
  /** Its name at the moment: a domain that is kept aside is renamed. */
  name: string;
  readonly config: DomainConfig;
  /** Whether what runs there has been started. */
  started: boolean;
  /** Its end has begun: nothing is started there any more. */
  ending: boolean;
  /** Devices that it has been given, in that order. */
  readonly devices: AttachedDevice[];
}

/** A device that a domain has, and what it was given of it: its rights go even if the device is there no more. */
export interface AttachedDevice {
  readonly bdf: Bdf;
  readonly resources: DeviceResources;
}
