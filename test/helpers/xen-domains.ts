// Three domains beside dom0 and what a guest would do to its own memory, for tests of event channels and grants.
// Offsets and flags are those of Xen's public headers, written out again here.
import { Machine, type DomainConfig } from '../../src/machine/machine';
import type { Domain } from '../../src/xen/hypervisor/domain';
import type { Hypervisor } from '../../src/xen/hypervisor/hypervisor';
import { HypercallError } from '../../src/xen/hypervisor/errors';

export interface XenDomains {
  machine: Machine;
  hypervisor: Hypervisor;
  a: Domain;
  b: Domain;
  hvm: Domain;
}

export async function xenDomains(iommu: 'vtd' | 'none' = 'none', config: Partial<DomainConfig> = {}): Promise<XenDomains> {
  const machine = await Machine.create({
    memory: '16MiB', dom0: { memory: '1MiB' }, iommu, iommuFrames: iommu === 'vtd' ? 64 : 0,
    devices: [{ model: 'edu', bdf: '0000:00:06.0' }, { model: 'edu', bdf: '0000:00:0e.0' }],
  });
  const [a, b] = ['a', 'b'].map((name) => machine.createDomain({ name, memory: '1MiB', ...config })) as [Domain, Domain];
  const hvm = machine.createDomain({ name: 'hvm', memory: '1MiB', type: 'hvm' });
  return { machine, hypervisor: machine.hypervisor, a, b, hvm };
}

/** Number of the error that a hypercall is refused with, 0 when it is not. */
export function errnoOf(call: () => unknown): number {
  try {
    call();
    return 0;
  } catch (error) {
    if (error instanceof HypercallError) return error.errno;
    throw error;
  }
}

/** A page of a domain's own memory. */
export function page(machine: Machine, domain: Domain, pfn: number): DataView {
  const bytes = machine.engine.frame(domain.p2m[pfn] as number);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export const hexBytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
export const hexText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
