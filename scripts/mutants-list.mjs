// The guards that scripts/mutants.mjs takes out, one at a time: where each stands, and the test (or tests, by the beginning
// of their names up to a colon) that must then fail.
import { ADVISORY_MUTANTS } from './mutants-advisories.mjs';

export const MUTANTS = [
  {
    guard: 'translation', file: 'assembly/dma/dma.ts',
    find: 'if (load<u32>(b + State.IOMMU, IommuState.ENABLED) == 0) return busAddr;', replace: 'return busAddr;',
    test: 'test/lab/cell.test.ts', fails: 'the same driver faults under every policy that translates',
  },
  {
    guard: 'frame ownership', file: 'assembly/iommu/hypercall.ts',
    find: 'if (!frameIsOwnRam(b, mfn + i, owner)) return refused(b, Status.REFUSED);', replace: '',
    test: 'test/lab/cell.test.ts', fails: 'the guest cannot map, store to or DMA into what is not its own',
  },
  {
    guard: 'port bitmap', file: 'assembly/gate/domains.ts',
    find: 'return (have & wanted) == wanted;', replace: 'return true;',
    test: 'test/gate/gate.test.ts', fails: 'none, at first',
  },
  {
    guard: 'window check', file: 'assembly/memory/windows.ts',
    find: 'if (within >= load<u32>(record, WindowRecord.FRAMES)) return 0;', replace: '',
    test: 'test/contract/windows.test.ts', fails: 'e1000 leaves the same bytes on linear, file and message windows',
  },
  {
    guard: 'Bus Master gate', file: 'assembly/dma/dma.ts',
    find: 'return (flags & (FunctionFlag.BUS_MASTER | FunctionFlag.POWERED_DOWN)) == FunctionFlag.BUS_MASTER;',
    replace: 'return true;',
    test: 'test/dma/dma.test.ts', fails: 'without Bus Master nothing is read or written, and it is counted',
  },
  {
    guard: 'private copy', file: 'assembly/devices/e1000-family/transmit.ts',
    find: 'const buffer = load<u64>(descriptor, E1000Txd.BUFFER);',
    replace: 'dmaRead(b, fn, descriptorAt(ringBase(block, E1000.TDBAL), head), E1000Txd.SIZE_OF, descriptor);\n'
      + '  const buffer = load<u64>(descriptor, E1000Txd.BUFFER);',
    test: 'test/contract/private-copy.test.ts', fails: 'a descriptor is fetched once, and its copy decides',
  },
  {
    guard: 'budget', file: 'assembly/paths/service.ts',
    find: 'if (spent >= limit || traceFull(b)) {', replace: 'if (traceFull(b)) {',
    test: 'test/paths/service.test.ts', fails: 'a call of service ends with its budget, and the next one goes on',
  },
  {
    guard: 'granted domain', file: 'assembly/ring/grant-entries.ts',
    find: '(!mapping && type == Gtf.TRANSITIVE)) && head >> 16 == domid;', replace: '(!mapping && type == Gtf.TRANSITIVE));',
    test: 'test/xen/grants/grants.test.ts', fails: 'every way to be refused, in the order that Xen asks',
  },
  {
    guard: 'granted frame', file: 'assembly/ring/grant-entries.ts',
    find: 'return frameIsOwnRam(b, mfn, load<u32>(record, DomainRecord.DOMID)) && framePtr', replace: 'return framePtr',
    test: 'test/xen/grants/grants.test.ts',
    fails: 'what an entry says decides, and each refusal has its status and changes nothing',
  },
  {
    guard: 'unmapped grant', file: 'assembly/ring/grant-map.ts',
    find: 'if (!withdrawn && entry != mapEntryOf(mfn, mmio, (flags & GntMap.READONLY) == 0)) return -GrantStatus.GENERAL_ERROR;',
    replace: '',
    test: 'test/xen/grants/grants.test.ts', fails: 'an unmap must name what is mapped: address, rights and bus address',
  },
  {
    guard: 'event port of Xen', file: 'assembly/ring/events.ts',
    find: 'if (load<u8>(record, PortRecord.STATE) & PortRecord.XEN) return refused(b);', replace: '',
    test: 'test/xen/events/events.test.ts',
    fails: 'a port that Xen keeps is not for the guest to touch, and takes events without it',
  },
  {
    guard: 'who gives has it', file: 'src/xen/hypervisor/domctl.ts',
    find: 'if (!caller.iomem.has(firstMfn, firstMfn + count - 1)) {', replace: 'if (caller.domid < 0) {',
    test: 'test/xen/hypervisor/domctl.test.ts', fails: 'checks in their order, with the errno of each',
  },
  {
    guard: 'a device of another guest', file: 'src/xen/hypervisor/domctl.ts',
    find: 'return owner !== CONTROL_DOMAIN && owner !== DomId.IO;', replace: 'return false;',
    test: 'test/xen/hypervisor/domctl.test.ts', fails: 'checks in their order',
  },
  {
    guard: 'passthrough without IOMMU', file: 'src/xen/hypervisor/domctl.ts',
    find: 'if (hypervisor.unsafePassthrough) return;', replace: 'return;',
    test: 'test/xen/hypervisor/domctl.test.ts', fails: 'without an IOMMU nothing is given away, unless that is allowed by name',
  },
  {
    guard: 'bound of a GSI', file: 'src/xen/hypervisor/physdev.ts',
    find: '!Number.isInteger(index) || index < 0 || index >= GSIS', replace: '!Number.isInteger(index)',
    test: 'test/xen/hypervisor/physdev.test.ts', fails: 'checks, and what they leave',
  },
  {
    guard: 'vector table recorded before', file: 'src/xen/hypervisor/messages.ts',
    find: 'if (trusted) return {', replace: 'if (trusted || routing >= 0) return {',
    test: 'test/xen/hypervisor/physdev.test.ts', fails: 'checks, and what they leave',
  },
  {
    guard: 'vector table read-only', file: 'src/xen/hypervisor/rights.ts',
    find: 'return wanted && !this.#parts.messages.readOnlyFrames().has(mfn);', replace: 'return wanted;',
    test: 'test/xen/hypervisor/physdev.test.ts',
    fails: 'a vector table can be read and not written: the mapping is made read-only and nothing is said',
  },
  {
    guard: 'quarantine', file: 'src/xen/hypervisor/devices.ts',
    find: "domain.domid !== CONTROL_DOMAIN && keep ? 'quarantine' : this.#home()", replace: 'this.#home()',
    test: 'test/xen/hypervisor/domctl.test.ts', fails: 'owners: dom0, quarantine, guest, and every way between',
  },
  {
    guard: 'fault threshold', file: 'src/xen/hypervisor/faults.ts',
    find: 'if (entry.count < THRESHOLD) return;', replace: 'if (entry.count >= 0) return;',
    test: 'test/xen/hypervisor/console.test.ts',
    fails: 'ten of them, and the device may send nothing more; a pause halves the count; a new owner begins anew',
  },
  {
    guard: 'bounded log', file: 'src/xen/hypervisor/console.ts',
    find: 'return burst.count <= BURST;', replace: 'return true;',
    test: 'test/xen/hypervisor/console.test.ts', fails: 'however many there are, the log stays bounded and other lines in it',
  },
  ...ADVISORY_MUTANTS,
];
