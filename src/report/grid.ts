/** Plain text in columns: the look of every table of a report. */

import Table from 'cli-table3';

export interface Style {
  readonly bold: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly dim: (text: string) => string;
}

const same = (text: string): string => text;
const sgr = (on: number, off: number) => (text: string): string => `\u001b[${on}m${text}\u001b[${off}m`;

export const PLAIN: Style = { bold: same, good: same, bad: same, dim: same };
export const COLOURED: Style = { bold: sgr(1, 22), good: sgr(32, 39), bad: sgr(31, 39), dim: sgr(2, 22) };

export interface Column {
  /** May have several lines. */
  readonly head: string;
  readonly align: 'left' | 'right' | 'center';
}

/** A row of cells, or the title of the rows below it. */
export type GridRow = readonly string[] | string;

const NO_LINES = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '',
  'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
};

/** Columns parted by two spaces, a rule below the head. ASCII, so that it can be pasted anywhere. */
export function grid(columns: readonly Column[], rows: readonly GridRow[], style: Style): string {
  const height = Math.max(...columns.map(({ head }) => head.split('\n').length));
  const table = new Table({
    head: columns.map(({ head }) => head.padStart(head.length + height - head.split('\n').length, '\n')),
    colAligns: columns.map(({ align }) => align),
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  for (const row of rows) {
    table.push(typeof row === 'string' ? [{ content: row, colSpan: columns.length, hAlign: 'left' }] : [...row]);
  }
  const lines = table.toString().split('\n');
  const rule = '-'.repeat(Math.max(...lines.map(visibleLength)));
  const all = [...lines.slice(0, height).map((line) => style.bold(line.trimEnd())), rule, ...lines.slice(height)];
  return all.map((line) => line.trimEnd()).join('\n');
}

function visibleLength(line: string): number {
  return line.replace(/\u001b\[\d+m/g, '').trimEnd().length;
}

/** Breaks text at spaces; lines after the first are indented. A word longer than the width stays whole. */
export function wrap(text: string, width: number, indent = ''): string {
  const [first = '', ...words] = text.split(' ');
  const lines: string[] = [];
  let line = first;
  for (const word of words) {
    if (line.length + 1 + word.length > width && line.trim() !== '') {
      lines.push(line);
      line = indent + word;
    } else {
      line = `${line} ${word}`;
    }
  }
  return [...lines, line].join('\n');
}

/** Terms and what they mean, the meanings below each other. */
export function glossary(entries: ReadonlyArray<readonly [term: string, meaning: string]>, width: number): string {
  const longest = Math.max(0, ...entries.map(([term]) => term.length));
  return entries.map(([term, meaning]) => {
    const start = `  ${term.padEnd(longest)}  `;
    return wrap(start + meaning, width, ' '.repeat(start.length));
  }).join('\n');
}
