// A machine at a safe point: the engine's state and RAM, and one JSON document with all that the control plane knows.
import type { SavedDevice } from '../devices/host/types';
import { DomainRecord, FunctionRecord, State, StateSize } from '../../assembly/spec/state';
import { Machine as Fixed } from '../../assembly/spec/machine';
import { type EngineDocument, type Shape, SNAPSHOT_SCHEMA, requireShape } from '../engine/index';
import type { AttachedFunction } from '../devices/attach';
import type { DeviceDefinition } from '../devices/definition';
import type { LinkDocument, LinkHandle } from '../devices/links/link';
import { PortcullisError } from '../errors';
import { bdfOf, formatBdf } from '../pci/bdf';
import type { EnumeratedFunction } from '../pci/enumerate';
import { type HypervisorDocument, HYPERVISOR_SHAPE } from '../xen/hypervisor/document';
import { NO_FRAME } from '../xen/hypervisor/domain';
import { type MachineDescription, type Models, type ResolvedDescription, resolveDescription } from './description';
import type { GuestDocument } from './guest';

export interface FunctionDocument {
  routing: number;
  fn: number;
  /** Name of the device, as in descriptions. */
  model: string;
  /** Routing id of the bridge that leads to it. */
  parent?: number;
  parts: Array<{ off: number; bytes: number }>;
  link?: LinkDocument;
}

export interface MachineDocument {
  schemaVersion: number;
  engine: EngineDocument;
  description: MachineDescription;
  hostBridge: FunctionDocument;
  /** A bridge comes before what is behind it. */
  functions: FunctionDocument[];
  enumerated: EnumeratedFunction[];
  /** The first domain's numbers for interrupts, by function, where they were given. */
  irqs: Array<[number, number]>;
  guests: GuestDocument[];
  hypervisor: HypervisorDocument;
  /** Data of the devices in TypeScript, by address. */
  devices: Record<string, SavedDevice>;
}

/** Two blocks of bytes and plain data: write the document as JSON, and the rest as it is. */
export interface MachineSnapshot {
  state: Uint8Array;
  /** The pages of RAM that are not all zero; the document says which. */
  ram: Uint8Array;
  document: MachineDocument;
}

const PARTS: Shape = { each: { fields: { off: 'whole', bytes: 'whole' } } };
const FUNCTION: Shape = { fields: {
  routing: 'whole', fn: 'whole', model: 'text', parent: { optional: 'whole' }, parts: PARTS,
  link: { optional: { fields: { off: 'whole', parts: PARTS } } },
} };
const SHAPE: Shape = { fields: {
  schemaVersion: 'whole', engine: 'object', description: 'object',
  hostBridge: FUNCTION, functions: { each: FUNCTION },
  enumerated: { each: 'object' }, irqs: { each: { tuple: ['whole', 'whole'] } },
  guests: { each: { fields: { domid: 'whole', next: 'whole', taken: { each: 'whole' },
    free: { each: 'whole' }, unmapped: { each: { fields: { page: 'whole', pages: 'whole' } } } } } },
  hypervisor: HYPERVISOR_SHAPE, devices: 'object',
} };

export function functionDocument(attached: AttachedFunction, link?: LinkHandle): FunctionDocument {
  const { routing, fn, definition, parent, parts } = attached;
  return {
    routing, fn, model: definition.model, ...(parent && { parent: parent.routing }),
    parts: parts.map((part) => ({ ...part })), ...(link && { link: link.save() }),
  };
}

export function attachedFrom({ routing, fn, parts }: FunctionDocument, definition: DeviceDefinition,
  parent: AttachedFunction | undefined): AttachedFunction {
  return { routing, fn, definition, parent, parts: parts.map((part) => ({ ...part })) };
}

function contradiction(what: string, fields: Record<string, unknown>): never {
  throw new PortcullisError('SNAPSHOT_FORMAT', `the snapshot contradicts itself: ${what}`, fields);
}

/**
 * Throws unless the document is whole and of one piece with the state; gives the description resolved. The engine's
 * part is the engine's to check.
 */
export function checkMachine(snapshot: MachineSnapshot, models: Models): ResolvedDescription {
  const { document } = snapshot;
  if (Number.isInteger(document?.schemaVersion) && document.schemaVersion !== SNAPSHOT_SCHEMA) {
    throw new PortcullisError('SNAPSHOT_VERSION', `the snapshot has schema version ${document.schemaVersion}, this is `
      + `version ${SNAPSHOT_SCHEMA}; use the version that wrote it`, { schemaVersion: document.schemaVersion });
  }
  requireShape(document, SHAPE, 'document');
  const resolved = resolveDescription(document.description, models);
  const { options } = document.engine;
  for (const name of ['frames', 'tableFrames', 'heapBytes'] as const) {
    if (options?.[name] !== resolved[name]) {
      contradiction(`the description asks for ${name} ${resolved[name]}, the engine has ${options?.[name]}`, { name });
    }
  }
  return resolved;
}

/** After the engine's own check, so that the state has its size. */
export function checkAgainstState({ state, document }: MachineSnapshot, models: Models): void {
  const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
  const word = (off: number): number => view.getUint32(off - State.SLICE, true);
  const bridges = new Set<number>();
  for (const { routing, fn, model, parent } of document.functions) {
    const name = `${model} at ${formatBdf(bdfOf(routing))}`;
    const definition = models.get(model);
    if (definition === undefined) {
      throw new PortcullisError('UNKNOWN_DEVICE', `the snapshot has a device model "${model}"; there are `
        + `${[...models.keys()].join(', ')}; give others as models: [...]`, { model });
    }
    if (parent !== undefined && !bridges.has(parent)) {
      contradiction(`there is no bridge in front of the ${name}`, { routing, parent });
    }
    bridges.add(routing);
    const record = State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD;
    if (fn >= Fixed.FUNCTIONS || word(record + FunctionRecord.MODEL) !== definition.engineModel
      || (word(record + FunctionRecord.BDF) & 0xff) !== (routing & 0xff)) {
      contradiction(`function ${fn} of its state is not the ${name} of its document`, { fn, routing });
    }
  }
  const { hypervisor, engine } = document;
  const frames = engine.options.frames;
  for (const { slot, domid, name, p2m } of hypervisor.domains) {
    const record = State.DOMAIN_TABLE + slot * StateSize.DOMAIN_RECORD;
    if (slot >= Fixed.DOMAINS || word(record + DomainRecord.PRESENT) === 0
      || word(record + DomainRecord.DOMID) !== domid) {
      contradiction(`domain ${domid} ("${name}") is not in its state`, { domid, slot });
    }
    if (p2m.some((mfn) => mfn >= frames && mfn !== NO_FRAME)) contradiction(`domain ${domid} has a frame beyond RAM`, { domid });
  }
  if ([...hypervisor.free, ...hypervisor.held].some((mfn) => mfn >= frames)) contradiction('a free frame is beyond RAM', {});
  const known = new Set(hypervisor.domains.map(({ domid }) => domid));
  for (const { domid } of document.guests) {
    if (!known.has(domid)) contradiction(`something belongs to domain ${domid}, which it does not have`, { domid });
  }
  if (!known.has(0)) contradiction('it has no first domain', {});
}
