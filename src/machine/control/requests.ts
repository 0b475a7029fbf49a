/** The methods of the control socket: what each takes, and what it does. Parameters are checked before anything is done. */

import { PortcullisError } from '../../errors';
import { isBdf, parseBdf, routingId } from '../../pci/bdf';
import { parseSlotFilter } from '../../pci/slot-filter';
import { listFunctions } from '../../pci/lspci/listing';
import type { Hex, Verbosity } from '../../pci/lspci/types';
import { parseOperation } from '../../pci/setpci/operation';
import { applyOperations, type SetpciTarget } from '../../pci/setpci/apply';
import type { Task } from '../../xen/schedule/scheduler';
import type { ControlFunction, ControlParts } from './parts';

export type Json = unknown;

type Params = Readonly<Record<string, unknown>>;

interface Request {
  readonly params: readonly string[];
  /** Checks the parameters, and gives what to run. */
  readonly read: (params: Params, parts: ControlParts) => () => Task<Json>;
}

/** A request that waits for nothing. */
function atOnce(work: () => Json): () => Task<Json> {
  return function* run() {
    return work();
  };
}

/** xl's arguments and the files that they name, in bytes of UTF-8. */
const ARGS_MAX = 1024;

export const REQUESTS: Readonly<Record<string, Request>> = {
  xl: {
    params: ['args', 'files'],
    read: (params, parts) => {
      const args = texts(params, 'args');
      const files = params['files'] ?? {};
      if (!isObject(files) || !Object.values(files).every((text) => typeof text === 'string')) {
        throw bad('files', 'an object of file names and texts');
      }
      return () => parts.xl(args, new Map(Object.entries(files as Record<string, string>)));
    },
  },
  'sysfs.ls': {
    params: ['path'],
    read: (params, { sysfs }) => {
      const path = text(params, 'path');
      return atOnce(() => sysfs.list(path));
    },
  },
  'sysfs.cat': {
    params: ['path'],
    read: (params, { sysfs }) => {
      const path = text(params, 'path');
      return atOnce(() => sysfs.read(path));
    },
  },
  'sysfs.write': {
    params: ['path', 'text'],
    read: (params, { sysfs }) => {
      const path = text(params, 'path');
      const what = text(params, 'text');
      return atOnce(() => {
        sysfs.write(path, what);
        return null;
      });
    },
  },
  'sysfs.readlink': {
    params: ['path'],
    read: (params, { sysfs }) => {
      const path = text(params, 'path');
      return atOnce(() => sysfs.readlink(path));
    },
  },
  lspci: {
    params: ['domain', 'verbose', 'hex', 'slot'],
    read: (params, parts) => {
      const options = { verbose: level(params, 'verbose', 3) as Verbosity, hex: level(params, 'hex', 4) as Hex };
      const choose = chooser(params, parts);
      return atOnce(() => ({ text: listFunctions(choose(), options) }));
    },
  },
  setpci: {
    params: ['domain', 'slot', 'operations'],
    read: (params, parts) => {
      const operations = texts(params, 'operations').map(parseOperation);
      if (operations.length === 0) throw bad('operations', 'a list of at least one register');
      const slot = text(params, 'slot');
      const choose = chooser(params, parts);
      return atOnce(() => applyOperations(targets(choose(), slot, params['domain'], parts), operations));
    },
  },
  explain: {
    params: ['args'],
    read: (params, parts) => {
      const args = texts(params, 'args');
      return atOnce(() => parts.explain(args));
    },
  },
  dmesg: { params: [], read: (_, parts) => atOnce(() => ({ text: parts.dmesg().map((line) => `${line}\n`).join('') })) },
  digest: { params: [], read: (_, parts) => atOnce(() => parts.digest()) },
  status: { params: [], read: (_, parts) => atOnce(() => ({ ...parts.status(), now: parts.scheduler.now })) },
};

/** What to run for a request. Throws UNKNOWN_METHOD and BAD_PARAMS. */
export function readRequest(method: string, params: Json, parts: ControlParts): () => Task<Json> {
  const request = Object.hasOwn(REQUESTS, method) ? REQUESTS[method] : undefined;
  if (request === undefined) {
    throw new PortcullisError('UNKNOWN_METHOD', `there is no method "${method}"; there are ${Object.keys(REQUESTS).join(', ')}`,
      { method });
  }
  if (!isObject(params)) throw bad('params', 'an object');
  for (const key of Object.keys(params)) {
    if (!request.params.includes(key)) {
      throw new PortcullisError('BAD_PARAMS', `${method} has no parameter "${key}"; it has `
        + `${request.params.join(', ') || 'none'}`, { parameter: key });
    }
  }
  return request.read(params, parts);
}

/** Functions of a domain that a slot filter takes. */
function chooser(params: Params, parts: ControlParts): () => ControlFunction[] {
  const domain = params['domain'] === undefined ? undefined : text(params, 'domain');
  const takes = params['slot'] === undefined ? () => true : parseSlotFilter(text(params, 'slot'));
  return () => parts.functions(domain).filter(({ routing }) => takes(routing));
}

/** A guest can ask for an address where nothing is: it is the back end that says so. */
function targets(found: readonly SetpciTarget[], slot: string, domain: unknown, parts: ControlParts): readonly SetpciTarget[] {
  if (found.length > 0) return found;
  if (typeof domain === 'string' && isBdf(slot)) {
    const routing = routingId(parseBdf(slot));
    return [{ routing, config: parts.config(domain, routing) }];
  }
  throw new PortcullisError('NO_DEVICE', `no device is at ${slot}; see portcullis lspci`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function bad(parameter: string, what: string): PortcullisError {
  return new PortcullisError('BAD_PARAMS', `"${parameter}" must be ${what}`, { parameter });
}

function text(params: Params, name: string): string {
  const value = params[name];
  if (typeof value !== 'string') throw bad(name, 'a string');
  return value;
}

function texts(params: Params, name: string): string[] {
  const value = params[name];
  if (!Array.isArray(value) || value.length > ARGS_MAX || !value.every((one) => typeof one === 'string')) {
    throw bad(name, `a list of at most ${ARGS_MAX} strings`);
  }
  return value as string[];
}

function level(params: Params, name: string, most: number): number {
  const value = params[name] ?? 0;
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > most) throw bad(name, `a number from 0 to ${most}`);
  return value as number;
}
