/** What mapping and unmapping cost the CPU: the cells of each profile, by column. */

import { CELL_NAMES, COLUMNS } from './parameters';
import type { CellName, Certainty, Column, Parameter, Unit } from './parameters';

export type Operations = Readonly<Record<`${CellName}.${Column}`, Parameter>>;

type Row = readonly [strict: number, strictPlus: number, defer: number, deferPlus: number];

function cells(rows: Partial<Record<CellName, readonly Parameter[]>>): Partial<Operations> {
  const result: Partial<Record<`${CellName}.${Column}`, Parameter>> = {};
  for (const cell of CELL_NAMES) {
    COLUMNS.forEach((column, index) => {
      const parameter = rows[cell]?.[index];
      if (parameter !== undefined) {
        result[`${cell}.${column}`] = parameter;
      }
    });
  }
  return result;
}

const RIO = 'Malka et al., ASPLOS\'15, table 1 [R]';

function rio(row: Row, source = RIO): readonly Parameter[] {
  return row.map((value): Parameter => ({ value, unit: 'cycles', source, certainty: 'recalled' }));
}

/**
 * Linux 3.4 on a 3.1 GHz Xeon whose IOMMU does not snoop: the line flushes are contained. The 9 cycles of the defer
 * columns are a domain flush spread over a full ring (2135 / 255 = 8.4); the model charges the flushes that it counts
 * and leaves these cells alone.
 */
export const OPERATIONS_2014 = cells({
  cAlloc: rio([3986, 92, 1674, 108]),
  cMapPt: rio([588, 590, 533, 577]),
  cMapOther: rio([44, 45, 44, 42]),
  cFind: rio([249, 418, 263, 454]),
  cFree: rio([159, 62, 189, 57]),
  cUnmapPt: rio([438, 427, 471, 504]),
  cInvalidate: rio([2127, 2135, 9, 9], `${RIO}; the 9 is an amortised flush and is not charged`),
  cUnmapOther: rio([26, 25, 205, 216]),
});

function modern(row: Row, unit: Unit, certainty: Certainty, source: string): readonly Parameter[] {
  return row.map((value): Parameter => ({ value, unit, source, certainty }));
}

const same = (value: number): Row => [value, value, value, value];

/** Allocation or free: through the tree without `+`, through a CPU's magazine with it. */
const address: readonly Parameter[] = COLUMNS.map((column): Parameter => (column.endsWith('+')
  ? { value: 50, unit: 'cycles', source: 'half of 100 cycles for allocation and free together', certainty: 'recalled' }
  : { value: 1000, unit: 'ns', source: 'tree path 0.3-2 us, contention apart; taken as 1', certainty: 'recalled' }));

/** Recent kernels on a snooping IOMMU. No cell for the invalidation: it costs t_inv_lat. */
export const OPERATIONS_MODERN = cells({
  cAlloc: address,
  cMapPt: modern(same(55), 'ns', 'sourced', 'Linux generic page-table series (2024-25): VT-d second stage, map 4K'),
  cMapOther: modern(same(0), 'cycles', 'assumed', 'no source; taken as contained in the other cells'),
  cFind: modern(same(0), 'cycles', 'assumed', 'no source; the address given is what is freed'),
  cFree: address,
  cUnmapPt: modern(same(69), 'ns', 'inferred',
    'Linux generic page-table series (2024-25): AMDv1 unmap 4K, as VT-d is not given'),
  cUnmapOther: modern([0, 0, 191, 191], 'cycles', 'assumed',
    'strict: no source, taken as 0; defer: flush-queue work as in 2014, 216 - 25 cycles (Malka et al., table 1 [R])'),
});
