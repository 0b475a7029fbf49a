import wasmBytes from '../../build/engine.wasm';

/**
 * The engine's exports, as assembly/paths/abi.ts defines them. All numbers are 32-bit integers but the times, which
 * are whole ns. A u32 result arrives signed: `>>> 0`.
 */
export interface EngineExports {
  barPageOff(fn: number, bar: number, page: number): number;
  barPlace(fn: number, bar: number, place: number, lo: number, hi: number): void;
  busReset(bridge: number): void;
  cacheBytes(entries: number): number;
  configRead(fn: number, off: number, width: number): number;
  configWrite(fn: number, off: number, width: number, value: number): void;
  dmaFlush(mapOff: number): void;
  dmaMap(mapOff: number, va: number, size: number, direction: number): number;
  dmaMapSetup(mapOff: number): void;
  dmaTimer(mapOff: number): void;
  dmaUnmap(mapOff: number, lo: number, hi: number, va: number, size: number, direction: number): void;
  domainCreate(slot: number, domid: number, flags: number): number;
  domainDestroy(slot: number): number;
  driverBufferGive(driverOff: number, va: number): void;
  driverPoll(driverOff: number, budget: number): number;
  driverSend(driverOff: number, src: number, len: number): number;
  ecamRead(off: number, width: number): number;
  ecamWrite(off: number, width: number, lo: number, hi: number): void;
  ecamWriteOwner(off: number, width: number, lo: number, hi: number): void;
  eventFromXen(slot: number, port: number): number;
  eventSet(slot: number, port: number): number;
  eventTake(dom: number, port: number): number;
  eventVirq(slot: number, virq: number, vcpu: number): number;
  evtchnSend(dom: number, port: number): number;
  evtchnUnmask(dom: number, port: number): number;
  forwardRun(runOff: number, packets: number): number;
  forwardStart(runOff: number): number;
  frameAssign(mfn: number, domid: number, kind: number): number;
  frameOwner(mfn: number): number;
  framePtr(mfn: number): number;
  frameRefs(mfn: number): number;
  functionApply(fn: number): void;
  functionDmaRead(fn: number, lo: number, hi: number, len: number, dst: number): number;
  functionDmaRepeat(fn: number, lo: number, hi: number, len: number, off: number, write: number, count: number,
    step: number, span: number): number;
  functionDmaScatter(fn: number, list: number, entries: number, off: number, write: number): number;
  functionDmaWrite(fn: number, lo: number, hi: number, len: number, src: number): number;
  functionFail(fn: number): void;
  functionIntx(fn: number, level: number): void;
  functionMessage(fn: number, vector: number): number;
  functionPowerOn(fn: number): void;
  functionReset(fn: number): void;
  functionStepDone(fn: number): void;
  grantMap(dom: number, lo: number, hi: number, flags: number, ref: number, domid: number): number;
  grantTableOp(dom: number, cmd: number, lo: number, hi: number, count: number): number;
  grantUnmap(dom: number, lo: number, hi: number, busLo: number, busHi: number, handle: number): number;
  grantsCreate(slot: number, maxFrames: number, maxHandles: number): number;
  grantsDestroy(slot: number): void;
  grantsIoFill(slot: number): number;
  grantsPinned(slot: number, first: number): number;
  grantsWithdraw(slot: number, first: number, last: number): void;
  guestIn(dom: number, port: number, width: number): number;
  guestInRepeat(dom: number, list: number, entries: number, count: number): number;
  guestLoad(dom: number, lo: number, hi: number, width: number): number;
  guestLoadRepeat(dom: number, list: number, entries: number, count: number): number;
  guestMapForget(slot: number, mfn: number): void;
  guestMapGet(slot: number, page: number): number;
  guestMapSet(slot: number, page: number, entry: number): number;
  guestOut(dom: number, port: number, width: number, value: number): void;
  guestStore(dom: number, lo: number, hi: number, width: number, valueLo: number, valueHi: number): void;
  guestStoreRepeat(dom: number, list: number, entries: number, count: number): void;
  init(base: number): number;
  interruptsDeliver(): number;
  intxLine(line: number): number;
  invalidate(lo0: number, lo1: number, hi0: number, hi1: number): number;
  ioDomainCreate(slot: number, did: number, owner: number, levels: number): number;
  ioDomainDestroy(slot: number): number;
  ioMap(slot: number, dfn: number, mfn: number, pages: number, rights: number): number;
  ioPageMapped(slot: number, dfn: number): number;
  ioUnmap(slot: number, dfn: number, pages: number): number;
  iommuOpFlush(dom: number, dfn: number, pages: number): number;
  iommuOpMap(dom: number, dfn: number, mfn: number, pages: number, rights: number): number;
  iommuOpUnmap(dom: number, dfn: number, pages: number): number;
  iovaGive(mapOff: number, page: number, pages: number): void;
  iovaTake(mapOff: number, pages: number): number;
  lineEnd(dom: number, line: number): number;
  linkChanged(fn: number): void;
  messagePop(): number;
  nextDeadline(): number;
  portRead(port: number, width: number): number;
  portWrite(port: number, width: number, value: number): void;
  portsSet(slot: number, first: number, count: number, allow: number): number;
  receiveRun(driverOff: number, fn: number, ring: number, store: number, frames: number, len: number,
    packets: number): number;
  registerRead(fn: number, bar: number, off: number, width: number): number;
  registerWrite(fn: number, bar: number, off: number, width: number, lo: number, hi: number): void;
  requestService(fn: number): void;
  resultHigh(): number;
  resultStatus(): number;
  service(now: number, budget: number): number;
  setup(iotlbEntries: number, iotlbWays: number, pwc2m: number, pwc1g: number, pwc512g: number, contexts: number): void;
  systemReset(): void;
  tableFrameGive(mfn: number): void;
  tableFrameTake(): number;
  windowAnswer(fn: number, serial: number, answer: number): number;
  windowMap(firstMfn: number, frames: number, ptr: number, kind: number, readOnly: number): number;
  windowRequest(fn: number): number;
  windowRequestSerial(fn: number): number;
  windowUnmap(firstMfn: number): number;
}

let plain: Promise<WebAssembly.Module> | undefined;
let shared: Promise<WebAssembly.Module> | undefined;

/** The engine's bytes, as in `portcullis/engine.wasm`. */
export function engineBytes(): Uint8Array {
  return wasmBytes;
}

/** Whether a memory can be given to other threads. The buffer of one that came from another realm is no instanceof. */
export function isShared(memory: WebAssembly.Memory): boolean {
  return Object.prototype.toString.call(memory.buffer) === '[object SharedArrayBuffer]';
}

async function compileShared(): Promise<WebAssembly.Module> {
  const { sharedBytes } = await import('./shared-artefact');
  return WebAssembly.compile(sharedBytes as BufferSource);
}

/**
 * What the engine asks of its host: bytes of file windows (linear addresses and lengths are unsigned; 0 is done), and
 * the handlers of devices in TypeScript.
 */
export interface EngineImports {
  hostAccess(fn: number, call: number, bar: number, off: number, value: number, lanes: number): number;
  windowRead(first: number, offLo: number, offHi: number, ptr: number, length: number): number;
  windowWrite(first: number, offLo: number, offHi: number, ptr: number, length: number): number;
}

/** Imports of an engine without file windows and devices in TypeScript: nothing is ever asked. */
const NO_HOST: EngineImports = { hostAccess: () => -1, windowRead: () => 1, windowWrite: () => 1 };

/**
 * Instantiates the engine on a memory: a shared memory and one that is not need each its own artefact. A module is
 * compiled once and kept. A second thread does the same on the same memory, and then calls `init` with the base.
 */
export async function instantiate(memory: WebAssembly.Memory, imports: EngineImports = NO_HOST): Promise<EngineExports> {
  const module = isShared(memory)
    ? shared ??= compileShared()
    : plain ??= WebAssembly.compile(wasmBytes as BufferSource);
  const instance = await WebAssembly.instantiate(await module, { env: { memory, ...imports } });
  return instance.exports as unknown as EngineExports;
}
