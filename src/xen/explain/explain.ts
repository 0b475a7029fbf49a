/** Why a device can be given away, or used, or not: the chain of checks in the order of those who do them. */

import { bdfOf, formatBdf, parseBdf, routingId } from '../../pci/bdf';
import { access } from './access';
import { assignable, assignment } from './assignment';
import { command, edit, ok, refused } from './checks';
import type { Check, DomainFacts, ExplainFacts, Explanation, Question, Verdict } from './types';

/** Answers a question. Throws BAD_BDF for an address that is none. */
export function explain(facts: ExplainFacts, question: Question): Explanation {
  const { segment, ...rest } = parseBdf(question.bdf);
  const asked = { ...question, bdf: formatBdf(bdfOf(routingId({ segment, ...rest }), segment)) };
  const checks: Check[] = [];
  for (const check of chain(facts, asked)) {
    checks.push(check);
    if (check.outcome === 'refused') break;
  }
  const decisive = checks.find(({ outcome }) => outcome === 'refused') ?? checks.find(({ outcome }) => outcome === 'unknown');
  const verdict: Verdict = decisive === undefined ? 'allowed' : decisive.outcome === 'refused' ? 'refused' : 'unknown';
  return { question: asked, verdict, decisive: decisive?.reason, checks };
}

/** Exit code: 0 for allowed, 1 for refused or unknown. */
export const exitCodeOf = ({ verdict }: Explanation): 0 | 1 => (verdict === 'allowed' ? 0 : 1);

function* chain(facts: ExplainFacts, { bdf, domain: name, access: asked }: Question): Generator<Check> {
  const device = facts.devices.find((one) => one.bdf === bdf);
  if (device === undefined) {
    yield refused('no-such-device', `there is no device ${bdf}`, edit('take an address that portcullis lspci lists'));
    return;
  }
  yield ok('no-such-device', `${bdf} is there`);
  let domain: DomainFacts | undefined;
  if (name !== undefined || asked !== undefined) {
    domain = facts.domain(name ?? device.owner) ?? (name === undefined ? facts.domain(0) : undefined);
    if (domain === undefined) {
      yield refused('no-such-domain', `there is no domain ${name}`, edit('take one that portcullis xl list shows, or create it'));
      return;
    }
    yield ok('no-such-domain', `${domain.name} is domain ${domain.domid}`);
  }
  const has = domain !== undefined && device.owner === domain.domid;
  if (asked === undefined || !has) {
    if (domain?.domid !== 0) yield* assignable(facts, device);
    if (domain?.domid !== 0) yield* assignment(facts, device, domain);
  }
  if (asked === undefined || domain === undefined) return;
  if (!has) {
    yield refused('not-assigned', `${domain.name} does not have ${bdf}`, domain.domid === 0
      ? command(`xl pci-assignable-remove -r ${bdf}`) : command(`xl pci-attach ${domain.name} ${bdf}`));
    return;
  }
  yield ok('not-assigned', `${domain.name} has it`);
  yield* access(facts, device, domain, asked);
}
