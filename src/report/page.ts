import type { CompareDocument } from '../lab/result';
import { glossary } from './grid';
import type { Column, GridRow, Style } from './grid';
import type { Footnotes, Row, View } from './rows';
import { OWNER_NAMES, OWNER_WORDING } from './wording';

/** What the sections of one report share. */
export interface Page {
  readonly document: CompareDocument;
  readonly view: View;
  readonly style: Style;
  readonly width: number;
  readonly notes: Footnotes;
}

/** Rows below the title of their owner. */
export function byOwner(page: Page, rows: readonly Row[], cells: (row: Row) => string[]): GridRow[] {
  return OWNER_NAMES.flatMap((owner): GridRow[] => {
    const own = rows.filter((row) => row.owner === owner);
    const lines = own.map((row) => [`  ${row.policy}`, ...cells(row)]);
    return lines.length > 0 ? [page.style.bold(OWNER_WORDING[owner].title), ...lines] : [];
  });
}

/** Footnotes that have come up since the last call, below their table. */
export function footnotes({ notes, width, style }: Page): string[] {
  const fresh = notes.take();
  return fresh.length > 0 ? ['', style.dim(glossary(fresh, width))] : [];
}

export function right(head: string): Column {
  return { head, align: 'right' };
}

export const POLICY_COLUMN: Column = { head: 'policy', align: 'left' };
