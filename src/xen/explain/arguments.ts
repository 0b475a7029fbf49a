import { PortcullisError } from '../../errors';
import { formatBdf, parseBdf } from '../../pci/bdf';
import { parseOperation } from '../../pci/setpci/operation';
import type { Access, Question } from './types';

export const EXPLAIN_USAGE = 'explain BDF [--domain DOMAIN] [--access mmio[:ADDRESS]|port[:PORT]|dma[:ADDRESS]|irq|config:REGISTER]';

function fail(why: string): never {
  throw new PortcullisError('USAGE', `${why}; usage: ${EXPLAIN_USAGE}`);
}

/** Reads `mmio`, `mmio:fe640000`, `port:d2c0`, `dma`, `dma:1000`, `irq`, `config:COMMAND`. Throws USAGE and BAD_REGISTER. */
export function parseAccess(text: string): Access {
  const at = text.indexOf(':');
  const [kind, rest] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
  if (kind === 'mmio' || kind === 'port' || kind === 'dma') {
    if (rest === undefined) return { kind };
    const most = kind === 'port' ? 0xffff : 2 ** 40 - 1;
    const address = /^(?:0x)?([0-9a-f]{1,10})$/i.exec(rest)?.[1];
    if (address === undefined || parseInt(address,
      16) > most) fail(`"${rest}" is no ${kind === 'port' ? 'port' : 'address'} up to ${most.toString(16)}`);
    return { kind, address: parseInt(address, 16) };
  }
  if (kind === 'config') {
    if (rest === undefined || rest === '') fail('config needs a register, as in config:COMMAND or config:40.w');
    const register = parseOperation(rest);
    if (register.values.length > 0) fail(`"${rest}" has a value; explain asks for the register only`);
    return { kind, register };
  }
  if (kind === 'irq' && rest === undefined) return { kind };
  return fail(`there is no access "${text}"`);
}

/** As lspci and xl take addresses: leading zeros may be missing. Throws BAD_BDF. */
function addressOf(text: string): string {
  const digits = /^(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i.exec(text);
  if (digits === null) return formatBdf(parseBdf(text));
  const [, segment = '0', bus = '', device = '', fn = ''] = digits;
  return formatBdf(parseBdf(`${segment.padStart(4, '0')}:${bus.padStart(2, '0')}:${device.padStart(2, '0')}.${fn}`));
}

/** The question of a command line, without --json. Throws USAGE, BAD_BDF, BAD_REGISTER. */
export function parseExplainArgs(args: readonly string[]): Question {
  let bdf: string | undefined;
  let domain: string | undefined;
  let access: Access | undefined;
  for (let i = 0; i < args.length; i++) {
    const [arg = '', inline] = (args[i] as string).startsWith('--') ? (args[i] as string).split(/=(.*)/s) : [args[i] as string];
    if (arg === '--domain' || arg === '--access') {
      const value = inline ?? args[++i];
      if (value === undefined || value === '') fail(`${arg} needs a value`);
      if (arg === '--domain') domain = value;
      else access = parseAccess(value);
    } else if (arg.startsWith('-')) fail(`there is no option ${arg}`);
    else if (bdf !== undefined) fail(`one address, not "${bdf}" and "${arg}"`);
    else bdf = arg;
  }
  if (bdf === undefined) fail('the address of a device is missing');
  return { bdf: addressOf(bdf), ...(domain === undefined ? {} : { domain }), ...(access === undefined ? {}
    : { access }) };
}
