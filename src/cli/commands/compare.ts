import os from 'node:os';
import { compare } from '../../index';
import type { CompareDocument, CompareOptions, Owner, PolicyName } from '../../index';
import { toJson } from '../../report/json';
import { toTable } from '../../report/table';
import { EXIT, usage } from '../exit';
import type { ExitCode } from '../exit';
import { checkWritable, readFile, writeFile } from '../files';
import type { Progress } from '../progress';

/** The options of `portcullis compare`, each read and checked by itself. */
export interface CompareFlags {
  policies?: PolicyName[];
  owners?: Owner[];
  workloads?: string[];
  device?: string;
  pcap?: string;
  packets?: number;
  profile?: string;
  set?: Record<string, number>;
  allocator?: 'magazine' | 'tree';
  batch?: number;
  rounds?: number;
  seed?: number;
  inject?: 'corrupt';
  /** A file; true: standard output. */
  json?: string | true;
  quiet?: boolean;
}

/** What the command needs of its surroundings. */
export interface CompareContext {
  /** Where the capture of the package lies. */
  readonly capture: URL;
  readonly out: (text: string) => Promise<void>;
  readonly warn: (sentence: string) => void;
  readonly colour: boolean;
  readonly progress: (wanted: boolean) => Progress;
  /** Replaced in tests. */
  readonly compare?: (options: CompareOptions) => Promise<CompareDocument>;
}

export async function runCompare(flags: CompareFlags, context: CompareContext): Promise<ExitCode> {
  const file = typeof flags.json === 'string' && flags.json !== '-' ? flags.json : undefined;
  const jsonOut = flags.json !== undefined && file === undefined;
  if (file === '') throw usage('--json is given an empty file name; name a file, or leave it out for standard output');
  if (file !== undefined) checkWritable(file);
  const options = compareOptions(flags, context.capture);

  const progress = context.progress(flags.quiet !== true && !jsonOut);
  let document: CompareDocument;
  try {
    document = await (context.compare ?? compare)({ ...options, onProgress: (step) => progress.update(step) });
  } finally {
    progress.stop();
  }
  if (document.results.length === 0) throw nothingRan(document);

  if (file !== undefined) writeFile(file, toJson(document));
  await context.out(jsonOut ? toJson(document) : toTable(document, { colour: context.colour }));
  const wrong = document.results.filter(({ verified }) => !verified).length;
  if (document.verified && wrong === 0) return EXIT.done;
  context.warn(`not verified: packets were not right in ${wrong || 'some'} of ${document.results.length} runs; `
    + 'do not use the figures of this comparison');
  return EXIT.failed;
}

/** The library's options: only what was given, so that the defaults are the library's. */
export function compareOptions(flags: CompareFlags, capture: URL): CompareOptions {
  const { policies, owners, workloads, packets, profile, set, allocator, batch, rounds, seed, inject } = flags;
  const wantsPcap = workloads === undefined || workloads.includes('pcap');
  if (flags.pcap !== undefined && !wantsPcap) {
    throw usage(`--pcap ${flags.pcap} would not be used; add pcap to --workloads, or leave one of the two out`);
  }
  const given = {
    policies, owners, workloads, packets, profile, parameters: set, allocator, batch, rounds, seed, inject,
    pcap: wantsPcap ? readCapture(flags.pcap, capture) : undefined,
    host: { node: process.version, cpu: os.cpus()[0]?.model.trim() || 'unknown processor' },
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as CompareOptions;
}

function readCapture(file: string | undefined, capture: URL): { name: string; bytes: Uint8Array } {
  return file === undefined
    ? {
      name: 'traffic.pcap.gz',
      bytes: readFile(capture, 'the packaged capture', 'install portcullis again, or give a capture with --pcap FILE'),
    }
    : { name: file, bytes: readFile(file, 'the capture', 'give --pcap a file that exists and can be read') };
}

function nothingRan({ absent }: CompareDocument): Error {
  const reasons = [...new Set(absent.map((cell) => `${cell.owner} ${cell.policy}: ${cell.absent}`))];
  return usage(`nothing can be compared (${reasons.join('; ')}); choose other --owners or --policies`);
}
