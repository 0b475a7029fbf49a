/** A function on its way to the root bus: its device number, and the bridges above it, nearest first. */
export interface InterruptPath {
  device: number;
  bridges: readonly number[];
}

/**
 * Where INTA# to INTD# of a function (pin 1 to 4) end. Each bridge turns the pin by the number of the device behind it
 * (PCI-to-PCI Bridge 1.2 §9.1, PCI Express 6.0 §2.2.8.1); on the root bus the pins go to global interrupts 16 to 23 of
 * a PC with an I/O APIC, turned by the device number once more.
 */
export function interruptLine({ device, bridges }: InterruptPath, pin: number): number {
  let [number, turned] = [device, pin];
  for (const bridge of bridges) {
    turned = ((number + turned - 1) & 3) + 1;
    number = bridge;
  }
  return 16 + ((number + turned - 1) & 7);
}
