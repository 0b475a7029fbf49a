// Who makes a hypercall of the control plane, and whom it is about.
import { DomId } from '../../../assembly/spec/machine';
import { CONTROL_DOMAIN, type Domain, type DomainTable } from './domain';
import { HypercallError } from './errors';

/** The caller, which must be the control domain: EPERM. */
export function controlCaller(table: DomainTable, domid: number): Domain {
  const caller = table.domain(domid);
  if (caller.domid !== CONTROL_DOMAIN) {
    throw new HypercallError('EPERM', `domain ${caller.domid} may not do this; only domain ${CONTROL_DOMAIN} may`,
      { caller: caller.domid });
  }
  return caller;
}

/** DOMID_SELF, or an id. */
export function targetOf(table: DomainTable, caller: number, domid: number): Domain {
  return table.domain(domid === DomId.SELF ? caller : domid);
}
