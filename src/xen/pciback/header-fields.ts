import { Pci } from '../../../assembly/spec/pci';
import { TYPE_0_BARS, TYPE_1_BARS } from './bar-fields';
import { COMMAND } from './command-field';
import { type ConfigField, configField, rawField } from './config-field';

/** BIST: bit 6 starts the test, bit 7 tells that there is one, the low ones its result. */
const BIST_START = 0x40;

/** The part that types 0 and 1 have in common, in the order in which a write that meets several is given to them. */
const COMMON: readonly ConfigField[] = [
  configField('Vendor ID', Pci.VENDOR_ID, 2, { read: ({ identity }) => identity.vendor }),
  configField('Device ID', Pci.DEVICE_ID, 2, { read: ({ identity }) => identity.device }),
  COMMAND,
  configField('Interrupt Line', Pci.INTERRUPT_LINE, 1, { read: ({ irq }) => irq & 0xff }),
  configField('Interrupt Pin', Pci.INTERRUPT_PIN, 1),
  rawField('Cache Line Size', Pci.CACHE_LINE_SIZE, 1),
  rawField('Latency Timer', Pci.LATENCY_TIMER, 1),
  configField('BIST', Pci.BIST, 1, {
    write: ({ raw }, value) => {
      const now = raw.get(Pci.BIST, 1);
      const allowed = value === BIST_START || (value & ~BIST_START) === (now & ~BIST_START);
      return allowed ? raw.write(Pci.BIST, 1, value) : 0;
    },
  }),
];

/** The header of an endpoint. All else in it reads as the hardware has it, and is not written. */
export const TYPE_0: readonly ConfigField[] = [...COMMON, ...TYPE_0_BARS];
/** That of a bridge: bus numbers, windows and Bridge Control are no fields, so a guest reads them only. */
export const TYPE_1: readonly ConfigField[] = [...COMMON, ...TYPE_1_BARS];
