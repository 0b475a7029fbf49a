// What the engine's artefacts may contain, so that one can run at any base on any memory: no data segment, no start
// function, no table, nothing that others could change.

export interface MemoryLimits {
  readonly min: number;
  readonly max: number | undefined;
  readonly shared: boolean;
}

export interface Shape {
  readonly memory: MemoryLimits;
  /** Imports besides `env.memory`, as `module.name`. */
  readonly imports: readonly string[];
}

// Section numbers of the WebAssembly binary format.
const IMPORT = 2, TABLE = 4, MEMORY = 5, GLOBAL = 6, EXPORT = 7, START = 8, ELEMENT = 9, DATA = 11,
  DATA_COUNT = 12;
const FORBIDDEN = new Map([[TABLE, 'a table'], [MEMORY, 'a memory of its own'], [START, 'a start function'],
  [ELEMENT, 'an element section'], [DATA, 'a data section']]);
// Kinds of imports and exports.
const FUNCTION_KIND = 0, TABLE_KIND = 1, MEMORY_KIND = 2, GLOBAL_KIND = 3;
// Opcodes of constant expressions.
const GLOBAL_GET = 0x23, I32_CONST = 0x41, I64_CONST = 0x42, F32_CONST = 0x43, F64_CONST = 0x44, END = 0x0b,
  REF_NULL = 0xd0, REF_FUNC = 0xd2, SIMD = 0xfd;

/** Everything in which a module differs from the wanted shape; nothing if it is as it should be. */
export function checkShape(bytes: Uint8Array, wanted: Shape): string[] {
  if (!WebAssembly.validate(bytes as BufferSource)) return ['is no valid WebAssembly module'];
  const problems: string[] = [];
  const globals: boolean[] = []; // by index: is it mutable?
  let memoryFound = false;

  for (const { id, body } of sectionsOf(bytes)) {
    const forbidden = FORBIDDEN.get(id);
    if (forbidden) problems.push(`has ${forbidden}`);
    if (id === DATA_COUNT && body.unsigned() > 0) problems.push('counts data segments');
    if (id === IMPORT) {
      for (let left = body.unsigned(); left > 0; left--) {
        const name = `${body.name()}.${body.name()}`;
        const kind = body.byte();
        if (kind === MEMORY_KIND && name === 'env.memory') {
          memoryFound = true;
          problems.push(...compareLimits(body.limits(), wanted.memory));
          continue;
        }
        if (!wanted.imports.includes(name)) problems.push(`imports ${name}`);
        if (kind === FUNCTION_KIND) body.unsigned();
        else if (kind === TABLE_KIND) body.table();
        else if (kind === GLOBAL_KIND) globals.push(body.globalType());
        else throw new Error(`import ${name} is of unknown kind ${kind}`);
      }
    }
    if (id === GLOBAL) {
      for (let left = body.unsigned(); left > 0; left--) {
        globals.push(body.globalType());
        body.skipConstant();
      }
    }
    if (id === EXPORT) {
      for (let left = body.unsigned(); left > 0; left--) {
        const name = body.name();
        const kind = body.byte();
        const index = body.unsigned();
        if (kind === GLOBAL_KIND && globals[index]) problems.push(`exports the mutable global ${name}`);
      }
    }
  }
  if (!memoryFound) problems.push('does not import env.memory');
  return problems;
}

function compareLimits(found: MemoryLimits, wanted: MemoryLimits): string[] {
  const same = found.min === wanted.min && found.max === wanted.max && found.shared === wanted.shared;
  return same ? [] : [`imports a memory of ${describe(found)} instead of ${describe(wanted)}`];
}

function describe({ min, max, shared }: MemoryLimits): string {
  return `${min} to ${max ?? 'any number of'} pages, ${shared ? 'shared' : 'not shared'}`;
}

function sectionsOf(bytes: Uint8Array): { id: number; body: Reader }[] {
  const reader = new Reader(bytes, 8);
  const sections = [];
  while (!reader.atEnd) {
    const id = reader.byte();
    sections.push({ id, body: reader.slice(reader.unsigned()) });
  }
  return sections;
}

/** Reads the binary format; only valid modules are read, so it checks little. */
class Reader {
  constructor(private readonly bytes: Uint8Array, private at = 0) {}

  get atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new Error('the module ends too early');
    return value;
  }

  /** LEB128; multiplied, not shifted, for values of 32 bits. */
  unsigned(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  slice(length: number): Reader {
    this.at += length;
    return new Reader(this.bytes.subarray(this.at - length, this.at));
  }

  name(): string {
    const length = this.unsigned();
    this.at += length;
    return new TextDecoder().decode(this.bytes.subarray(this.at - length, this.at));
  }

  limits(): MemoryLimits {
    const flags = this.byte();
    const min = this.unsigned();
    return { min, max: flags & 1 ? this.unsigned() : undefined, shared: (flags & 2) !== 0 };
  }

  table(): void {
    this.byte();
    this.limits();
  }

  /** Whether the global is mutable. */
  globalType(): boolean {
    this.byte();
    return this.byte() === 1;
  }

  skipConstant(): void {
    for (let opcode = this.byte(); opcode !== END; opcode = this.byte()) {
      if (opcode === I32_CONST || opcode === I64_CONST || opcode === GLOBAL_GET || opcode === REF_FUNC) this.unsigned();
      else if (opcode === F32_CONST) this.at += 4;
      else if (opcode === F64_CONST) this.at += 8;
      else if (opcode === REF_NULL) this.byte();
      else if (opcode === SIMD) this.at += 1 + 16; // v128.const
      else throw new Error(`a constant expression with opcode ${opcode}`);
    }
  }
}
