import { PortcullisError } from '../errors';
import { bdfOf } from './bdf';

/**
 * Reads a choice of functions as pciutils' option -s has it, `[[[[DOMAIN]:]BUS]:][DEVICE][.[FUNCTION]]`, in hexadecimal;
 * what is left out or `*` takes any. The result tells whether a routing id is meant. Throws BAD_SLOT.
 */
export function parseSlotFilter(text: string): (routing: number) => boolean {
  const fail = (what: string, range: string): never => {
    throw new PortcullisError('BAD_SLOT', `"${text}" is no choice of devices: the ${what} must be ${range} in hexadecimal, or *; `
      + 'write [[DOMAIN:]BUS:]DEVICE[.FUNCTION], as in 00:04.0', { text });
  };
  const number = (part: string | undefined, most: number, what: string): number | undefined => {
    if (part === undefined || part === '' || part === '*') return undefined;
    const value = parseInt(part, 16);
    if (!/^[0-9a-f]{1,4}$/i.test(part) || value > most) fail(what, `0 to ${most.toString(16)}`);
    return value;
  };
  const parts = text.split(':');
  if (parts.length > 3) fail('address', 'at most domain, bus and device');
  const [last = '', busText, domainText] = parts.reverse();
  const [deviceText, functionText, ...more] = last.split('.');
  if (more.length > 0) fail('device', '0 to 1f');
  const domain = number(domainText, 0xffff, 'domain');
  const bus = number(busText, 0xff, 'bus');
  const device = number(deviceText, 0x1f, 'device');
  const fn = number(functionText, 7, 'function');
  return (routing) => {
    const one = bdfOf(routing);
    return (domain ?? one.segment) === one.segment && (bus ?? one.bus) === one.bus && (device ?? one.device) === one.device
      && (fn ?? one.function) === one.function;
  };
}
