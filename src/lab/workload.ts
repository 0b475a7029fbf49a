import { type FrameStore, generateStore, pcapStore } from '../devices/links/store';
import { loadPcap } from '../devices/links/pcap';
import { PortcullisError } from '../errors';

/** A workload: frames that come in, over and over, and how many of them are one measured run. */
export interface Workload {
  name: string;
  store: FrameStore;
  packets: number;
}

export const DEFAULT_WORKLOADS: readonly string[] = ['pcap', '64', '1500', 'imix'];

/** Frames of a generated stream that are different from each other. */
const DISTINCT = 1024;
const SIZE_MIN = 60;
const SIZE_MAX = 1514;

/** Builds a workload by name: `pcap`, `imix` or a frame size. Throws UNKNOWN_WORKLOAD, or what is wrong with the pcap. */
export async function buildWorkload(name: string, options: {
  packets: number; seed: number; pcap: { name: string; bytes: Uint8Array } | undefined;
}): Promise<Workload> {
  if (name === 'pcap') {
    if (options.pcap === undefined) {
      throw new PortcullisError('NO_PCAP', 'workload "pcap" needs a capture; give one as pcap: {name, bytes}', {});
    }
    const store = pcapStore(options.pcap.name, await loadPcap(options.pcap.bytes, { name: options.pcap.name }));
    return { name, store, packets: store.frames };
  }
  if (name === 'imix') {
    return { name, store: generateStore('imix', 'imix', DISTINCT, options.seed), packets: options.packets };
  }
  const size = Number(name);
  if (!/^\d+$/.test(name) || size < SIZE_MIN || size > SIZE_MAX) {
    throw new PortcullisError('UNKNOWN_WORKLOAD', `there is no workload "${name}"; there are pcap, imix, and a frame size `
      + `in bytes from ${SIZE_MIN} to ${SIZE_MAX} (without FCS)`, { name });
  }
  return { name, store: generateStore(`${size}-byte frames`, size, DISTINCT, options.seed + size), packets: options.packets };
}
