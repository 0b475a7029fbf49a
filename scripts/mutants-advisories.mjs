// The guards of the advisories in test/xen/advisories/advisories.md: each is taken out by itself, and the tests that are
// named after the advisories must then fail. A test's name is given by its beginning, up to the colon.
const INTERRUPTS = 'test/xen/advisories/interrupts.test.ts';
const IOMMU = 'test/xen/advisories/iommu.test.ts';
const ASSIGNMENT = 'test/xen/advisories/assignment.test.ts';
const RIGHTS = 'test/xen/advisories/rights.test.ts';
const PCIBACK = 'test/xen/advisories/pciback.test.ts';
const LIVE = 'test/xen/advisories/live.test.ts';

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
  {
    guard: 'budget of a call', file: 'assembly/paths/service.ts',
    find: 'if (spent >= limit || traceFull(b)) {', replace: 'if (traceFull(b)) {',
    test: IOMMU, fails: ['XSA-60'],
  },
  // ---- assignment
  {
    guard: 'IOMMU in use', file: 'src/xen/hypervisor/domctl.ts',
    find: 'if (hypervisor.iommu === undefined) {\n      if (hypervisor.unsafePassthrough) return;', replace: 'if (hypervisor.iommu === undefined) {\n      return;',
    test: ASSIGNMENT, fails: ['XSA-61', 'XSA-61 (HVM)'],
  },
  {
    guard: 'IOMMU of the domain', file: 'src/xen/hypervisor/domctl.ts',
    find: 'if (target !== undefined && !target.iommu) {', replace: 'if (target === null) {',
    test: ASSIGNMENT, fails: ['XSA-61', 'XSA-61 (HVM)'],
  },
  {
    guard: 'quarantine between owners', file: 'src/xen/hypervisor/devices.ts',
    find: "domain.domid !== CONTROL_DOMAIN && keep ? 'quarantine' : this.#home()", replace: 'this.#home()',
    test: ASSIGNMENT, fails: ['XSA-302', 'XSA-306', 'XSA-450'],
  },
  {
    guard: 'quarantine by itself', file: 'src/xen/hypervisor/devices.ts',
    find: "const keep = this.#marked.has(routing) || (this.#dom0Devices && quarantine !== 'off');",
    replace: "const keep = this.#marked.has(routing) && quarantine !== 'nothing';",
    test: ASSIGNMENT, fails: ['XSA-306'],
  },
  {
    guard: 'switch-over of a requester', file: 'src/xen/hypervisor/devices.ts',
    find: 'if (context === undefined) iommu?.block(routing);\n    else context();', replace: 'context?.();',
    test: ASSIGNMENT, fails: ['XSA-386', 'XSA-449'],
  },
  {
    guard: 'all that can fail comes first', file: 'src/xen/hypervisor/devices.ts',
    find: 'const context = iommu === undefined ? undefined : this.#context(', replace: 'iommu?.block(routing);\n    const context = iommu === undefined ? undefined : this.#context(',
    test: ASSIGNMENT, fails: ['XSA-400'],
  },
  {
    guard: 'shared reserved memory', file: 'src/xen/hypervisor/domctl.ts',
    find: 'if (target !== undefined && !relaxed && hypervisor.iommu !== undefined && devices.reserved.shared(routing)) {', replace: 'if (domid < 0) {',
    test: ASSIGNMENT, fails: ['XSA-378'],
  },
  {
    guard: 'reserved memory of others', file: 'src/xen/hypervisor/reserved.ts',
    find: '.filter((mfn) => !kept.has(mfn))', replace: '',
    test: ASSIGNMENT, fails: ['XSA-378'],
  },
  {
    guard: 'reserved memory out of reach', file: 'src/xen/hypervisor/devices.ts',
    find: "if (translation === 'guest-mapped' && reserved.length > 0) {", replace: 'if (reserved.length < 0) {',
    test: ASSIGNMENT, fails: ['XSA-378'],
  },
  {
    guard: 'reserved memory taken back', file: 'src/xen/hypervisor/devices.ts',
    find: 'if (from !== undefined) this.#unmapReserved(from, routing);', replace: '',
    test: ASSIGNMENT, fails: ['XSA-378'],
  },
  {
    guard: 'reserved memory of a guest', file: 'src/xen/hypervisor/devices.ts',
    find: "if (translation === 'own-frames') this.#mapReserved(domain, io.slot, routing);", replace: '',
    test: ASSIGNMENT, fails: ['XSA-378', 'XSA-400 (reserved)'],
  },
  {
    guard: 'reserved memory in quarantine', file: 'src/xen/hypervisor/devices.ts',
    find: "if (reserved.length === 0 && this.#parts.options().quarantine !== 'scratch-page') return undefined;",
    replace: "if (this.#parts.options().quarantine !== 'scratch-page') return undefined;",
    test: ASSIGNMENT, fails: ['XSA-400 (reserved)'],
  },
  {
    guard: 'undo of reserved memory', file: 'src/xen/hypervisor/devices.ts',
    find: 'for (const one of frames.slice(0, done)) exports.ioUnmap(slot, one, 1);', replace: '',
    test: ASSIGNMENT, fails: ['XSA-460'],
  },
  {
    guard: 'neighbours in a page', file: 'src/xen/hypervisor/rights.ts',
    find: 'if (own.has(routing)) continue;', replace: 'continue;',
    test: ASSIGNMENT, fails: ['XSA-461'],
  },
  {
    guard: 'consent to share a line', file: 'src/xen/hypervisor/pirqs.ts',
    find: '(!willShare || !shared(line) || others.length >= MAX_SHARERS)', replace: '(others.length >= MAX_SHARERS)',
    test: ASSIGNMENT, fails: ['XSA-461'],
  },
  {
    guard: 'no hypercall from a handler', file: 'src/xen/hypervisor/hypervisor.ts',
    find: "this.engine.host.requireOutside('call the hypervisor');\n    const domain = this.#domains.get(domid);", replace: 'const domain = this.#domains.get(domid);',
    test: ASSIGNMENT, fails: ['XSA-467'],
  },
  // ---- rights
  {
    guard: 'length of a mapping', file: 'src/xen/hypervisor/domctl.ts',
    find: 'if (count > FRAMES_AT_ONCE) {', replace: 'if (count > 2 ** 40) {',
    test: RIGHTS, fails: ['XSA-125'],
  },
  {
    guard: 'domctl on oneself', file: 'src/xen/hypervisor/domctl.ts',
    find: "if (target.domid === this.#caller) {\n      throw new HypercallError('EINVAL', `domain ${domid} cannot do this", replace: "if (target.domid < 0) {\n      throw new HypercallError('EINVAL', `domain ${domid} cannot do this",
    test: RIGHTS, fails: ['XSA-127'],
  },
  {
    guard: 'I/O memory is no memory', file: 'src/xen/hypervisor/rights.ts',
    find: 'this.map(domain, page, MapEntry.MMIO, mfn, this.#writable(mfn, writable));', replace: 'this.map(domain, page, MapEntry.RAM, mfn, this.#writable(mfn, writable));',
    test: RIGHTS, fails: ['XSA-154'],
  },
  {
    guard: 'decode changes what is known', file: 'assembly/bus/decode.ts',
    find: '  lookasideDrop(b);\n', replace: '',
    test: RIGHTS, fails: ['XSA-154'],
  },
  {
    guard: 'all of a mapping or nothing', file: 'src/xen/hypervisor/rights.ts',
    find: 'for (let done = 0; done < i; done++) this.unmap(domain, firstGfn + done);', replace: '',
    test: RIGHTS, fails: ['XSA-389'],
  },
  {
    guard: '64-bit frames taken back', file: 'src/xen/toolstack/rights.ts',
    find: '() => domctl.iomemPermission(domid, range.first, range.count, false));', replace: '() => domctl.iomemPermission(domid, range.first & 0xfffff, range.count, false));',
    test: RIGHTS, fails: ['XSA-476'],
  },
  {
    guard: 'ports as a whole', file: 'src/xen/hypervisor/rights.ts',
    find: 'if (this.#parts.engine.exports.portsSet(domain.slot, first, count, allow ? 1 : 0) !== 0) {',
    replace: 'if (this.#parts.engine.exports.portsSet(domain.slot, first, count, allow ? 1 : 0) > 99) {',
    test: RIGHTS, fails: ['XSA-491'],
  },
  {
    guard: 'I/O memory as a whole', file: 'src/xen/hypervisor/rights.ts',
    find: 'engine.hold(() => {', replace: '(<T>(work: () => T): T => work())(() => {',
    test: RIGHTS, fails: ['XSA-491'],
  },
  {
    guard: 'rights of each domain', file: 'src/xen/hypervisor/rights.ts',
    find: ' + domain.slot * StateSize.IOMEM_BLOCK', replace: ' + 0 * domain.slot * StateSize.IOMEM_BLOCK',
    test: RIGHTS, fails: ['XSA-492'],
  },
  // ---- pciback
  {
    guard: 'lines that a guest can cause', file: 'src/xen/pciback/seized-device.ts',
    find: 'if (this.#warningsLeft === 0) return;', replace: '',
    test: PCIBACK, fails: ['XSA-43', 'XSA-130'],
  },
  {
    guard: 'decode of the hardware', file: 'src/xen/pciback/command-field.ts',
    find: 'raw.change(Pci.COMMAND, PciCommand.MASTER, (value & PciCommand.MASTER) !== 0);', replace: 'raw.set(Pci.COMMAND, 2, value);',
    test: PCIBACK, fails: ['XSA-120', 'XSA-126', 'XSA-128'],
  },
  {
    guard: 'decode at hand-over', file: 'src/xen/pciback/seized-device.ts',
    find: 'raw.change(Pci.COMMAND, decodeBits(host), true);', replace: '',
    test: PCIBACK, fails: ['XSA-120'],
  },
  {
    guard: 'end of trust', file: 'src/xen/pciback/seized-device.ts',
    find: 'this.ownPermissive = false;\n', replace: '',
    test: PCIBACK, fails: ['XSA-124'],
  },
  {
    guard: 'decode of a trusted guest', file: 'src/xen/pciback/command-field.ts',
    find: 'const next = (now & ~GUEST) | (wanted & GUEST);', replace: 'const next = wanted;',
    test: PCIBACK, fails: ['XSA-126'],
  },
  {
    guard: 'bits of PMCSR', file: 'src/xen/pciback/capability-fields.ts',
    find: 'const next = (now & ~PMCSR_GUEST) | (value & PMCSR_GUEST);', replace: 'const next = value;',
    test: PCIBACK, fails: ['XSA-128'],
  },
  {
    guard: 'one warning', file: 'src/xen/pciback/virtual-config.ts',
    find: 'this.#warned = true;', replace: '',
    test: PCIBACK, fails: ['XSA-130'],
  },
  {
    guard: 'default deny', file: 'src/xen/pciback/virtual-config.ts',
    find: 'if (device.permissive) return device.raw.write(off, size, value);', replace: 'return device.raw.write(off, size, value);',
    test: PCIBACK, fails: ['XSA-124', 'XSA-128', 'XSA-131'],
  },
  {
    guard: 'copy of a request', file: 'src/xen/pciif.ts',
    find: 'const copy = new Uint8Array(length);\n    copy.set(this.#bytes().subarray(off, off + length));\n    return new DataView(copy.buffer);', replace: 'return this.#view(off, length);',
    test: PCIBACK, fails: ['XSA-155'],
  },
  {
    guard: 'MSI is on already', file: 'src/xen/pciback/messages.ts',
    find: "if (this.#on?.kind === 'msi') return -EALREADY;", replace: '',
    test: PCIBACK, fails: ['XSA-157'],
  },
  {
    guard: 'MSI-X is on', file: 'src/xen/pciback/messages.ts',
    find: "if (this.#on?.kind === 'msix') return -ENXIO;", replace: '',
    test: PCIBACK, fails: ['XSA-157'],
  },
  {
    guard: 'MSI is on, or decode off', file: 'src/xen/pciback/messages.ts',
    find: "return this.#on?.kind === 'msi' || !memory ? -ENXIO : 0;", replace: 'return 0;',
    test: PCIBACK, fails: ['XSA-157'],
  },
  {
    guard: 'event of a port given up', file: 'src/xen/kernel/kernel.ts',
    find: 'for (const port of [...this.#pending]) if (this.#pending.delete(port)) this.#do(() => this.#ports.get(port)?.());',
    replace: 'const told = [...this.#pending].map((port) => this.#ports.get(port));\n    this.#pending.clear();\n    for (const one of told) this.#do(() => one?.());',
    test: PCIBACK, fails: ['XSA-331'],
  },
  {
    guard: 'operations for one event', file: 'src/xen/pciback/op-server.ts',
    find: 'served < OPS_PER_EVENT && ', replace: '',
    test: PCIBACK, fails: ['XSA-332 (page)'],
  },
  {
    guard: 'first error', file: 'src/xen/pciback/virtual-config.ts',
    find: 'if (first === 0) first = err;', replace: 'first = err;',
    test: PCIBACK, fails: ['XSA-395'],
  },
  {
    guard: 'undo of MSI-X', file: 'src/xen/pciback/messages.ts',
    find: 'this.#unmap(domid, pirqs);\n      return -error.errno;', replace: 'return -error.errno;',
    test: PCIBACK, fails: ['XSA-458'],
  },
  // ---- the split driver on a whole machine
  {
    guard: 'lines of a live guest', file: 'src/xen/pciback/seized-device.ts',
    find: 'if (this.#warningsLeft === 0) return;', replace: '',
    test: LIVE, fails: ['XSA-43 (live)'],
  },
  {
    guard: 'state of a live device', file: 'src/xen/pciback/messages.ts',
    find: "return this.#on?.kind === 'msi' || !memory ? -ENXIO : 0;", replace: 'return 0;',
    test: LIVE, fails: ['XSA-157 (live)'],
  },
  {
    guard: 'clean shared page', file: 'src/xen/pcifront/channel.ts',
    find: 'this.page.wipe();', replace: '',
    test: LIVE, fails: ['XSA-403'],
  },
];
