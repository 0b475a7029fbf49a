// A device written in TypeScript (or JavaScript, as here), and its driver: it reads a buffer by DMA, computes its CRC-32,
// writes the result to memory, and interrupts. docs/devices.md explains the rules.
//   npm run build && node examples/checksum-device.mjs
import { defineDevice, DmaMapper, Machine, msiCapability } from '../build/index.js';

const ALL = 0xffffffff;
const [IDLE, BUSY, DONE, ERROR] = [0, 1, 2, 3];
const CHUNK = 4096; // one step does one piece, so that other devices get their turn

function crc32(crc, bytes) {
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return crc;
}

const checksum = defineDevice({
  model: 'checksum',
  title: 'Processing accelerators [1200]: Device 1234:c5c0',
  config: {
    vendorId: 0x1234, deviceId: 0xc5c0, classCode: 0x120000, revision: 1, interruptPin: 1,
    bars: [{ kind: 'memory32', size: 0x1000 }], capabilities: [msiCapability({ off: 0x40, vectors: 1, wide: true })],
  },
  registers: [{ bar: 0, size: 0x1000, rows: [
    // plain data, which the engine reads and writes without asking the device
    { name: 'ADDRESS', off: 0x00, bytes: 8, writeMask: ALL, meaning: 'bus address of the buffer' },
    { name: 'RESULT', off: 0x08, bytes: 8, writeMask: ALL, meaning: 'bus address of the dword for the CRC' },
    { name: 'LENGTH', off: 0x10, writeMask: ALL, meaning: 'bytes; a write starts', host: 'write' },
    { name: 'STATUS', off: 0x14, meaning: '0 idle, 1 busy, 2 done, 3 DMA failed' },
  ] }],
  state: { done: 0, length: 0, crc: 0 },
  handlers: {
    // within the guest's access: no DMA here
    onWrite(device, register, value) {
      if (device.get('STATUS') === BUSY) return;
      Object.assign(device.state, { done: 0, length: value, crc: ALL });
      device.set('STATUS', BUSY);
      device.requestService();
    },
    // between accesses: one piece, and again until all is done
    service(device) {
      const { state } = device;
      if (device.get('STATUS') !== BUSY) return;
      const left = state.length - state.done;
      if (left > 0) {
        const { status, bytes } = device.dmaRead(device.getWide('ADDRESS') + BigInt(state.done), Math.min(left, CHUNK));
        if (status === 'pending') return; // called again, with nothing changed so far
        if (status !== 'ok') return device.set('STATUS', ERROR);
        state.crc = crc32(state.crc, bytes);
        state.done += bytes.length;
        return device.requestService();
      }
      const status = device.dmaWrite(device.getWide('RESULT'), new Uint8Array(Uint32Array.of(~state.crc).buffer));
      if (status === 'pending') return;
      device.set('STATUS', status === 'ok' ? DONE : ERROR);
      device.sendMsi();
    },
  },
});

const description = { iommu: 'vtd', devices: [{ model: 'checksum', bdf: '00:05.0' }] };
const machine = await Machine.create(description, { devices: [checksum] });
const domain = machine.createDomain({ name: 'guest', memory: '16MiB' });
machine.assign('00:05.0', domain, 'own-frames');

// the driver: only what a guest may use
const guest = machine.guest(domain);
const config = guest.config(machine.routingOf('00:05.0'));
config.write(0x04, 2, 0x0006); // memory decode, Bus Master
const bar = guest.ioremap((config.read(0x10, 4) & ~0xf) >>> 0, 0x1000);
const { port } = guest.enableMsi(machine.routingOf('00:05.0'));
const dma = new DmaMapper(guest, { mode: 'direct', mask: 2 ** 40 - 1 });
const buffer = guest.allocPages(1);
const text = '123456789';
for (let i = 0; i < text.length; i++) guest.store(buffer + i, 1, text.charCodeAt(i));

const bus = dma.map(buffer, 4096, 3); // the device reads and writes
guest.store(bar + 0x00, 4, bus);
guest.store(bar + 0x08, 4, bus + 2048);
guest.store(bar + 0x10, 4, text.length);
guest.wait();
if (!guest.takeEvent(port)) throw new Error('no interrupt came');
dma.unmap(bus, buffer, 4096, 3);
console.log(`status ${guest.load(bar + 0x14, 4)}, CRC-32 of "${text}": ${guest.load(buffer + 2048, 4).toString(16)}`);
