// What a run leaves behind, for comparing two runs that must be equal.
import { createHash } from 'node:crypto';
import type { Engine } from '../../src/engine/index';

const PAGE = 4096;

export interface Evidence {
  readonly counters: object;
  /** Everything of the state but the placement, and all of RAM. */
  readonly slice: Buffer;
  readonly ram: Buffer;
}

export function evidenceOf(engine: Engine): Evidence {
  const ram = engine.bytes.subarray(engine.ram, engine.ram + engine.frames * PAGE);
  return { counters: engine.counters(), slice: Buffer.from(engine.slice()), ram: Buffer.from(ram) };
}

/** First places at which two runs differ, as text; empty when they are equal. */
export function differencesOf(a: Evidence, b: Evidence): string {
  const found: string[] = [];
  if (JSON.stringify(a.counters) !== JSON.stringify(b.counters)) {
    found.push(`counters ${JSON.stringify(a.counters)} and ${JSON.stringify(b.counters)}`);
  }
  for (const part of ['slice', 'ram'] as const) {
    if (a[part].equals(b[part])) continue;
    const at = a[part].findIndex((byte, i) => byte !== b[part][i]);
    found.push(`${part} from byte 0x${at.toString(16)} on, lengths ${a[part].length} and ${b[part].length}`);
  }
  return found.join('; ');
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
