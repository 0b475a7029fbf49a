import { Pci } from '../../assembly/spec/pci';
import { type ConfigAccess, isBridge } from './access';

/** Header registers that firmware set and a reset takes away: BARs, of a device its ROM, cache line size, interrupt line. */
const FIRST = Pci.BAR0;
const LAST = Pci.BAR0 + 4 * 5;

/**
 * Resets a function and puts back what firmware had set. Decode, Bus Master and interrupt messages stay off: a driver
 * turns them on, and then finds the BARs where they were.
 */
export function resetKeepingConfig(config: ConfigAccess, reset: () => void): void {
  const bars: number[] = [];
  for (let off: number = FIRST; off <= LAST; off += 4) bars.push(config.read(off, 4));
  const rom = isBridge(config) ? undefined : config.read(Pci.ROM_ADDRESS, 4);
  const cacheLine = config.read(Pci.CACHE_LINE_SIZE, 1);
  const line = config.read(Pci.INTERRUPT_LINE, 1);
  reset();
  bars.forEach((value, index) => config.write(FIRST + 4 * index, 4, value));
  if (rom !== undefined) config.write(Pci.ROM_ADDRESS, 4, rom);
  config.write(Pci.CACHE_LINE_SIZE, 1, cacheLine);
  config.write(Pci.INTERRUPT_LINE, 1, line);
}
