// The guards of the advisories in test/xen/advisories/advisories.md: each is taken out by itself, and the tests that are
// named after the advisories must then fail. A test's name is given by its beginning, up to the colon.
const INTERRUPTS = 'test/xen/advisories/interrupts.test.ts';
const IOMMU = 'test/xen/advisories/iommu.test.ts';

export const ADVISORY_MUTANTS = [
  // ---- interrupts
  {
    guard: 'index of a GSI', file: 'src/xen/hypervisor/physdev.ts',
    find: 'if (!Number.isInteger(index) || index < 0 || index >= GSIS) {', replace: 'if (false) {',
    test: INTERRUPTS, fails: ['XSA-16'],
  },
  {
    guard: 'source of a message', file: 'assembly/irq/remap.ts',
    find: 'if (!sourceValid(hi, sid)) return blocked(b, sid, index, VtdFault.IR_SOURCE, silent);', replace: '',
    test: INTERRUPTS, fails: ['XSA-33', 'XSA-36', 'XSA-49'],
  },
  {
    guard: 'remap entry of one device', file: 'src/xen/hypervisor/iommu.ts',
    find: 'while (this.#interruptOwners.has(index)) index++;', replace: '',
    test: INTERRUPTS, fails: ['XSA-36'],
  },
  {
    guard: 'right by host interrupt', file: 'src/xen/hypervisor/domctl.ts',
    find: 'this.#hypervisor.rights.irq(target, irq, allow);', replace: 'this.#hypervisor.rights.irq(target, pirq, allow);',
    test: INTERRUPTS, fails: ['XSA-46'],
  },
  {
    guard: 'live number of a line', file: 'src/xen/hypervisor/pirqs.ts',
    find: 'if (!this.#free(domain, number)) {', replace: 'if (false) {',
    test: INTERRUPTS, fails: ['XSA-46'],
  },
  {
    guard: 'undo of a message', file: 'src/xen/hypervisor/hypervisor.ts',
    find: 'if (index !== undefined) this.iommu?.releaseInterrupt(index);\n      this.pirqs.unmapMessage(vector);', replace: '',
    test: INTERRUPTS, fails: ['XSA-46 (undo)'],
  },
  {
    guard: 'source verification asked for', file: 'src/xen/hypervisor/iommu.ts',
    find: 'requester | 1 << 18', replace: 'requester',
    test: INTERRUPTS, fails: ['XSA-33', 'XSA-49'],
  },
  {
    guard: 'form of an interrupt request', file: 'assembly/dma/dma.ts',
    find: 'if (len != 4 || (<u32>busAddr & 3) != 0) {', replace: 'if (false) {',
    test: INTERRUPTS, fails: ['XSA-59'],
  },
  {
    guard: 'undo of a bind', file: 'src/xen/hypervisor/event-channels.ts',
    find: '      this.#write(caller.slot, port, CLOSED);\n      throw error;', replace: '      throw error;',
    test: INTERRUPTS, fails: ['XSA-83'],
  },
  {
    guard: 'who may prepare MSI-X', file: 'src/xen/hypervisor/physdev.ts',
    find: 'prepareMsix(routing: number): void {\n    this.#control();', replace: 'prepareMsix(routing: number): void {',
    test: INTERRUPTS, fails: ['XSA-87'],
  },
  {
    guard: 'vector table is read-only', file: 'src/xen/hypervisor/rights.ts',
    find: 'return wanted && !this.#parts.messages.readOnlyFrames().has(mfn);', replace: 'return wanted;',
    test: INTERRUPTS, fails: ['XSA-129', 'XSA-337'],
  },
  {
    guard: 'bound of a vector table', file: 'src/xen/hypervisor/messages.ts',
    find: 'if (!Number.isInteger(entry) || entry < 0 || entry >= size) {', replace: 'if (false) {',
    test: INTERRUPTS, fails: ['XSA-164'],
  },
  {
    guard: 'owner of a message', file: 'src/xen/hypervisor/physdev.ts',
    find: 'if (owner !== target.domid) {', replace: 'if (false) {',
    test: INTERRUPTS, fails: ['XSA-237'],
  },
  {
    guard: 'message mapped once', file: 'src/xen/hypervisor/messages.ts',
    find: 'if (own.some((one) => one.entry === entry)) {', replace: 'if (false) {',
    test: INTERRUPTS, fails: ['XSA-237'],
  },
  {
    guard: 'who may map interrupts', file: 'src/xen/hypervisor/physdev.ts',
    find: 'const caller = this.#control();\n    const target = this.#target(domid);\n    if (type ===',
    replace: 'const caller = this.#hypervisor.domain(CONTROL_DOMAIN);\n    const target = this.#target(domid);\n    if (type ===',
    test: INTERRUPTS, fails: ['XSA-87', 'XSA-237'],
  },
  {
    guard: 'end of an interrupt', file: 'assembly/ring/events.ts',
    find: 'load<u64>(record, LineRecord.IN_FLIGHT) != 0 || ', replace: '',
    test: INTERRUPTS, fails: ['XSA-332'],
  },
  {
    guard: 'recorded vector table', file: 'src/xen/hypervisor/messages.ts',
    find: 'if (trusted) return {', replace: 'if (routing >= 0) return {',
    test: INTERRUPTS, fails: ['XSA-337'],
  },
  {
    guard: 'last vector', file: 'src/xen/hypervisor/pirqs.ts',
    find: 'if (vector > LAST_VECTOR) throw', replace: 'if (vector > 0xffff) throw',
    test: INTERRUPTS, fails: ['XSA-356'],
  },
  {
    guard: 'lines of a dead domain', file: 'src/xen/hypervisor/event-channels.ts',
    find: 'else if (record.state === PortState.PIRQ) this.#pirqs.unbind(domain, record.data & PortRecord.NUMBER_MASK);', replace: '',
    test: INTERRUPTS, fails: ['XSA-360'],
  },
  // ---- IOMMU
  {
    guard: 'flush of a page given back', file: 'src/xen/hypervisor/memory.ts',
    find: 'this.#flush(io.did);', replace: '',
    test: IOMMU, fails: ['XSA-78', 'XSA-80'],
  },
  {
    guard: 'flush of a grant with less', file: 'assembly/ring/grant-map.ts',
    find: 'invalidateSync(b, did | VtdInv.DR | VtdInv.DW | VtdInv.IOTLB | VtdInv.G_SELECTIVE << VtdInv.G_SHIFT,\n      <u64>mfn << Machine.PAGE_SHIFT);',
    replace: '',
    test: IOMMU, fails: ['XSA-275'],
  },
  {
    guard: 'owner of a page for DMA', file: 'assembly/iommu/hypercall.ts',
    find: 'if (!frameIsOwnRam(b, mfn + i, owner)) return refused(b, Status.REFUSED);', replace: '',
    test: IOMMU, fails: ['XSA-284', 'XSA-288'],
  },
  {
    guard: 'pages that are not there', file: 'src/xen/hypervisor/devices.ts',
    find: 'if (mfn === NO_FRAME) {\n        pfn++;\n        continue;\n      }', replace: '',
    test: IOMMU, fails: ['XSA-285'],
  },
  {
    guard: 'kind of a page for DMA', file: 'assembly/memory/frames.ts',
    find: '\n    && load<u16>(record, FrameRecord.KIND) == FrameKind.RAM;', replace: ';',
    test: IOMMU, fails: ['XSA-288'],
  },
  {
    guard: 'roll-back of a mapping', file: 'assembly/iommu/tables.ts',
    find: 'ioUnmap(b, slot, dfn, done);\n      return status;', replace: 'return status;',
    test: IOMMU, fails: ['XSA-291'],
  },
  {
    guard: 'entry before invalidation', file: 'src/xen/hypervisor/iommu.ts',
    find: 'entry.setUint32(0, low, true);\n    this.#flushContext(routing, old);',
    replace: 'this.#flushContext(routing, old);\n    entry.setUint32(0, low, true);',
    test: IOMMU, fails: ['XSA-321'],
  },
  {
    guard: 'held page', file: 'assembly/memory/frames.ts',
    find: 'if (load<u32>(record, FrameRecord.REFS) != 0) return Status.IN_USE;', replace: '',
    test: IOMMU, fails: ['XSA-346'],
  },
  {
    guard: 'invalidation not done', file: 'src/xen/hypervisor/iommu.ts',
    find: 'if (this.#engine.exports.invalidate(lo, loHigh, 0, 0) !== 0) {', replace: 'if (this.#engine.exports.invalidate(lo, loHigh, 0, 0) > 99) {',
    test: IOMMU, fails: ['XSA-373'],
  },
  {
    guard: 'width of the tables', file: 'src/xen/hypervisor/iommu.ts',
    find: 'did << VtdContext.DID_SHIFT | VtdContext.AW_48', replace: 'did << VtdContext.DID_SHIFT | VtdContext.AW_39',
    test: IOMMU, fails: ['XSA-390'],
  },
  {
    guard: 'last device of a domain', file: 'src/xen/hypervisor/devices.ts',
    find: 'from === undefined || from.assigned.size > 0 || (', replace: 'from === undefined || (',
    test: IOMMU, fails: ['XSA-399'],
  },
  {
    guard: 'flush of a context', file: 'src/xen/hypervisor/iommu.ts',
    find: 'this.#invalidate((VtdInv.CONTEXT | VtdInv.G_SELECTIVE << VtdInv.G_SHIFT | did << 16) >>> 0, routing);', replace: '',
    test: IOMMU, fails: ['XSA-442'],
  },
  {
    guard: 'clean scratch page', file: 'src/xen/hypervisor/devices.ts',
    find: 'this.#parts.engine.frame(frames.at(-1) as number).fill(0);', replace: '',
    test: IOMMU, fails: ['XSA-445'],
  },
  {
    guard: 'depth of quarantine', file: 'src/xen/hypervisor/xen-tables.ts',
    find: 'const LEVELS = 4;', replace: 'const LEVELS = 3;',
    test: IOMMU, fails: ['XSA-445'],
  },
];
