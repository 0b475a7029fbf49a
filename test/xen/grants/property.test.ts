// Random grants, maps, unmaps and copies between three domains, against a model of what Xen says; and guests that fill
// their tables and hypercalls with garbage, against what must hold whatever they do.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import fc from 'fast-check';
import { difference } from '../../../src/machine/digest';
import type { Domain } from '../../../src/xen/hypervisor/domain';
import { type XenDomains, page, xenDomains } from '../../helpers/xen-domains';

const SELF = 0x7ff0;
const PAGE = 4096;
const HOST_PAGE = 0x70000;
const [PERMIT, READONLY, READING, WRITING] = [1, 4, 8, 16];
const REFS = [8, 9, 10, 11];
const PAGES = [4, 5, 6];

type Step =
  | { op: 'write'; who: number; ref: number; flags: number; to: number; pfn: number }
  | { op: 'map'; who: number; from: number; ref: number; place: number; readonly: boolean }
  | { op: 'unmap'; who: number; index: number; place: number; right: boolean }
  | { op: 'copy'; who: number; from: number; ref: number; pfn: number; out: boolean };

const who = fc.nat(2);
const ref = fc.constantFrom(...REFS);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('write' as const), who, ref, to: who, pfn: fc.constantFrom(...PAGES, 99),
    flags: fc.constantFrom(PERMIT, PERMIT, PERMIT | READONLY, 0, 2, 3) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('map' as const), who, from: who, ref, place: fc.nat(5), readonly: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('unmap' as const), who, index: fc.nat(5), place: fc.nat(5), right: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('copy' as const), who, from: who, ref, pfn: fc.constantFrom(...PAGES), out: fc.boolean() }) },
);

interface Entry {
  flags: number;
  to: number;
  frame: number;
}
interface Mapping {
  from: number;
  ref: number;
  place: number;
  readonly: boolean;
  mfn: number;
}
interface Active {
  mfn: number;
  to: number;
}

/** Frames of a granter that a frame number means, undefined for what it may not grant. */
class Twin {
  readonly entries: Array<Map<number, Entry>>;
  readonly active: Array<Map<number, Active>>;
  /** Handles of each domain, and what its guest map shows at each place. */
  readonly handles: Array<Map<number, Mapping>>;
  readonly shown: Array<Map<number, { mfn: number; writable: boolean }>>;

  constructor(readonly xen: XenDomains, readonly domains: Domain[]) {
    this.entries = domains.map(() => new Map());
    this.active = domains.map(() => new Map());
    this.handles = domains.map(() => new Map());
    this.shown = domains.map(() => new Map());
  }

  domain(index: number): Domain {
    return this.domains[index] as Domain;
  }

  view(index: number): DataView {
    const bytes = this.xen.machine.engine.frame(this.xen.hypervisor.grants.frames(this.domain(index))[0] as number);
    return new DataView(bytes.buffer, bytes.byteOffset, PAGE);
  }

  frameNumber(index: number, pfn: number): number {
    if (pfn === 99) return this.xen.machine.dom0.p2m[3] as number;
    return this.domain(index).kind === 'hvm' ? pfn : this.domain(index).p2m[pfn] as number;
  }

  /** Machine frame that an entry leads to; undefined when it is not the granter's RAM. */
  resolve(index: number, frame: number): number | undefined {
    const { kind, p2m } = this.domain(index);
    if (kind === 'hvm') return frame < p2m.length ? p2m[frame] : undefined;
    return p2m.includes(frame) ? frame : undefined;
  }

  mappingsOf(from: number, one: number): Mapping[] {
    return this.handles.flatMap((handles) => [...handles.values()]).filter((mapping) => mapping.from === from && mapping.ref === one);
  }

  /** Status of taking an entry into use, and the frame; nothing is changed. */
  claim(from: number, one: number, to: number, write: boolean): { status: string; mfn: number } {
    const entry = this.entries[from]?.get(one) ?? { flags: 0, to: 0, frame: 0 };
    const active = this.active[from]?.get(one);
    if (active !== undefined && active.to !== to) return { status: 'general_error', mfn: 0 };
    const written = this.mappingsOf(from, one).some(({ readonly }) => !readonly);
    if (active === undefined && ((entry.flags & 3) !== PERMIT || entry.to !== to)) return { status: 'general_error', mfn: 0 };
    if ((active === undefined || !written) && write && (entry.flags & READONLY) !== 0) return { status: 'general_error', mfn: 0 };
    if (active !== undefined) return { status: 'okay', mfn: active.mfn };
    const mfn = this.resolve(from, entry.frame);
    return mfn === undefined ? { status: 'bad_page', mfn: 0 } : { status: 'okay', mfn };
  }

  run(one: Step): void {
    const { grants } = this.xen.hypervisor;
    const caller = this.domain(one.who);
    switch (one.op) {
      case 'write': {
        // a guest that rewrites an entry in use keeps the marks, or the hypervisor's are lost with its own
        const marks = this.marks(one.who, one.ref);
        const frame = this.frameNumber(one.who, one.pfn);
        this.view(one.who).setUint32(one.ref * 8 + 4, frame, true);
        this.view(one.who).setUint32(one.ref * 8, one.flags | marks | this.domain(one.to).domid << 16, true);
        (this.entries[one.who] as Map<number, Entry>).set(one.ref, { flags: one.flags, to: one.to, frame });
        break;
      }
      case 'map': {
        const granter = this.domain(one.from);
        const expected = this.claim(one.from, one.ref, one.who, !one.readonly);
        const got = grants.map(caller.domid, {
          address: (HOST_PAGE + one.place) * PAGE, ref: one.ref, dom: granter.domid, readonly: one.readonly,
        });
        assert.equal([got.status, got.mfn], [expected.status, expected.mfn]);
        if (got.status !== 'okay') break;
        assert.not.ok(this.handles[one.who]?.has(got.handle));
        this.handles[one.who]?.set(got.handle, { from: one.from, ref: one.ref, place: one.place, readonly: one.readonly, mfn: got.mfn });
        this.shown[one.who]?.set(one.place, { mfn: got.mfn, writable: !one.readonly });
        this.active[one.from]?.set(one.ref, { mfn: got.mfn, to: one.who });
        break;
      }
      case 'unmap': {
        const handles = this.handles[one.who] as Map<number, Mapping>;
        const [handle, mapping] = [...handles][one.index] ?? [500 + one.index, undefined];
        const place = one.right && mapping ? mapping.place : one.place;
        const shown = this.shown[one.who]?.get(place);
        const fits = mapping && shown && shown.mfn === mapping.mfn && shown.writable === !mapping.readonly;
        const expected = mapping === undefined ? 'bad_handle' : fits ? 'okay' : 'general_error';
        assert.is(grants.unmap(caller.domid, { address: (HOST_PAGE + place) * PAGE, handle }), expected);
        if (expected !== 'okay' || mapping === undefined) break;
        handles.delete(handle);
        this.shown[one.who]?.delete(place);
        if (this.mappingsOf(mapping.from, mapping.ref).length === 0) this.active[mapping.from]?.delete(mapping.ref);
        break;
      }
      default: this.copy(one);
    }
  }

  copy({ who: index, from, ref: one, pfn, out }: Extract<Step, { op: 'copy' }>): void {
    const { machine, hypervisor } = this.xen;
    const caller = this.domain(index);
    const expected = this.claim(from, one, index, out);
    const arg = page(machine, caller, 3);
    const [mine, theirs] = out ? [0, 16] : [16, 0];
    arg.setUint32(theirs, one, true);
    arg.setUint32(theirs + 4, 0, true);
    arg.setUint16(theirs + 8, this.domain(from).domid, true);
    arg.setUint16(theirs + 10, 8, true);
    arg.setUint32(mine, this.frameNumber(index, pfn), true);
    arg.setUint32(mine + 4, 0, true);
    arg.setUint16(mine + 8, SELF, true);
    arg.setUint16(mine + 10, 16, true);
    arg.setUint32(32, 8 | (out ? 2 : 1) << 16, true);
    const own = page(machine, caller, pfn);
    own.setUint32(16, own.getUint32(16, true) + 1, true);
    assert.is(hypervisor.grantTableOp(caller.domid, 5, 3 * PAGE, 1), 0);
    const status = arg.getInt16(36, true);
    assert.is(status, { okay: 0, general_error: -1, bad_page: -9 }[expected.status]);
    if (status !== 0) return;
    const other = machine.engine.frame(expected.mfn);
    assert.equal([...other.subarray(8, 12)], [...new Uint8Array(own.buffer, own.byteOffset + 16, 4)]);
  }

  marks(from: number, one: number): number {
    const mappings = this.mappingsOf(from, one);
    return (mappings.length > 0 ? READING : 0) | (mappings.some(({ readonly }) => !readonly) ? WRITING : 0);
  }

  check(): void {
    const { exports } = this.xen.machine.engine;
    this.domains.forEach((domain, index) => {
      for (const one of REFS) {
        const flags = this.view(index).getUint16(one * 8, true);
        assert.is(flags & (READING | WRITING), this.marks(index, one), `marks of ${index} ${one}`);
        assert.is(this.xen.hypervisor.grants.inUse(domain, one), this.mappingsOf(index, one).length > 0);
      }
      for (const pfn of PAGES) {
        const mfn = domain.p2m[pfn] as number;
        const held = this.handles.flatMap((handles) => [...handles.values()]).filter((mapping) => mapping.mfn === mfn).length;
        assert.is(exports.frameRefs(mfn), held);
      }
      for (let place = 0; place < 6; place++) {
        const entry = exports.guestMapGet(domain.slot, HOST_PAGE + place) >>> 0;
        const shown = this.shown[index]?.get(place);
        assert.is(entry, shown === undefined ? 0 : (0x40000000 | (shown.writable ? 0x20000000 : 0) | shown.mfn) >>> 0);
      }
    });
  }
}

test('any sequence is as the model says, and leaves nothing behind', async () => {
  const xen = await xenDomains();
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 80 }), async (steps) => {
    const before = xen.machine.digest();
    const make = (kind: 'pv' | 'hvm'): Domain => xen.hypervisor.createDomain({ name: 'd', kind, pages: 16 });
    const twin = new Twin(xen, [make('pv'), make('pv'), make('hvm')]);
    try {
      for (const one of steps) {
        twin.run(one);
        twin.check();
      }
    } finally {
      for (const { domid } of twin.domains) xen.hypervisor.destroyDomain(domid);
    }
    assert.is(xen.hypervisor.heldPages, 0);
    assert.equal(difference(before, xen.machine.digest()), []);
  }), { numRuns: 60 });
});

/** What holds whatever guests do: a domain's map shows its own frames, and others' only under a handle. */
function sound({ machine, hypervisor }: XenDomains): void {
  const holds = new Map<number, number>();
  for (const domain of hypervisor.domains) {
    const mapped = hypervisor.grants.mapped(domain);
    for (const { mfn } of mapped) holds.set(mfn, (holds.get(mfn) ?? 0) + 1);
    const frames = new Set(mapped.map(({ mfn }) => mfn));
    for (const [name, text] of Object.entries(machine.digest().guestMaps.entries)) {
      if (!name.startsWith(`domain ${domain.domid} `) || !text.startsWith('frame')) continue;
      const mfn = Number.parseInt(text.slice(6), 16);
      const owner = machine.engine.exports.frameOwner(mfn);
      assert.ok(owner === domain.domid || frames.has(mfn), `${name}: ${text}, owner ${owner}`);
    }
  }
  for (const [mfn] of holds) assert.ok(machine.engine.exports.frameRefs(mfn) > 0);
}

test('guests with garbage in tables and hypercalls trap nothing, reach nothing of others, and leave nothing', async () => {
  const xen = await xenDomains();
  const { machine, hypervisor } = xen;
  const word = fc.oneof({ weight: 3, arbitrary: fc.nat(40) }, fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(SELF, 0xffff, 0x7fffffff, 0xffffffff, 0x70000000));
  const calls = fc.array(fc.record({
    who: fc.nat(2), cmd: fc.constantFrom(0, 0, 1, 2, 4, 5, 5, 6, 7, 8, 9, 10, 11), words: fc.array(word, { minLength: 10, maxLength: 10 }),
    count: fc.constantFrom(0, 1, 1, 2, -1), table: fc.array(word, { minLength: 4, maxLength: 4 }),
  }), { minLength: 1, maxLength: 60 });
  await fc.assert(fc.asyncProperty(calls, async (steps) => {
    const before = machine.digest();
    const make = (kind: 'pv' | 'hvm'): Domain => hypervisor.createDomain({ name: 'd', kind, pages: 16, maxGrantFrames: 3, maxGrantMappings: 8 });
    const domains = [make('pv'), make('pv'), make('hvm')];
    try {
      for (const { who: index, cmd, words, count, table } of steps) {
        const caller = domains[index] as Domain;
        const frame = machine.engine.frame(hypervisor.grants.frames(caller)[0] as number);
        const view = new DataView(frame.buffer, frame.byteOffset, PAGE);
        // an entry that may well be good, and one that is not
        const [at, to, pfn, junk] = table as [number, number, number, number];
        const own = caller.kind === 'hvm' ? pfn % 16 : caller.p2m[pfn % 16] as number;
        view.setUint32((at % 500) * 8, 1 | (domains[to % 3] as Domain).domid << 16, true);
        view.setUint32((at % 500) * 8 + 4, own, true);
        view.setUint32((junk % 1000) * 4, junk, true);
        const arg = page(machine, caller, 3);
        words.forEach((value, i) => { arg.setUint32(i * 4, value, true); });
        if (cmd === 0 && (junk & 1) === 0) {
          arg.setUint32(0, 0x70000000 + (at % 4) * PAGE, true);
          arg.setUint32(4, 0, true);
          arg.setUint32(8, 2 | (pfn & 4), true);
          arg.setUint16(16, (domains[to % 3] as Domain).domid, true);
        }
        const result = hypervisor.grantTableOp(caller.domid, cmd, 3 * PAGE, count);
        assert.ok(result <= 0 && result > -100);
      }
      sound(xen);
    } finally {
      for (const { domid } of domains) hypervisor.destroyDomain(domid);
    }
    assert.is(hypervisor.heldPages, 0);
    assert.equal(difference(before, machine.digest()), []);
  }), { numRuns: 60 });
});

test.run();
