// What `xl debug-keys` makes the hypervisor print: q domains and their rights, e event channels, i interrupts,
// M messages.
import { bdfOf, formatBdf } from '../../pci/bdf';
import type { Domain } from './domain';
import { HypercallError } from './errors';
import type { EventChannels } from './event-channels';
import type { Messages } from './messages';
import type { Pirqs } from './pirqs';
import type { RangeSet } from './rangeset';

/** What the keys look at. */
export interface DebugSource {
  readonly domains: Domain[];
  readonly events: EventChannels;
  readonly messages: Messages;
  readonly pirqs: Pirqs;
}

const hex = (value: number, digits = 0): string => value.toString(16).padStart(digits, '0');

const KEYS: Readonly<Record<string, { title: string; lines: (hypervisor: DebugSource) => string[] }>> = {
  q: { title: 'dumping domain info', lines: domainLines },
  e: { title: 'dumping event-channel info', lines: eventLines },
  i: { title: 'dumping IRQ info', lines: interruptLines },
  M: { title: 'dumping MSI info', lines: messageLines },
};

/** Lines without the prefix. Throws EINVAL for another key. */
export function debugText(hypervisor: DebugSource, key: string): string[] {
  const known = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
  if (known === undefined) {
    throw new HypercallError('EINVAL', `there is no debug key "${key}"; there are ${Object.keys(KEYS).join(', ')}`, { key });
  }
  return [`'${key}' pressed -> ${known.title}`, ...known.lines(hypervisor)];
}

function set(ranges: RangeSet['ranges'], text: (value: number) => string): string {
  const parts = ranges.map(([first, last]) => (first === last ? text(first) : `${text(first)}-${text(last)}`));
  return parts.length === 0 ? '{ }' : `{ ${parts.join(', ')} }`;
}

/** The three range sets of a domain, one a line. */
export function rangesetLines({ irq, iomem, ioport }: Domain): string[] {
  return [
    `    Interrupts ${set(irq.ranges, String)}`, `    I/O Memory ${set(iomem.ranges, hex)}`, `    I/O Ports  ${set(ioport.ranges, hex)}`,
  ];
}

function domainLines(hypervisor: DebugSource): string[] {
  return hypervisor.domains.flatMap((domain) => [
    `General information for domain ${domain.domid}:`,
    `    dying=${domain.dying ? 1 : 0} pause_count=${domain.pauses} nr_pages=${domain.p2m.length}`
      + `${domain.shutdown === undefined ? '' : ` shutdown=${domain.shutdown}`}`,
    `Rangesets belonging to domain ${domain.domid}:`,
    ...rangesetLines(domain),
  ]);
}

function eventLines(hypervisor: DebugSource): string[] {
  return hypervisor.domains.flatMap((domain) => [
    `Event channel information for domain ${domain.domid}:`,
    '    port [p/m]',
    ...hypervisor.events.ports(domain).map(({ port, pending, masked, state, vcpu, remote, far, number, xen }) => {
      const irq = number === undefined || state !== 4 ? undefined : hypervisor.pirqs.irqOf(domain, number);
      const rest = state === 2 ? ` d=${remote}` : state === 3 ? ` d=${remote} p=${far}`
        : state === 4 ? ` p=${number} i=${irq ?? 0}` : state === 5 ? ` v=${number}` : '';
      return `    ${String(port).padStart(4)} [${pending ? 1 : 0}/${masked ? 1 : 0}]: s=${state} n=${vcpu} x=${xen ? 1 : 0}${rest}`;
    }),
  ]);
}

/** Each host interrupt that somebody has bound: the domains, their numbers, and pending and masked of each. */
function interruptLines(hypervisor: DebugSource): string[] {
  const bound = new Map<number, string[]>();
  for (const domain of hypervisor.domains) {
    for (const { state, number, pending, masked } of hypervisor.events.ports(domain)) {
      const irq = state === 4 ? hypervisor.pirqs.irqOf(domain, number as number) : undefined;
      if (irq === undefined) continue;
      const list = bound.get(irq) ?? [];
      list.push(`d${domain.domid}: ${String(number).padStart(2)}(${pending ? 'P' : '-'}${masked ? 'M' : '-'}-)`);
      bound.set(irq, list);
    }
  }
  const vectors = new Map(hypervisor.messages.list().map(({ irq, vector }) => [irq, vector]));
  return ['IRQ information:', ...[...bound].sort(([a], [b]) => a - b).map(([irq, list]) => {
    const vector = vectors.get(irq);
    const type = vector === undefined ? 'IO-APIC-level' : `PCI-MSI vec:${hex(vector, 2)}`;
    return `   IRQ: ${String(irq).padStart(3)} ${type} ${list.join(',')}`;
  })];
}

function messageLines(hypervisor: DebugSource): string[] {
  return ['MSI information:', ...hypervisor.messages.list().map(({ irq, vector, routing, domid, pirq, message, port }) => {
    const kind = message?.entry === undefined ? 'MSI  ' : 'MSI-X';
    const where = message?.entry === undefined ? '' : ` entry=${message.entry}`;
    return ` ${kind} ${String(irq).padStart(5)} vec=${hex(vector, 2)} fixed  edge   assert phys    cpu dest=00000000 `
      + `mask=${port === 0 ? 1 : 0} dev=${formatBdf(bdfOf(routing))}${where} d${domid} p=${pirq}`;
  })];
}
