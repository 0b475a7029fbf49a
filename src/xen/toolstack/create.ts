/** Making a domain, step by step; what fails takes everything back. */

import { GrantEntry, Gtf } from '../../../assembly/spec/xen';
import { PortcullisError } from '../../errors';
import type { Domain } from '../hypervisor/domain';
import type { Task } from '../schedule/scheduler';
import { attachSpec } from './attach';
import { destroyDomain } from './destroy';
import type { DomainConfig } from './domain-config';
import { type DomainNodes, type SharedRing, writeConsole, writeDomain } from './domain-nodes';
import { RC, strerror } from './errors';
import type { KnownDomain } from './known-domain';
import { DOM0, type Run } from './toolstack';

const PAGES_PER_MIB = 256;
/** Grant references that the toolstack fills (public/grant_table.h). */
const REF = { CONSOLE: 0, XENSTORE: 1 } as const;

/** What can be refused before there is a domain. Without an IOMMU that comes first, whatever the type. */
export function checkConfig(run: Run, config: DomainConfig): void {
  const { domctl, parts } = run.tools;
  const wanted = config.pci.length > 0 || !['default', 'disabled'].includes(config.passthrough);
  if (wanted && config.passthrough === 'disabled') run.fail(RC.INVAL, 'passthrough disabled but devices are specified');
  const unprotected = wanted && !domctl.physinfo().directio;
  if (unprotected && !(parts.allowUnsafePassthrough && config.type === 'pv')) {
    run.fail(RC.INVAL, 'passthrough not supported on this platform');
  }
  if (wanted && config.type === 'pvh') run.fail(RC.INVAL, 'passthrough not yet supported for x86 PVH guests');
  if (config.type === 'pvh') {
    run.fail(RC.NI, `domain "${config.name}" is pvh: such guests are not modelled; write type = "pv"`);
  }
  if (config.passthrough === 'share_pt' && config.type === 'pv') {
    run.fail(RC.INVAL, 'passthrough="share_pt" not valid for PV domain');
  }
  if (wanted && config.type === 'hvm') {
    run.fail(RC.NI, `domain "${config.name}" is hvm with devices: that needs a device model and firmware, which come with `
      + 'real guests; write type = "pv"');
  }
  if (unprotected) run.out.warn('passthrough without an IOMMU: the devices of the domain can reach all memory of the machine');
  if (run.tools.parts.hypervisor.domains.some(({ domid }) => nameOfDomain(run, domid) === config.name)) {
    run.fail(RC.INVAL, `Domain "${config.name}" already exists`);
  }
  try {
    parts.programs.check(config);
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    run.fail(RC.INVAL, error.message);
  }
}

/** As the store has it, or for a domain that is not in there the hypervisor. */
export function nameOfDomain(run: Run, domid: number): string {
  return run.store.readIfThere(`/local/domain/${domid}/name`)
    ?? run.parts.hypervisor.domains.find((one) => one.domid === domid)?.name ?? '';
}

/** Makes the domain; it runs unless `paused`. */
export function* createDomain(run: Run, config: DomainConfig, paused: boolean): Task<KnownDomain> {
  checkConfig(run, config);
  const known = build(run, config);
  const { domid } = known.domain;
  // who wants to do something to it waits until it is complete
  const { busy } = run.tools;
  busy.add(domid);
  let done = false;
  let failure = 'domain creation failed';
  try {
    giveRights(run, domid, config);
    const nodes = describe(run, known);
    yield* run.transaction((inside) => writeDomain(inside, nodes));
    run.parts.store.introduce(domid, nodes.store.pfn, nodes.store.port);
    yield* run.transaction((inside) => writeConsole(inside, nodes));
    failure = 'unable to add pci devices';
    for (const spec of config.pci) yield* attachSpec(run, known, spec, true);
    failure = 'domain creation failed';
    if (!paused) start(run, known);
    done = true;
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    if (error.code !== 'LIBXL') run.out.error(`domain "${config.name}": ${strerror(error)}`);
    run.fail(RC.FAIL, failure);
  } finally {
    if (!done) for (const task = destroyDomain(run, known); task.next(false).done !== true;);
    busy.delete(domid);
  }
  return known;
}

/** What the config gives the domain beside its devices. */
function giveRights(run: Run, domid: number, { name, ioports, iomem, irqs }: DomainConfig): void {
  const { tools } = run;
  const give = (what: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof PortcullisError)) throw error;
      run.fail(RC.FAIL, `domain "${name}" cannot have ${what}: ${strerror(error)}; ${error.message}`);
    }
  };
  const range = (first: number, count: number): string => `${first.toString(16)} to ${(first + count - 1).toString(16)}`;
  for (const { first, count } of ioports) {
    give(`the ports ${range(first, count)}`, () => tools.domctl.ioportPermission(domid, first, count, true));
  }
  for (const { first, count } of iomem) {
    give(`the I/O memory of frames ${range(first, count)}`, () => tools.domctl.iomemPermission(domid, first, count, true));
  }
  for (const irq of irqs) {
    give(`the interrupt ${irq}`, () => {
      tools.physdev.mapPirq({ domid, type: 'gsi', index: irq, pirq: irq });
      tools.domctl.irqPermission(domid, irq, true);
    });
  }
}

/** The domain itself: memory, no rights, nothing in the store. It has used up its number whatever comes. */
function build(run: Run, config: DomainConfig): KnownDomain {
  const { domctl, domains, random } = run.tools;
  let domain: Domain;
  try {
    domain = domctl.createDomain({
      name: config.name, kind: config.type === 'hvm' ? 'hvm' : 'pv', pages: config.memory * PAGES_PER_MIB, vcpus: config.vcpus,
      iommu: config.pci.length > 0 || !['default', 'disabled'].includes(config.passthrough),
    });
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    return run.fail(error.code === 'ENOMEM' ? RC.NOMEM : RC.FAIL, `domain creation fail: ${error.message}`);
  }
  const known: KnownDomain = {
    domain, uuid: config.uuid ?? uuidOf(() => random.next()), name: config.name, config, started: false, ending: false, devices: [],
  };
  domains.set(domain.domid, known);
  return known;
}

/** Version 4, variant 1 (RFC 4122 §4.4). */
function uuidOf(random: () => number): string {
  const bytes = Uint8Array.from({ length: 16 }, () => random() & 0xff);
  bytes[6] = (bytes[6] as number) & 0x0f | 0x40;
  bytes[8] = (bytes[8] as number) & 0x3f | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The pages that domain 0 shares: the last two of the domain, granted as a guest expects to find them. */
function describe(run: Run, { domain, config, uuid }: KnownDomain): DomainNodes {
  const { hypervisor, scheduler } = run.parts;
  const share = (pfn: number, ref: number): SharedRing => {
    const port = hypervisor.events.allocUnbound(DOM0, { dom: domain.domid, remoteDom: DOM0 });
    const gfn = domain.kind === 'pv' ? domain.p2m[pfn] as number : pfn;
    const table = hypervisor.engine.frame(hypervisor.grants.frames(domain)[0] as number);
    const entry = new DataView(table.buffer, table.byteOffset + ref * GrantEntry.V1_SIZE, GrantEntry.V1_SIZE);
    entry.setUint16(GrantEntry.DOMID, DOM0, true);
    entry.setUint32(GrantEntry.V1_FRAME, gfn, true);
    entry.setUint16(GrantEntry.FLAGS, Gtf.PERMIT_ACCESS, true);
    return { pfn, gfn, port };
  };
  const last = domain.p2m.length - 1;
  // the store's channel comes first: port 1
  const store = share(last, REF.XENSTORE);
  return {
    domid: domain.domid, name: config.name, uuid, type: config.type, kernel: config.kernel, memoryKb: config.memory * 1024,
    vcpus: config.vcpus, startTime: (scheduler.now / 1e9).toFixed(2), store, console: share(last - 1, REF.CONSOLE),
  };
}

/** Lets it run: its program begins when it is first unpaused. */
export function start(run: Run, known: KnownDomain): void {
  const { domctl, parts } = run.tools;
  if (known.ending) run.fail(RC.FAIL, `Domain ${known.domain.domid} is being destroyed`);
  domctl.unpauseDomain(known.domain.domid);
  if (known.started) return;
  known.started = true;
  parts.programs.start(known.domain, known.config);
}
