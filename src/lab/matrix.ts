import { PortcullisError } from '../errors';
import type { DmaOptions } from '../drivers/guest';
import type { MachineDescription } from '../machine/description';
import type { Translation } from '../xen/hypervisor/domain';
import { MODELLED_POLICIES, POLICY_NAMES, type PolicyName } from './cost/index';
import type { Owner } from './result';

export const OWNERS: readonly Owner[] = ['native', 'xen', 'pv-iommu'];

/** How a combination of owner and policy is set up. */
export interface Setup {
  owner: Owner;
  policy: PolicyName;
  /** The machine has a remapping unit. */
  iommu: boolean;
  /** The NIC's own translation, and that of the devices that stay with dom0. */
  translation: Translation;
  dom0Translation: Translation;
  /** How the driver gets bus addresses. */
  mode: DmaOptions['mode'];
}

const SETUPS: Partial<Record<PolicyName, Omit<Setup, 'owner' | 'policy'>>> = {
  none: { iommu: false, translation: 'none', dom0Translation: 'none', mode: 'direct' },
  bypass: { iommu: true, translation: 'pass-through', dom0Translation: 'pass-through', mode: 'direct' },
  static: { iommu: true, translation: 'own-frames', dom0Translation: 'own-frames', mode: 'direct' },
  strict: { iommu: true, translation: 'guest-mapped', dom0Translation: 'own-frames', mode: 'strict' },
  lazy: { iommu: true, translation: 'guest-mapped', dom0Translation: 'own-frames', mode: 'lazy' },
};

/** Why a combination cannot exist, undefined when it can. */
export function absentReason(owner: Owner, policy: PolicyName): string | undefined {
  const maps = policy === 'strict' || policy === 'lazy';
  if (owner === 'xen' && maps) {
    return 'stock Xen shows a guest no IOMMU: the guest\'s own frames stay mapped (static), there is nothing to map or unmap';
  }
  if (owner === 'pv-iommu' && !maps) {
    return 'no map or unmap call is made under this policy: it is the same as owner xen';
  }
  return undefined;
}

export function setupOf(owner: Owner, policy: PolicyName): Setup {
  const setup = SETUPS[policy];
  if (setup === undefined) throw new PortcullisError('POLICY_ABSENT', `policy ${policy} cannot be run yet`, { policy });
  return { owner, policy, ...setup };
}

/** Checks names; throws UNKNOWN_OWNER or UNKNOWN_POLICY with what there is. */
export function checkNames(owners: readonly string[], policies: readonly string[]): void {
  for (const owner of owners) {
    if ((OWNERS as readonly string[]).includes(owner)) continue;
    throw new PortcullisError('UNKNOWN_OWNER', `there is no owner "${owner}"; there are ${OWNERS.join(', ')}`, { owner });
  }
  for (const policy of policies) {
    if ((MODELLED_POLICIES as readonly string[]).includes(policy)) continue;
    const known = (POLICY_NAMES as readonly string[]).includes(policy);
    throw new PortcullisError('UNKNOWN_POLICY', known
      ? `policy "${policy}" is not in this version; there are ${MODELLED_POLICIES.join(', ')}`
      : `there is no policy "${policy}"; there are ${MODELLED_POLICIES.join(', ')}`, { policy });
  }
  if (owners.length === 0 || policies.length === 0) {
    throw new PortcullisError('NOTHING_TO_COMPARE', 'name at least one owner and one policy', {});
  }
}

export const NIC = '0000:00:04.0';
export const BYSTANDER = '0000:00:06.0';

/** The machine of a comparison: the NIC that is compared, and an edu device that stays with the machine's owner. */
export function machineFor(setup: Setup, seed: number, heapBytes: number): MachineDescription {
  return {
    memory: '64MiB', dom0: { memory: '8MiB' }, iommu: setup.iommu ? 'vtd' : 'none', seed, heapBytes,
    owner: setup.owner === 'native' ? 'native' : 'xen',
    devices: [{ model: 'e1000', bdf: NIC }, { model: 'edu', bdf: BYSTANDER }],
  };
}
