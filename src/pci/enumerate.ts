import { Pci, PciCommand } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { type BarSize, type PortAccess, configByPorts, sizeBars } from './access';
import { bdfOf, formatBdf } from './bdf';

export interface EnumeratedFunction {
  routing: number;
  vendorId: number;
  deviceId: number;
  classCode: number;
  interruptPin: number;
  bars: BarSize[];
}

export interface Resources {
  /** First machine address and end of what memory BARs get, and the same for ports. */
  memory: [number, number];
  ports: [number, number];
}

/** The hole of a PC below the enhanced config space's upper end, and the ports above the legacy ones. */
export const DEFAULT_RESOURCES: Resources = { memory: [0xf0000000, 0xfec00000], ports: [0xc000, 0x10000] };

function present(ports: PortAccess, routing: number): boolean {
  return configByPorts(ports, routing).read(Pci.VENDOR_ID, 2) !== 0xffff;
}

/** Every function of bus 0 that answers: function 0 first, the others only of a multi-function device. */
export function scanBus(ports: PortAccess): number[] {
  const found: number[] = [];
  for (let device = 0; device < 32; device++) {
    const first = device << 3;
    if (!present(ports, first)) continue;
    found.push(first);
    if ((configByPorts(ports, first).read(Pci.HEADER_TYPE, 1) & 0x80) === 0) continue;
    for (let fn = 1; fn < 8; fn++) if (present(ports, first | fn)) found.push(first | fn);
  }
  return found;
}

/**
 * Enumerates bus 0 as firmware does: sizes every BAR, places the largest first so that all are aligned, sets the
 * interrupt line from the swizzled pin, and turns decode on. Bus Master is left off: that is the driver's to set.
 */
export function enumerate(ports: PortAccess, resources: Resources = DEFAULT_RESOURCES): EnumeratedFunction[] {
  const functions = scanBus(ports).map((routing) => {
    const config = configByPorts(ports, routing);
    return {
      routing,
      vendorId: config.read(Pci.VENDOR_ID, 2),
      deviceId: config.read(Pci.DEVICE_ID, 2),
      classCode: config.read(Pci.REVISION_ID, 4) >>> 8,
      interruptPin: config.read(Pci.INTERRUPT_PIN, 1),
      bars: sizeBars(config),
    };
  });
  const wanted = functions.flatMap(({ routing, bars }) => bars.map((bar) => ({ routing, bar })));
  wanted.sort((a, b) => b.bar.size - a.bar.size || a.routing - b.routing || a.bar.index - b.bar.index);
  const at = { memory: resources.memory[0], ports: resources.ports[0] };
  for (const { routing, bar } of wanted) {
    const space = bar.io ? 'ports' : 'memory';
    const address = Math.ceil(at[space] / bar.size) * bar.size;
    if (address + bar.size > resources[space][1]) {
      throw new PortcullisError('NO_ROOM_FOR_BAR', `BAR ${bar.index} of ${formatBdf(bdfOf(routing))} needs ${bar.size} `
        + `bytes of ${bar.io ? 'ports' : 'address space'} below 0x${resources[space][1].toString(16)}; take a device out`,
      { routing, ...bar });
    }
    at[space] = address + bar.size;
    bar.address = address;
    const config = configByPorts(ports, routing);
    config.write(Pci.BAR0 + 4 * bar.index, 4, address);
    if (bar.wide) config.write(Pci.BAR0 + 4 * bar.index + 4, 4, 0);
  }
  for (const { routing, bars, interruptPin } of functions) {
    const config = configByPorts(ports, routing);
    if (interruptPin !== 0) config.write(Pci.INTERRUPT_LINE, 1, interruptLine(routing, interruptPin));
    const decode = (bars.some((bar) => bar.io) ? PciCommand.IO : 0) | (bars.some((bar) => !bar.io) ? PciCommand.MEMORY : 0);
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | decode);
  }
  return functions;
}

/** Global interrupts 16 to 23 of a PC with an I/O APIC: pins rotate with the device number. */
export function interruptLine(routing: number, pin: number): number {
  return 16 + ((((routing >> 3) & 31) + pin - 1) & 7);
}
