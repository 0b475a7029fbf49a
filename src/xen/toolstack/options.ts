/** Options of a command line as getopt takes them: `-v`, `-vl`, `-n NAME`, `-nNAME`, `--verbose`; `--` ends them. */

import { UsageError } from './errors';

/** Letters of the options, those with a value followed by a colon; long names and the letter of each. */
export interface OptionTable {
  readonly letters: string;
  readonly long?: Readonly<Record<string, string>>;
}

export interface Options {
  /** Letter, and its value or ''. */
  readonly given: ReadonlyMap<string, string>;
  readonly operands: readonly string[];
}

/** Throws a UsageError for an option that the command does not have, or one without its value. */
export function parseOptions(command: string, args: readonly string[], { letters, long = {} }: OptionTable): Options {
  const given = new Map<string, string>();
  const operands: string[] = [];
  const takesValue = (letter: string): boolean => letters[letters.indexOf(letter) + 1] === ':';
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--') {
      operands.push(...rest.splice(0));
    } else if (arg.startsWith('--')) {
      const [name = '', ...values] = arg.slice(2).split('=');
      const letter = Object.hasOwn(long, name) ? long[name] as string : undefined;
      if (letter === undefined) throw new UsageError(`xl: unrecognized option '--${name}'`, command);
      const value = values.length > 0 ? values.join('=') : takesValue(letter) ? rest.shift() : '';
      if (value === undefined) throw new UsageError(`xl: option '--${name}' requires an argument`, command);
      given.set(letter, value);
    } else if (arg.startsWith('-') && arg !== '-') {
      for (let at = 1; at < arg.length; at++) {
        const letter = arg[at] as string;
        if (letter === ':' || !letters.includes(letter)) throw new UsageError(`xl: invalid option -- '${letter}'`, command);
        if (!takesValue(letter)) {
          given.set(letter, '');
          continue;
        }
        const value = arg.slice(at + 1) || rest.shift();
        if (value === undefined) throw new UsageError(`xl: option requires an argument -- '${letter}'`, command);
        given.set(letter, value);
        break;
      }
    } else operands.push(arg);
  }
  return { given, operands };
}
