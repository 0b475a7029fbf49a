/** CONTROL: a minimal set of what xenstored answers. */

import { XenstoreError } from './errors';
import { QUOTA_NAMES } from './quotas';
import type { QuotaName } from './quotas';
import type { StoreState } from './state';
import { decodeStrings, encodeStrings } from './wire';

const HELP: Readonly<Record<string, string>> = {
  check: 'check that the tree hangs together',
  help: 'this text',
  quota: '[set <name> <value> | <domid>]: show or set the quotas, or show what a domain uses',
};

export function control(state: StoreState, payload: Uint8Array): Uint8Array {
  const [command = '', ...parameters] = decodeStrings(payload) ?? [];
  if (command === 'help') {
    return encodeStrings(Object.entries(HELP).map(([name, what]) => `${name}: ${what}\n`).join(''));
  }
  if (command === 'check') return encodeStrings(check(state) ? 'OK' : 'the tree does not hang together');
  if (command === 'quota') return encodeStrings(quota(state, parameters));
  throw new XenstoreError('EINVAL', `no command '${command}'; there are ${Object.keys(HELP).join(', ')}`);
}

function check({ tree }: StoreState): boolean {
  let named = 1;
  for (const [path, { children }] of tree.entries()) {
    named += children.length;
    if (!children.every((leaf) => tree.get(`${path === '/' ? '' : path}/${leaf}`) !== undefined)) return false;
  }
  return named === tree.size;
}

function quota(state: StoreState, parameters: readonly string[]): string {
  const [first, name, value] = parameters;
  if (first === undefined) {
    return table('Quota settings', QUOTA_NAMES.map((one) => [one, state.quotas[one]]));
  }
  if (first === 'set' && parameters.length === 3 && isQuota(name) && /^[1-9]\d{0,8}$/.test(value as string)) {
    state.quotas[name] = Number(value);
    return 'OK';
  }
  if (parameters.length === 1 && /^\d{1,5}$/.test(first)) return usage(state, Number(first));
  throw new XenstoreError('EINVAL', 'give nothing, a domain id, or set with a name and a value');
}

function isQuota(name: string | undefined): name is QuotaName {
  return QUOTA_NAMES.some((one) => one === name);
}

function usage(state: StoreState, domid: number): string {
  const { nodes, bytes } = state.tree.usage(domid);
  const connection = state.domains.get(domid)?.connection;
  return table(`Domain ${domid}`, [
    ['nodes', nodes],
    ['watches', connection?.watches.length ?? 0],
    ['transactions', connection?.transactions.size ?? 0],
    ['outstanding', connection?.outstanding ?? 0],
    ['memory', bytes + (connection?.memory ?? 0)],
  ]);
}

function table(title: string, lines: ReadonlyArray<readonly [string, number]>): string {
  return `${title}:\n${lines.map(([name, value]) => `${name.padEnd(17)}: ${String(value).padStart(8)}\n`).join('')}`;
}
