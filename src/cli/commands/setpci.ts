/** `portcullis setpci`: registers of a function, by the first domain or by a guest through its front end. */

import { CAPABILITIES, EXTENDED, REGISTERS } from '../../index';
import type { OperationResult } from '../../index';
import { ask } from '../control/client';
import type { Location } from '../control/location';
import { EXIT } from '../exit';
import type { ExitCode } from '../exit';

export interface SetpciFlags {
  readonly domain?: string;
  readonly slot: string;
}

export interface SetpciContext {
  readonly out: (text: string) => Promise<void>;
  readonly err: (text: string) => void;
}

/** PCI BIOS 2.1 §4: what the codes of a config access mean. */
const PCIBIOS: Readonly<Record<number, string>> = {
  0x81: 'function not supported', 0x83: 'bad vendor id', 0x86: 'device not found', 0x87: 'bad register number', 0x88: 'set failed',
  0x89: 'buffer too small',
};

export async function runSetpci(where: Location, operations: readonly string[], { domain, slot }: SetpciFlags,
  { out, err }: SetpciContext): Promise<ExitCode> {
  const results = await ask(where, 'setpci', { domain, slot, operations }) as OperationResult[];
  let failed = false;
  for (const { bdf, operation, width, value, code, problem } of results) {
    if (value !== undefined) await out(`${value.toString(16).padStart(2 * width, '0')}\n`);
    const why = problem ?? (code === 0 ? undefined : `PCIBIOS code ${codeText(code)}`);
    if (why === undefined) continue;
    failed = true;
    err(`portcullis: ${bdf}: ${operation}: ${why}\n`);
  }
  return failed ? EXIT.failed : EXIT.done;
}

/** A back end may also answer with an errno of its own, which is negative. */
function codeText(code: number): string {
  if (code < 0) return String(code);
  const name = PCIBIOS[code];
  return `0x${code.toString(16)}${name === undefined ? '' : ` (${name})`}`;
}

/** The names of registers and capabilities. */
export function registerTable(): string {
  const letter = { 1: 'B', 2: 'W', 4: 'L' } as const;
  const lines = ['cap pos w name'];
  for (const [name, off, width] of REGISTERS) lines.push(`     ${hex(off, 2)} ${letter[width]} ${name}`);
  for (const [name, id] of CAPABILITIES) lines.push(`  ${hex(id, 2)} 00 - ${name}`);
  for (const [name, id] of EXTENDED) lines.push(`${hex(id, 4)} 00 - ${name}`);
  return `${lines.join('\n')}\n`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
