/** How a run mapped its DMA: who owns the IOMMU, under which policy, with which allocator of addresses. */

import { PortcullisError } from '../../errors';

export const POLICY_NAMES = [
  'none', 'bypass', 'identity', 'static', 'strict', 'lazy', 'pool', 'bounce', 'copy', 'hugepage', 'riommu', 'fns',
] as const;

export type PolicyName = (typeof POLICY_NAMES)[number];

/** The policies that the model has the costs of. */
export const MODELLED_POLICIES: readonly PolicyName[] = ['none', 'bypass', 'static', 'strict', 'lazy'];

export interface How {
  /**
   * `native`: the machine's one OS drives the IOMMU. `xen`: the hypervisor does, and the guest's memory is mapped.
   * `pv-iommu`: the guest maps and unmaps by hypercall; the hypervisor invalidates on bare metal inside the call, so
   * an invalidation costs t_inv_lat as ever (not t_inv_virtual, which is an emulated queue), and the call comes on top.
   */
  readonly owner: 'native' | 'xen' | 'pv-iommu';
  readonly policy: PolicyName;
  readonly allocator: 'magazine' | 'tree';
}

export function checkPolicy(policy: string): void {
  if ((MODELLED_POLICIES as readonly string[]).includes(policy)) {
    return;
  }
  const known = (POLICY_NAMES as readonly string[]).includes(policy);
  throw new PortcullisError(known ? 'COST_POLICY_NOT_MODELLED' : 'COST_UNKNOWN_POLICY',
    known
      ? `policy '${policy}' is not modelled yet; modelled are ${MODELLED_POLICIES.join(', ')}`
      : `unknown policy '${policy}'; there are ${POLICY_NAMES.join(', ')}`,
    { policy, allowed: known ? MODELLED_POLICIES : POLICY_NAMES });
}
