/** An explanation for people, and as a document. */

import { REASONS } from './reasons';
import type { Access, Check, Explanation, Outcome, Question, Remedy } from './types';

const MARKS: Readonly<Record<Outcome, string>> = { ok: '✓', refused: '✗', warning: '!', unknown: '?' };
const ASCII: Readonly<Record<Outcome, string>> = { ok: '+', refused: 'x', warning: '!', unknown: '?' };

/** Version of the document of `explainDocument`. */
export const EXPLAIN_SCHEMA = 1;

function askedText(access: Exclude<Access, { kind: 'dma' }>): string {
  if (access.kind === 'config') return `a write of ${access.register.text}`;
  if (access.kind === 'irq') return 'interrupts';
  const at = access.address === undefined ? '' : ` at 0x${access.address.toString(16)}`;
  return access.kind === 'mmio' ? `memory${at}` : `ports${at}`;
}

function questionText({ bdf, domain, access }: Question): string {
  if (access === undefined) return `Can ${bdf} be given to ${domain ?? 'a guest'}?`;
  if (access.kind === 'dma') {
    return `Does DMA of ${bdf} ${domain === undefined ? '' : `for ${domain} `}reach ${access.address === undefined
      ? 'memory' : `0x${access.address.toString(16)}`}?`;
  }
  return `Does ${domain ?? 'who has it'} reach ${askedText(access)} of ${bdf}?`;
}

export const remedyText = (remedy: Remedy): string => (remedy.executable ? remedy.command : remedy.edit);

function checkLines({ reason, outcome, sentence, remedies }: Check, marks: Readonly<Record<Outcome, string>>,
  width: number): string[] {
  return [`  ${marks[outcome]} ${reason.padEnd(width)}  ${sentence}`,
    ...remedies.map((remedy) => `${' '.repeat(width + 6)}${remedy.executable ? '$ ' : ''}${remedyText(remedy)}`)];
}

/** Lines for a terminal; `ascii` where it has nothing else. */
export function explainText(explanation: Explanation, { ascii = false } = {}): string {
  const { question, verdict, decisive, checks } = explanation;
  const width = Math.max(...checks.map(({ reason }) => reason.length));
  const doubt = checks.find(({ outcome }) => outcome === 'unknown')?.sentence;
  const answer = verdict === 'allowed' ? 'Yes.' : verdict === 'refused' && decisive !== undefined
    ? `No: ${REASONS[decisive].meaning}.` : `Nothing refuses it, but not all is known: ${doubt}.`;
  const warned = checks.filter(({ outcome }) => outcome === 'warning').length;
  const more = verdict !== 'refused' && warned > 0 ? ` ${warned === 1 ? 'There is a warning' : `There are ${warned} warnings`}.`
    : '';
  const lines = [questionText(question), ...checks.flatMap((check) => checkLines(check, ascii ? ASCII : MARKS, width)), answer
    + more];
  return `${lines.join('\n')}\n`;
}

/** The document of --json. */
export function explainDocument({ question, verdict, decisive, checks }: Explanation): Record<string, unknown> {
  const { bdf, domain, access } = question;
  return {
    schemaVersion: EXPLAIN_SCHEMA,
    question: { bdf, ...(domain === undefined ? {} : { domain }), ...(access === undefined ? {}
      : { access: accessWord(access) }) },
    verdict, ...(decisive === undefined ? {} : { decisive }),
    checks: checks.map(({ reason, outcome, sentence, remedies }) => ({ reason, outcome, sentence, remedies })),
  };
}

/** As it is typed behind --access. */
function accessWord(access: Access): string {
  if (access.kind === 'config') return `config:${access.register.text}`;
  return 'address' in access && access.address !== undefined ? `${access.kind}:${access.address.toString(16)}` : access.kind;
}
