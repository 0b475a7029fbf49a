import type { ConfigAccess } from './access';
import { bdfOf, formatBdf } from './bdf';

/** The hexadecimal dump that `lspci -F` reads: a title line, 16 bytes a line, an empty line. */
export function dumpFunction(routing: number, title: string, config: ConfigAccess, size: number): string {
  const lines = [`${formatBdf(bdfOf(routing)).slice(5)} ${title}`];
  for (let off = 0; off < size; off += 16) {
    const bytes: string[] = [];
    for (let i = 0; i < 16; i += 4) {
      const dword = config.read(off + i, 4) >>> 0;
      for (let byte = 0; byte < 4; byte++) bytes.push(((dword >>> (8 * byte)) & 0xff).toString(16).padStart(2, '0'));
    }
    lines.push(`${off.toString(16).padStart(2, '0')}: ${bytes.join(' ')}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Vendor and device in a title such as `Ethernet controller: Intel Corporation 82540EM (rev 03)`; none if it has only numbers. */
export function deviceName(title: string): string | undefined {
  const words = title.replace(/^[^:]*: /, '').replace(/ \(rev [0-9a-f]{2}\)$/, '').replace(/ ?\b[0-9a-f]{4}:[0-9a-f]{4}$/, '');
  return words === '' || words === 'Device' ? undefined : words;
}
