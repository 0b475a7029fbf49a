// The checks of an assignment, in the order of pci-assignable-add, create and attach, pciback.
import { command, edit, isKnown, listed, ok, refused, unknown, warning } from './checks';
import { type Shared, byAddress, named, ownerName, sharersOfLine, sharersOfPages, takeOut } from './neighbours';
import type { ReasonCode } from './reasons';
import type { Check, DeviceFacts, DomainFacts, ExplainFacts } from './types';

const FIRST_DOMAIN = 0;
/** What a front end of this version says of itself. */
const MAGIC = '7';

const hex = (value: number): string => `0x${value.toString(16)}`;

/** What pci-assignable-add does: the device is there, is none that pciback refuses, and goes to the quarantine. */
export function* assignable(facts: ExplainFacts, device: DeviceFacts): Generator<Check> {
  const { bdf } = device;
  yield bridgeCheck(facts, device);
  yield iommuCheck(facts, bdf);
  if (facts.iommu) {
    yield facts.interruptRemapping ? ok('no-interrupt-remapping', 'interrupts are remapped: the device reaches its own only')
      : warning('no-interrupt-remapping', `interrupts are not remapped: whoever has ${bdf} can send any`,
        edit('take intremap=off out of Xen\'s command line in the machine\'s file', { xen: 'iommu=on' }));
  }
  yield device.driver === 'pciback' ? ok('not-bound', 'pciback has it')
    : refused('not-bound', device.driver === undefined ? `${bdf} has no driver; pciback must have it`
      : `${bdf} is bound to ${device.driver}; pciback must have it`, command(`xl pci-assignable-add ${bdf}`));
}

function bridgeCheck(facts: ExplainFacts, { bdf, bridge }: DeviceFacts): Check {
  if (!bridge) return ok('bridge', 'it is no bridge');
  const behind = facts.devices.filter((one) => one.bridges.includes(bdf) && !one.bridge);
  return refused('bridge', `${bdf} is a bridge${behind.length === 0 ? ', and nothing is behind it'
    : `; ${listed(behind.map((one) => one.bdf))} behind it can be given`}`,
  ...behind.map((one) => command(`explain ${one.bdf}`)));
}

function iommuCheck(facts: ExplainFacts, bdf: string): Check {
  if (facts.iommu) return ok('no-iommu', 'the machine has an IOMMU, and Xen uses it');
  if (facts.unsafePassthrough) {
    return warning('no-iommu', `there is no IOMMU, and that is allowed here: whoever has ${bdf} reaches all memory`,
      edit('in the machine\'s file: "iommu": "vtd"', { iommu: 'vtd' }));
  }
  return refused('no-iommu', 'passthrough not supported on this platform: there is no IOMMU, or Xen does not use it',
    edit('in the machine\'s file: "iommu": "vtd"', { iommu: 'vtd' }),
    edit('or start the machine with portcullis serve … --allow-unsafe-passthrough, to see what happens without',
      { allowUnsafePassthrough: true }));
}

/** What create and pci-attach do. Without a domain: for one of the right kind. */
export function* assignment(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts | undefined): Generator<Check> {
  if (domain !== undefined) yield* domainChecks(facts, domain);
  yield ownerCheck(facts, device, domain);
  yield resetCheck(device);
  yield pageCheck(facts, device, domain);
  yield lineCheck(facts, device, domain);
  yield reservedCheck(device, domain);
  yield isolationCheck(facts, device, domain);
  yield maskCheck(device);
  if (domain !== undefined) yield* endChecks(facts, device, domain);
}

/** A domain keeps what it was created as. */
function again(name: string, line: string, patch: Record<string, unknown>): ReturnType<typeof command | typeof edit>[] {
  return [command(`xl destroy ${name}`), edit(`and create it with ${line}`, patch)];
}

function* domainChecks(facts: ExplainFacts, { name, kind, iommu }: DomainFacts): Generator<Check> {
  yield kind !== 'pvh' ? ok('pvh', `${name} is ${kind}`)
    : refused('pvh', `passthrough not yet supported for x86 PVH guests, and ${name} is one`, ...again(name, 'type = "pv"',
      { type: 'pv' }));
  if (kind === 'hvm') {
    yield refused('hvm-passthrough', `${name} is hvm; devices are given to pv guests`, ...again(name, 'type = "pv"',
      { type: 'pv' }));
  }
  if (!facts.iommu) return;
  yield iommu ? ok('domain-without-iommu', `${name} has IOMMU tables`)
    : refused('domain-without-iommu', `${name} was created without passthrough, so it has no IOMMU tables`,
      ...again(name, 'passthrough = "enabled"', { passthrough: 'enabled' }));
}

function ownerCheck(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts | undefined): Check {
  const { bdf, owner, promisedTo } = device;
  const guest = facts.domain(owner);
  const holder = guest !== undefined && owner !== FIRST_DOMAIN ? owner : promisedTo;
  if (holder === undefined) return ok('other-owner', 'no guest has it');
  const name = ownerName(facts, holder);
  if (holder === domain?.domid) return ok('other-owner', `${name} has it already`);
  return refused('other-owner', `${bdf} is ${name}'s`, command(`xl pci-detach ${name} ${bdf}`));
}

function resetCheck({ bdf, resettable }: DeviceFacts): Check {
  if (!isKnown(resettable)) return unknown('no-reset-method', `whether ${bdf} can be reset is not in the dump`);
  return resettable ? ok('no-reset-method', 'it can be reset')
    : warning('no-reset-method',
      `the kernel does not support reset from sysfs for ${bdf}: what one guest leaves in it, the next finds`,
      edit('put it behind a root port of its own, whose bus can be reset: {"model": "root-port", …}'));
}

/** What is shared with somebody: fine as long as nobody else uses it. */
function sharedCheck(facts: ExplainFacts, reason: ReasonCode, shared: Shared, what: string, none: string): Check {
  const { used, idle } = shared;
  if (used.length > 0) return warning(reason, `${what} ${named(facts, used)}`, ...used.map((one) => takeOut(facts, one)));
  return ok(reason, idle.length > 0 ? `${what} ${listed(idle.map(({ bdf }) => bdf))}, which nobody uses` : none);
}

function pageCheck(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts | undefined): Check {
  const shared = sharersOfPages(facts, device, domain);
  return isKnown(shared) ? sharedCheck(facts, 'page-shared', shared, 'its BARs share a page with those of',
    'no other device is in its pages')
    : unknown('page-shared', 'a BAR\'s size is not in the dump, so another may be in the same page; make the dump with -vv');
}

function lineCheck(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts | undefined): Check {
  const { bdf, gsi } = device;
  if (!isKnown(gsi)) return unknown('shared-intx', `which line ${bdf}'s INTx pin leads to, and who else's, is not in the dump`);
  if (gsi === undefined) return ok('shared-intx', 'it has no INTx pin');
  return sharedCheck(facts, 'shared-intx', sharersOfLine(facts, device, gsi, domain), `it shares interrupt ${gsi} with`,
    `no other device is on interrupt ${gsi}`);
}

function reservedCheck({ bdf, reserved }: DeviceFacts, domain: DomainFacts | undefined): Check {
  if (!isKnown(reserved)) return unknown('reserved-memory-region',
    `whether firmware reserves memory for ${bdf} is not in a dump`);
  if (reserved.length === 0) return ok('reserved-memory-region', 'firmware reserves no memory for it');
  const text = listed(reserved.map(({ start, end }) => `${hex(start)} to ${hex(end)}`));
  const others = [...new Set(reserved.flatMap((one) => one.others))];
  if (others.length > 0 && domain?.relaxed !== true) {
    return refused('reserved-memory-region', `${bdf} shares the reserved memory ${text} with ${listed(others)}`,
      domain === undefined ? edit(`give it with rdm_policy=relaxed: "${bdf},rdm_policy=relaxed"`)
        : command(`xl pci-attach ${domain.name} ${bdf},rdm_policy=relaxed`));
  }
  return warning('reserved-memory-region', `the reserved memory ${text} is the guest's to read and write, through ${bdf}`);
}

function isolationCheck(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts | undefined): Check {
  const { bdf, aliases, peers } = device;
  if (!isKnown(aliases) || !isKnown(peers)) {
    return unknown('alias-or-no-acs',
      `whether the bridges above ${bdf} control access is not in the dump; make it as root, with -xxxx`);
  }
  const [same, reached] = [byAddress(facts, aliases, domain), byAddress(facts, peers, domain)];
  if (same.used.length > 0) return sharedCheck(facts, 'alias-or-no-acs', same, 'its DMA bears the same id as that of', '');
  return sharedCheck(facts, 'alias-or-no-acs', reached, 'without access control services, its DMA reaches',
    facts.iommu ? 'its DMA is its own, and passes the unit' : 'its DMA is its own');
}

function maskCheck({ bdf, msix }: DeviceFacts): Check {
  if (!isKnown(msix)) return unknown('msix-masked', `whether ${bdf} has MSI-X is not in the dump`);
  if (msix === undefined) return ok('msix-masked', 'it has no MSI-X');
  return msix.masked ? refused('msix-masked', `all vectors of ${bdf} are masked; Xen does not assign it so`,
    command(`setpci -s ${bdf} CAP_MSIX+2.W=0:4000`)) : ok('msix-masked', 'MSI-X is not masked');
}

/** What both ends of PCI say, once there is one. */
function* endChecks(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts): Generator<Check> {
  const { name, pci } = domain;
  yield domain.pcifront ? ok('no-pcifront', `${name} has a PCI front end`)
    : refused('no-pcifront', `${name} has no PCI front end: its kernel does not see the device`, ...again(name,
      'pcifront = "linux"', { pcifront: 'linux' }));
  if (pci === undefined) return;
  yield pci.magic === undefined || pci.magic === MAGIC ? ok('magic-mismatch', 'both ends speak version 7')
    : refused('magic-mismatch', `the front end of ${name} speaks version ${pci.magic.slice(0, 20)}, pciback 7`,
      ...again(name, 'pcifront = "linux"', { pcifront: 'linux' }));
  if (pci.freeSlots === undefined) return;
  // functions of one device share a slot
  const joins = pci.devices.some((bdf) => bdf.slice(0, -2) === device.bdf.slice(0, -2));
  yield pci.freeSlots > 0 || joins ? ok('virtual-slots-full', joins ? 'it has a slot' : `${pci.freeSlots} virtual slots are free`)
    : refused('virtual-slots-full', `the virtual bus of ${name} has no slot left`,
      command(`xl pci-detach ${name} ${pci.devices.at(-1)}`));
}
