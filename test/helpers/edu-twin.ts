// QEMU's edu device a second time, with defineDevice: the addresses and bits of its specification are restated here.
import { defineDevice } from '../../src/devices/host/define';
import { msiCapability } from '../../src/pci/capabilities/msi';
import type { RegisterDevice } from '../../src/devices/host/types';

const ALL = 0xffffffff;
const RAISE_WHEN_COMPUTED = 0x80;
const [START, TO_RAM, RAISE_WHEN_DONE] = [1, 2, 4];
const [CAUSE_FACTORIAL, CAUSE_DMA] = [0x001, 0x100];
const BUFFER = 0x40000n;
const DMA_MASK = (1n << 28n) - 1n;
const DMA_NS = 100_000_000;

const wide = { bytes: 8, host: 'write', handlerStores: true } as const;

interface EduState {
  buffer: number[];
  /** An interrupt by message is to be sent. */
  message: boolean;
}

type Edu = RegisterDevice<EduState>;

function raise(device: Edu, causes: number): void {
  const status = (device.get('INTERRUPT_STATUS') | causes) >>> 0;
  device.set('INTERRUPT_STATUS', status);
  if (status === 0) return;
  if (device.msiEnabled) {
    device.state.message = true;
    device.requestService();
  } else device.intx(true);
}

function factorial(n: number): number {
  // 34! and up are 0 modulo 2^32
  if (n >= 34) return 0;
  let result = 1;
  for (; n > 1; n--) result = Math.imul(result, n) >>> 0;
  return result;
}

/** Where in the buffer a transfer lies, undefined when any byte of it is outside. */
function inBuffer(edge: bigint, length: bigint): number | undefined {
  const inside = edge >= BUFFER && length <= 4096n && edge - BUFFER <= 4096n - length;
  return inside ? Number(edge - BUFFER) : undefined;
}

export const eduTwin = defineDevice({
  model: 'edu-twin',
  title: 'Unclassified device [00ff]: Device 1234:11e8 (rev 10)',
  config: {
    vendorId: 0x1234, deviceId: 0x11e8, classCode: 0x00ff00, revision: 0x10,
    subsystemVendorId: 0x1af4, subsystemId: 0x1100, interruptPin: 1,
    bars: [{ kind: 'memory32', size: 0x100000 }],
    capabilities: [msiCapability({ off: 0x40, vectors: 1, wide: true })],
  },
  registers: [{
    bar: 0,
    size: 0x100000,
    rows: [
      { name: 'ID', off: 0x00, reset: 0x010000ed },
      { name: 'LIVENESS', off: 0x04, writeMask: ALL, host: 'write' },
      { name: 'FACTORIAL', off: 0x08, writeMask: ALL, host: 'write' },
      { name: 'STATUS', off: 0x20, writeMask: RAISE_WHEN_COMPUTED },
      { name: 'INTERRUPT_STATUS', off: 0x24 },
      { name: 'INTERRUPT_RAISE', off: 0x60, writeOnly: true, host: 'write' },
      { name: 'INTERRUPT_ACKNOWLEDGE', off: 0x64, writeOnly: true, host: 'write' },
      { name: 'DMA_SOURCE', off: 0x80, ...wide },
      { name: 'DMA_DESTINATION', off: 0x88, ...wide },
      { name: 'DMA_COUNT', off: 0x90, ...wide },
      { name: 'DMA_COMMAND', off: 0x98, ...wide },
    ],
  }],
  state: { buffer: new Array<number>(4096).fill(0), message: false } as EduState,
  handlers: {
    onWrite(device, register, value, _lanes, half) {
      switch (register) {
        case 'LIVENESS':
          device.set('LIVENESS', ~value >>> 0);
          return;
        case 'FACTORIAL':
          device.set('FACTORIAL', factorial(value));
          if (device.get('STATUS') & RAISE_WHEN_COMPUTED) raise(device, CAUSE_FACTORIAL);
          return;
        case 'INTERRUPT_RAISE':
          raise(device, value);
          return;
        case 'INTERRUPT_ACKNOWLEDGE': {
          const status = (device.get('INTERRUPT_STATUS') & ~value) >>> 0;
          device.set('INTERRUPT_STATUS', status);
          if (status === 0) device.intx(false);
          return;
        }
        default:
          // a running transfer keeps its registers; the command's high dword holds nothing
          if (device.get('DMA_COMMAND') & START || (register === 'DMA_COMMAND' && half === 4)) return;
          if (register !== 'DMA_COMMAND') {
            device.set(register, value, half);
            return;
          }
          device.set('DMA_COMMAND', value & 7);
          if (value & START) device.schedule(device.now + DMA_NS);
      }
    },
    service(context) {
      if (!context.state.message) return;
      context.state.message = false;
      context.sendMsi();
    },
    deadline(context) {
      const command = context.get('DMA_COMMAND');
      const toRam = (command & TO_RAM) !== 0;
      const [source, destination] = [context.getWide('DMA_SOURCE'), context.getWide('DMA_DESTINATION')];
      const length = context.getWide('DMA_COUNT');
      const { buffer } = context.state;
      const at = inBuffer(toRam ? source : destination, length);
      if (at !== undefined && toRam) {
        const bytes = buffer.slice(at, at + Number(length));
        if (context.dmaWrite(destination & DMA_MASK, bytes) === 'pending') return;
      } else if (at !== undefined) {
        const { status, bytes } = context.dmaRead(source & DMA_MASK, Number(length));
        if (status === 'pending') return;
        buffer.splice(at, bytes.length, ...bytes);
      }
      context.set('DMA_COMMAND', command & ~START);
      if (command & RAISE_WHEN_DONE) raise(context, CAUSE_DMA);
    },
  },
});
