/** A comparison as text for a terminal: what it costs, what was done, what was stopped, and whether to trust it. */

import { resolveProfile } from '../lab/cost/index';
import type { CompareDocument, CompareResult } from '../lab/result';
import { cycleCount, grouped, percent, perPacket, rate, threeDigits } from './digits';
import { COLOURED, glossary, grid, PLAIN, wrap } from './grid';
import { isolationSection } from './isolation';
import { byOwner, footnotes, POLICY_COLUMN, right } from './page';
import type { Page } from './page';
import { baseOf, Footnotes, viewOf, workloadTitle } from './rows';
import type { Row } from './rows';
import { CYCLE_COLUMNS, OWNER_NAMES, OWNER_WORDING, POLICY_MEANING, RESOURCE_WORDING } from './wording';

export interface TableOptions {
  /** With escape sequences for a terminal (default: none). */
  colour?: boolean;
  /** Columns to stay within, as far as the tables can (default 110, at least 60). */
  width?: number;
}

/** Of a workload's columns in the headline and speed tables, and of what stands beside them. */
const HEADLINE_COLUMN = 14;
const HEADLINE_REST = 46;
const SPEED_COLUMN = 24;
const SPEED_REST = 10;

const COUNTER_COLUMNS: ReadonlyArray<readonly [head: string, counter: keyof CompareResult['counters']]> = [
  ['trans-\nlations', 'translations'], ['IOTLB\nmisses', 'iotlbMisses'], ['table\nreads', 'tableReads'],
  ['maps', 'maps'], ['invali-\ndations', 'invalidationSubmissions'], ['hyper-\ncalls', 'hypercalls'],
  ['inter-\nrupts', 'driverInterrupts'], ['MMIO\nwrites', 'mmioWrites'], ['DMA\nreads', 'dmaReads'],
  ['DMA\nwrites', 'dmaWrites'],
];

export function toTable(document: CompareDocument, options: TableOptions = {}): string {
  const page: Page = {
    document,
    view: viewOf(document),
    style: options.colour === true ? COLOURED : PLAIN,
    width: Math.max(60, options.width ?? 110),
    notes: new Footnotes(),
  };
  const ran = document.results.length > 0;
  const timed = document.results.some(({ wall }) => wall.packetsPerSecond !== null);
  const sections = [
    headline(page),
    ...(ran ? [cycles(page), counters(page), isolationSection(page), ...(timed ? [speed(page)] : [])] : []),
    verdict(page),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

/** Lists cut to what fits beside each other. */
function inChunks<T>(list: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let at = 0; at < list.length; at += size) chunks.push(list.slice(at, at + size));
  return chunks;
}

function headline(page: Page): string {
  const { view, width, style } = page;
  const size = Math.max(1, Math.floor((width - HEADLINE_REST) / HEADLINE_COLUMN));
  const tables = inChunks(view.workloads, size).map((workloads, chunk) => headlineTable(page, workloads, chunk === 0));
  const owners = OWNER_NAMES.filter((owner) => view.rows.some((row) => row.owner === owner));
  const policies = [...new Set(view.rows.map(({ policy }) => policy))];
  const bases = [
    ...(owners.some((owner) => owner !== 'pv-iommu') ? ['of the same owner\'s none'] : []),
    ...(owners.includes('pv-iommu') ? ['of xen none for pv-iommu'] : []),
  ];
  return [
    style.bold(wrap(title(page.document), width)),
    wrap('Gb/s of packets in one direction, each received and sent on again: what the work counted below would allow '
      + `on that machine, not a measurement. %: ${bases.join(', ')}.`, width),
    '',
    tables.join('\n\n'),
    ...footnotes(page),
    '',
    'Who owns the device, and how its DMA is mapped:',
    glossary([
      ...owners.map((owner) => [owner, OWNER_WORDING[owner].meaning] as const),
      ...policies.map((policy) => [policy, POLICY_MEANING[policy]] as const),
    ], width),
  ].join('\n');
}

function title({ results, manifest }: CompareDocument): string {
  const first = results[0];
  if (first === undefined) return 'Nothing was run: no combination that was asked for can exist';
  const { profile } = first.modelled;
  const set = manifest.options['parameters'];
  const changes = typeof set === 'object' && set !== null
    ? Object.entries(set).map(([name, value]) => `${name} = ${String(value)}`)
    : [];
  const own = changes.length > 0 ? `, with ${changes.join(', ')}` : '';
  return `Modelled on profile ${profile}: ${resolveProfile(profile).title}${own}`;
}

/** The first table also has the details of the shown workload. */
function headlineTable(page: Page, workloads: readonly string[], details: boolean): string {
  const { view, notes, style } = page;
  const shown = workloadTitle(view.shown);
  const columns = [
    POLICY_COLUMN,
    ...workloads.map((workload) => right(`${workloadTitle(workload)}\nGb/s     %`)),
    ...(details
      ? [right(`${shown}: CPU\ncycles/packet`), { head: `${shown}:\nlimited by`, align: 'left' } as const]
      : []),
  ];
  const na = (reason: string | undefined): string => (
    style.dim(reason === undefined ? 'n/a' : `n/a ${notes.mark(reason)}`)
  );
  return grid(columns, byOwner(page, view.rows, (row) => {
    const cells = workloads.map((workload) => {
      const result = row.results.get(workload);
      if (result === undefined) return na(row.absent.get(workload));
      const base = baseOf(view, row, workload);
      const share = base === undefined ? '-' : percent(result.modelled.gbps / base.modelled.gbps);
      return `${threeDigits(result.modelled.gbps)}  ${share.padStart(4)}`;
    });
    if (!details) return cells;
    const result = row.results.get(view.shown);
    // The reason is in the cell of the workload; here it would only repeat.
    if (result === undefined) return [...cells, '', ''];
    const { cyclesPerPacket, bottleneck } = result.modelled;
    const spent = cyclesPerPacket === null ? na('this profile has no CPU') : cycleCount(cyclesPerPacket);
    return [...cells, spent, RESOURCE_WORDING[bottleneck]];
  }), style);
}

/** Rows that ran the shown workload. */
function shownRows({ view }: Page): Row[] {
  return view.rows.filter((row) => row.results.has(view.shown));
}

function shownOf({ view }: Page, row: Row): CompareResult {
  return row.results.get(view.shown) as CompareResult;
}

function cycles(page: Page): string {
  const rows = shownRows(page).filter((row) => shownOf(page, row).modelled.cycles !== null);
  if (rows.length === 0) return '';
  const columns = [POLICY_COLUMN, ...CYCLE_COLUMNS.map(([head]) => right(head)), right('all')];
  return [
    page.style.bold(`Where the CPU cycles of a packet go (${workloadTitle(page.view.shown)}, modelled)`),
    '',
    grid(columns, byOwner(page, rows, (row) => {
      const { cycles: split, cyclesPerPacket } = shownOf(page, row).modelled;
      const parts = CYCLE_COLUMNS.map(([, key]) => cycleCount(split?.[key] ?? 0));
      return [...parts, cycleCount(cyclesPerPacket ?? 0)];
    }), page.style),
  ].join('\n');
}

function counters(page: Page): string {
  const columns = [POLICY_COLUMN, ...COUNTER_COLUMNS.map(([head]) => right(head))];
  return [
    page.style.bold(`What each policy did, per packet (${workloadTitle(page.view.shown)}, counted in the run)`),
    '',
    grid(columns, byOwner(page, shownRows(page), (row) => {
      const result = shownOf(page, row);
      return COUNTER_COLUMNS.map(([, counter]) => perPacket(result.counters[counter] / result.packets));
    }), page.style),
  ].join('\n');
}

function speed(page: Page): string {
  const { document, view, width, style } = page;
  const { version, node, cpu } = document.manifest;
  const host = /^v\d/.test(node) ? `Node ${node}` : node;
  const rows = view.rows.filter((row) => row.results.size > 0);
  const paired = document.results.some(({ wall }) => wall.ratioToNone !== undefined);
  const size = Math.max(1, Math.floor((width - SPEED_REST) / (paired ? SPEED_COLUMN : SPEED_COLUMN / 2)));
  const tables = inChunks(view.workloads, size).map((workloads) => {
    const columns = workloads.flatMap((workload) => [
      right(`${workloadTitle(workload)}\npkt/s`), ...(paired ? [right('of none:\nlow-med-high')] : []),
    ]);
    return grid([POLICY_COLUMN, ...columns], byOwner(page, rows, (row) => workloads.flatMap((workload) => {
      const wall = row.results.get(workload)?.wall;
      const ratio = wall?.ratioToNone;
      const range = ratio === undefined
        ? '-'
        : [ratio.low, ratio.median, ratio.high].map((value) => value.toFixed(2)).join('-');
      return [wall === undefined || wall.packetsPerSecond === null ? '-' : rate(wall.packetsPerSecond), ...(paired ? [range] : [])];
    })), style);
  });
  return [
    style.bold('Emulator speed, not hardware'),
    wrap(`How fast portcullis ${version} itself ran here (${host}, ${cpu}); it says nothing about a real machine.`
      + (paired ? ' of none: its speed by that of none, in rounds that alternate.' : ''), width),
    '',
    tables.join('\n\n'),
  ].join('\n');
}

function verdict({ document, style, width }: Page): string {
  const wrong = document.results.filter(({ verified }) => !verified);
  if (document.verified && wrong.length === 0) {
    const packets = document.results.reduce((sum, result) => sum + result.packets, 0);
    if (document.results.length === 0) return 'nothing to verify: nothing was run';
    return style.good(`verified: every byte of ${grouped(packets)} packets was right`);
  }
  // One problem in many cells is told once.
  const cells = new Map<string, string[]>();
  for (const { owner, policy, workload, problem } of wrong) {
    const what = problem ?? 'bytes differed';
    cells.set(what, [...cells.get(what) ?? [], `${owner} ${policy} ${workload}`]);
  }
  const told = [...cells].map(([problem, where]) => `${where.join(', ')}: ${problem}`);
  return style.bad(wrap(`NOT VERIFIED: ${told.join('; ') || 'the run as a whole, no cell is named'}`, width, '  '));
}

