// A guest of one's own: it finds the educational device behind its front end for PCI, has it compute 10!, and sends a page
// through it by DMA. docs/guest-program.md has what a module can do.
//
//   portcullis serve &
//   portcullis xl pci-assignable-add 00:06.0
//   portcullis xl create /dev/null 'name="mine"' 'kernel="examples/my-guest.mjs"' 'pci=["00:06.0"]'
//   portcullis xl console mine

const EDU = { vendor: 0x1234, device: 0x11e8 };
const [FACTORIAL, STATUS, CAUSE, ACKNOWLEDGE] = [0x08, 0x20, 0x24, 0x64];
const [DMA_SOURCE, DMA_DESTINATION, DMA_COUNT, DMA_COMMAND] = [0x80, 0x88, 0x90, 0x98];
const [START, TO_RAM, RAISE] = [1, 2, 4];
/** The device has a buffer of 4 KiB here, and drives 28 bits of address. */
const BUFFER = 0x40000;
const REACH = 2 ** 28 - 1;
const SECOND = 1e9;

/** @param {import('portcullis').GuestApi} guest */
export default function main(guest) {
  const { pci } = guest;
  const isEdu = ({ vendor, device }) => vendor === EDU.vendor && device === EDU.device;
  // the front end connects while the guest runs
  while (!pci.devices().some(isEdu)) guest.wait(SECOND / 10);
  const { routing, name, resources: [bar] } = pci.devices().find(isEdu);
  guest.log(`edu is at ${name}`);

  // decode its memory, let it be master
  pci.write(routing, 4, 2, pci.read(routing, 4, 2) | 6);
  const registers = guest.ioremap(bar.start, bar.size);
  const port = pci.enableMsi(routing);
  const get = (off) => guest.load(registers + off, 4);
  const set = (off, value) => guest.store(registers + off, 4, value);
  const interrupt = () => {
    if (guest.wait(SECOND, [port]).port !== port) throw new Error('the device sent no interrupt');
    set(ACKNOWLEDGE, get(CAUSE));
  };

  set(STATUS, 0x80);
  set(FACTORIAL, 10);
  interrupt();
  guest.log(`10! = ${get(FACTORIAL)}`);

  const page = guest.allocPageBelow(REACH);
  const bus = guest.machineAddress(page);
  const copy = (source, destination, direction) => {
    set(DMA_SOURCE, source);
    set(DMA_SOURCE + 4, 0);
    set(DMA_DESTINATION, destination);
    set(DMA_DESTINATION + 4, 0);
    set(DMA_COUNT, 4096);
    set(DMA_COUNT + 4, 0);
    set(DMA_COMMAND, START | RAISE | direction);
    interrupt();
  };
  const sent = Uint8Array.from({ length: 4096 }, (_, i) => i * 7 + (i >> 8));
  guest.write(page, sent);
  copy(bus, BUFFER, 0);
  guest.write(page, new Uint8Array(4096));
  copy(BUFFER, bus, TO_RAM);
  const came = guest.read(page, 4096);
  guest.log(`a page to the device and back: ${came.every((byte, i) => byte === sent[i]) ? 'the same' : 'not the same'}`);
}
