/** The section of a report on what each policy stopped. */

import { ATTACKS } from '../lab/result';
import type { Attack } from '../lab/result';
import { glossary, grid, wrap } from './grid';
import type { Page } from './page';
import { byOwner, footnotes, POLICY_COLUMN } from './page';
import { worst } from './rows';
import type { Row } from './rows';
import { ATTACK_WORDING } from './wording';

const FAULT_COLUMNS = ['target', 'requester', 'access', 'address', 'reason', 'row']
  .map((head) => ({ head, align: 'left' }) as const);

export function isolationSection(page: Page): string {
  const { view, width, style, notes } = page;
  const rows = view.rows.filter((row) => row.results.size > 0);
  const columns = ATTACKS.map((attack) => ({ head: ATTACK_WORDING[attack].head, align: 'left' }) as const);
  const table = grid([POLICY_COLUMN, ...columns], byOwner(page, rows, (row) => ATTACKS.map((attack) => {
    const found = worst(row, attack);
    if (found?.verdict === 'reached') return style.bad('reached');
    if (found?.verdict === 'blocked') return style.good('blocked');
    return style.dim(found?.reason === undefined ? 'n/a' : `n/a ${notes.mark(found.reason)}`);
  })), style);
  const faults = ATTACKS.flatMap((attack) => blockedLines(rows, attack));
  return [
    style.bold('What it stopped'),
    wrap('A hostile driver has the device read and write there. reached: the target was read or changed; blocked: neither.',
      width),
    '',
    table,
    ...footnotes(page),
    '',
    'The targets:',
    glossary(ATTACKS.map((attack) => [title(attack), ATTACK_WORDING[attack].meaning]), width),
    ...(faults.length > 0
      ? ['', 'What the IOMMU recorded of those blocked (in the row named, and in so many more):', '',
        grid(FAULT_COLUMNS, faults, style)]
      : []),
  ].join('\n');
}

function title(attack: Attack): string {
  return ATTACK_WORDING[attack].head.replace('\n', ' ');
}

/** One line for each way in which an attack was blocked, with the first such row as the example. */
function blockedLines(rows: readonly Row[], attack: Attack): string[][] {
  const ways = new Map<string, { cells: string[]; where: string[] }>();
  for (const row of rows) {
    const found = worst(row, attack);
    if (found?.verdict !== 'blocked') continue;
    const name = `${row.owner} ${row.policy}`;
    for (const fault of found.faults ?? (found.fault === undefined ? [] : [found.fault])) {
      const way = `${fault.access} ${fault.reason}`;
      const where = fault.index === undefined ? fault.iova : `entry ${fault.index}`;
      const example = ways.get(way) ?? { cells: [fault.requester, fault.access, where, fault.reason], where: [] };
      if (!example.where.includes(name)) example.where.push(name);
      ways.set(way, example);
    }
  }
  return [...ways.values()].map(({ cells, where }) => (
    [title(attack), ...cells, where.length > 1 ? `${where[0]}, +${where.length - 1}` : where[0] ?? '']
  ));
}
