import { bdfOf, formatBdf, routingId } from '../../pci/bdf';
import { KernelError } from '../dom0/errors';

/** A function's address, or a pattern: `undefined` stands for `*`. Numbers are in range. */
export interface SlotPattern {
  readonly segment: number;
  readonly bus: number;
  readonly device: number | undefined;
  readonly func: number | undefined;
}

const ADDRESS = '(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,8}):(?:([0-9a-f]{1,8})\\.([0-9a-f]{1,8}|\\*)|(\\*)\\.\\*)';
const WHOLE = new RegExp(`^\\s*${ADDRESS}\\s*$`, 'i');
const ENTRY = new RegExp(`\\s*\\(${ADDRESS}\\)\\s*`, 'iy');

const FORMS = 'write DDDD:BB:SS.F or BB:SS.F in hexadecimal, with * for the function or for slot and function';

function ranged(what: string, value: number, max: number, text: string): number {
  if (value > max) {
    throw new KernelError('EINVAL', `"${text.trim()}": ${what} ${value.toString(16)} is beyond ${max.toString(16)} (hexadecimal)`,
      { text, value, max });
  }
  return value;
}

function patternOf([text, segment = '0', bus, device, func, all]: RegExpExecArray): SlotPattern {
  const number = (digits: string | undefined): number => parseInt(digits ?? '', 16);
  return {
    segment: ranged('segment', number(segment), 0xffff, text),
    bus: ranged('bus', number(bus), 0xff, text),
    device: all === '*' ? undefined : ranged('slot', number(device), 31, text),
    func: all === '*' || func === '*' ? undefined : ranged('function', number(func), 7, text),
  };
}

/** Reads `[DDDD:]BB:SS.F`, `[DDDD:]BB:SS.*` or `[DDDD:]BB:*.*`. Throws EINVAL. */
export function parseSlot(text: string): SlotPattern {
  const match = WHOLE.exec(text);
  if (match === null) throw new KernelError('EINVAL', `"${text.trim()}" is no PCI address; ${FORMS}`, { text });
  return patternOf(match);
}

/** Reads one function's address, on segment 0, where all devices are. Throws EINVAL; undefined for another segment. */
export function parseFunction(text: string): number | undefined {
  const { segment, bus, device, func } = parseSlot(text);
  if (device === undefined || func === undefined) {
    throw new KernelError('EINVAL', `"${text.trim()}" names many functions; this file takes one, as in 0000:00:04.0`, { text });
  }
  return segment === 0 ? routingId({ segment, bus, device, function: func }) : undefined;
}

/** Reads the module parameter `hide`: such addresses in parentheses, blanks between them. Throws EINVAL with the rest. */
export function parseHideList(text: string): SlotPattern[] {
  const patterns: SlotPattern[] = [];
  ENTRY.lastIndex = 0;
  while (ENTRY.lastIndex < text.length) {
    const at = ENTRY.lastIndex;
    const match = ENTRY.exec(text);
    if (match === null) {
      const rest = text.slice(at);
      throw new KernelError('EINVAL', `Error parsing pci_devs_to_hide at "${rest}"`, { text, rest });
    }
    patterns.push(patternOf(match));
  }
  return patterns;
}

/** Addresses that pciback takes when a device of that address appears; in the order in which they came. */
export class SlotList {
  /** Segment in bits 31:16, routing id below. */
  readonly #slots = new Set<number>();

  static *#keys({ segment, bus, device, func }: SlotPattern): Generator<number> {
    const [devices, funcs] = [device === undefined ? [0, 31] : [device, device], func === undefined ? [0, 7] : [func, func]];
    for (let d = devices[0] as number; d <= (devices[1] as number); d++) {
      for (let f = funcs[0] as number; f <= (funcs[1] as number); f++) {
        yield segment * 0x10000 + routingId({ segment, bus, device: d, function: f });
      }
    }
  }

  /** Those that are there already stay where they are. */
  add(pattern: SlotPattern): void {
    for (const key of SlotList.#keys(pattern)) this.#slots.add(key);
  }

  /** How many there were. */
  remove(pattern: SlotPattern): number {
    let count = 0;
    for (const key of SlotList.#keys(pattern)) if (this.#slots.delete(key)) count++;
    return count;
  }

  /** Whether a function of segment 0 is listed. */
  has(routing: number): boolean {
    return this.#slots.has(routing);
  }

  /** As sysfs `slots` has them. */
  lines(): string[] {
    return [...this.#slots].map((key) => formatBdf(bdfOf(key & 0xffff, Math.floor(key / 0x10000))));
  }
}
