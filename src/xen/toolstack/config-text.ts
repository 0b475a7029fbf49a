/**
 * The text of xl.cfg(5): KEY=VALUE, one a line or parted by semicolons; strings in single or double quotes, numbers,
 * lists over as many lines as they like; `+=` appends; # begins a comment.
 */

import { PortcullisError } from '../../errors';

export type ConfigValue =
  | { readonly kind: 'string' | 'number'; readonly text: string; readonly line: number }
  | { readonly kind: 'list'; readonly items: readonly ConfigValue[]; readonly line: number };

export type ConfigText = ReadonlyMap<string, ConfigValue>;

export class ConfigSyntaxError extends PortcullisError {
  constructor(message: string, fields: Record<string, unknown>) {
    super('XL_CFG', message, fields);
    this.name = 'ConfigSyntaxError';
  }
}

type Kind = 'name' | 'string' | 'number' | 'mark' | 'newline' | 'end';

interface Token {
  readonly kind: Kind;
  readonly text: string;
  readonly line: number;
}

/** In the order in which they are tried. */
const PATTERNS: ReadonlyArray<[kind: Kind | undefined, pattern: RegExp]> = [
  [undefined, /[ \t\r]+|#[^\n]*/y],
  ['newline', /\n/y],
  ['name', /[A-Za-z_][A-Za-z0-9_]*/y],
  ['number', /-?(?:0x[0-9a-fA-F]+|[0-9]+)(?![A-Za-z0-9_])/y],
  ['string', /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/y],
  ['mark', /\+=|[=,;[\]]/y],
];

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', 0: '\0' };

/** Lists within lists that are taken. */
const DEPTH = 8;

function tokensOf(text: string, file: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (let at = 0; at < text.length;) {
    let found = false;
    for (const [kind, pattern] of PATTERNS) {
      pattern.lastIndex = at;
      const match = pattern.exec(text)?.[0];
      if (match === undefined) continue;
      if (kind !== undefined) tokens.push({ kind, text: match, line });
      if (kind === 'newline') line++;
      at += match.length;
      found = true;
      break;
    }
    if (found) continue;
    const near = JSON.stringify(text.slice(at, text.indexOf('\n', at) >>> 0).slice(0, 20));
    throw syntaxError(file, line, near, 'no such thing is known');
  }
  tokens.push({ kind: 'end', text: 'the end', line });
  return tokens;
}

function syntaxError(file: string, line: number, near: string, what: string): ConfigSyntaxError {
  return new ConfigSyntaxError(`${file}:${line}: config parsing error near ${near}: ${what}`, { file, line });
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #file: string;
  #at = 0;

  constructor(text: string, file: string) {
    this.#tokens = tokensOf(text, file);
    this.#file = file;
  }

  get #token(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #take(kind: Kind, what: string): Token {
    const token = this.#token;
    if (token.kind !== kind) throw this.#unexpected(what);
    this.#at++;
    return token;
  }

  #isKind(...kinds: Kind[]): boolean {
    return kinds.includes(this.#token.kind);
  }

  #isMark(...marks: string[]): boolean {
    return this.#token.kind === 'mark' && marks.includes(this.#token.text);
  }

  #unexpected(what: string): ConfigSyntaxError {
    const { kind, text, line } = this.#token;
    const near = kind === 'newline' ? 'the end of the line' : kind === 'end' ? text : `\`${text}'`;
    return syntaxError(this.#file, line, near, `${what} is wanted here`);
  }

  #skipNewlines(): void {
    while (this.#token.kind === 'newline') this.#at++;
  }

  settings(): Map<string, ConfigValue> {
    const all = new Map<string, ConfigValue>();
    for (;;) {
      while (this.#isKind('newline') || this.#isMark(';')) this.#at++;
      if (this.#isKind('end')) return all;
      const name = this.#take('name', 'the name of a setting').text;
      if (!this.#isMark('=', '+=')) throw this.#unexpected('=');
      const appends = this.#token.text === '+=';
      this.#at++;
      const value = this.#value(0);
      all.set(name, appends ? this.#appended(all.get(name), value) : value);
      if (!this.#isKind('newline', 'end') && !this.#isMark(';')) throw this.#unexpected('the end of the line, or a semicolon,');
    }
  }

  #appended(before: ConfigValue | undefined, value: ConfigValue): ConfigValue {
    if (before === undefined) return value;
    if (before.kind === 'list' && value.kind === 'list') return { ...value, items: [...before.items, ...value.items] };
    if (before.kind === 'string' && value.kind === 'string') return { ...value, text: before.text + value.text };
    throw syntaxError(this.#file, value.line, '`+=\'', 'only a list goes to a list, and a string to a string');
  }

  #value(depth: number): ConfigValue {
    const { kind, text, line } = this.#token;
    if (kind === 'number') {
      this.#at++;
      return { kind, text, line };
    }
    if (kind === 'string') {
      this.#at++;
      return { kind, text: text.slice(1, -1).replace(/\\(.)/g, (_, c: string) => ESCAPES[c] ?? c), line };
    }
    if (!this.#isMark('[')) throw this.#unexpected('a number, a string in quotes or a list');
    if (depth === DEPTH) throw syntaxError(this.#file, line, '`[\'', `lists go ${DEPTH} deep`);
    this.#at++;
    const items: ConfigValue[] = [];
    for (;;) {
      this.#skipNewlines();
      if (this.#isMark(']')) break;
      items.push(this.#value(depth + 1));
      this.#skipNewlines();
      if (this.#isMark(',')) this.#at++;
      else if (!this.#isMark(']')) throw this.#unexpected('a comma or ]');
    }
    this.#at++;
    return { kind: 'list', items, line };
  }
}

/** Throws a ConfigSyntaxError that names file and line. Of a setting that is there twice, the last counts. */
export function parseConfigText(text: string, file: string): ConfigText {
  return new Parser(text, file).settings();
}
