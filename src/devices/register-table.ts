/**
 * Register maps as tables. A device's registers are written down once, in the order and with the names of its
 * specification; what the engine does on an access follows from the row.
 */
import { CellFlag } from '../../assembly/spec/state';

export interface RegisterRow {
  readonly name: string;
  /** Offset in the BAR. */
  readonly off: number;
  /** A register of eight bytes is two cells; reset, masks and flags hold for each of them. */
  readonly bytes: 4 | 8;
  /** Value after reset, before the device has looked at anything outside itself. */
  readonly reset: number;
  /** Bits that a write stores. */
  readonly writeMask: number;
  /** Bits that writing a one clears. */
  readonly w1c: number;
  /** CellFlag: valid widths, side effects. */
  readonly flags: number;
  readonly meaning: string;
}

/** The registers of one BAR. */
export interface RegisterTable {
  readonly bar: number;
  /** Bytes of the BAR. */
  readonly size: number;
  /** What a dword reads as that is no register. */
  readonly constant: number;
  /** In ascending order of their offsets, without overlap. */
  readonly rows: readonly RegisterRow[];
}

/** What a row may say beyond name, offset and meaning: a read-only register of four bytes that is 0 is the default. */
export type RegisterOptions = Partial<Pick<RegisterRow, 'bytes' | 'reset' | 'writeMask' | 'w1c' | 'flags'>>;

export const ALL_BITS = 0xffffffff;

export function register(name: string, off: number, meaning: string, options: RegisterOptions = {}): RegisterRow {
  return { name, off, bytes: 4, reset: 0, writeMask: 0, w1c: 0, flags: CellFlag.WIDTH_4, meaning, ...options };
}

/** `number` registers of four bytes in a row, named `name[0]` and so on. */
export function registerArray(
  name: string, off: number, number: number, meaning: string, options: RegisterOptions = {},
): RegisterRow[] {
  return Array.from({ length: number }, (_, i) => register(`${name}[${i}]`, off + 4 * i, meaning, options));
}

/** Every width, for dwords that are no register: a read of any of them gives the constant. */
const ANY_WIDTH = CellFlag.WIDTH_1 | CellFlag.WIDTH_2 | CellFlag.WIDTH_4 | CellFlag.WIDTH_8;

/** The cells of one 4 KiB page of a BAR, from its first register to its last. */
export interface PageCells {
  /** Dword of the page that the first cell stands for. */
  readonly first: number;
  /** One for each dword without a gap; what lies between two registers reads the constant and stores nothing. */
  readonly cells: readonly Pick<RegisterRow, 'reset' | 'writeMask' | 'w1c' | 'flags'>[];
}

/** Cells of page `page` of a BAR; undefined when there is no register in it. */
export function pageCells(table: RegisterTable, page: number): PageCells | undefined {
  const rows = table.rows.filter(({ off }) => off >>> 12 === page);
  const start = rows[0];
  const end = rows.at(-1);
  if (start === undefined || end === undefined) return undefined;
  const hole = { reset: table.constant, writeMask: 0, w1c: 0, flags: ANY_WIDTH };
  const cells: PageCells['cells'][number][] = new Array((end.off + end.bytes - start.off) / 4).fill(hole);
  for (const { off, bytes, reset, writeMask, w1c, flags } of rows) {
    const index = (off - start.off) / 4;
    cells.fill({ reset, writeMask, w1c, flags }, index, index + bytes / 4);
  }
  return { first: (start.off & 0xfff) / 4, cells };
}
