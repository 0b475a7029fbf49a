import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkShape, type Shape } from './helpers/wasm-shape';

/** Functions that the engine may ask its host for, as `module.name`. */
const IMPORTS = ['env.windowRead', 'env.windowWrite', 'env.hostAccess'];
const PLAIN: Shape = { memory: { min: 0, max: undefined, shared: false }, imports: IMPORTS };
const SHARED: Shape = { memory: { min: 1, max: 65536, shared: true }, imports: IMPORTS };

const artefacts = suite('shape of the engine');

artefacts('build/engine.wasm runs at any base on any memory', () => {
  assert.equal(checkShape(readFileSync('build/engine.wasm'), PLAIN), []);
});

artefacts('build/engine.shared.wasm does so on any shared memory', () => {
  assert.equal(checkShape(readFileSync('build/engine.shared.wasm'), SHARED), []);
});

artefacts.run();

const checker = suite('the checker');

type Bytes = readonly number[];

const vector = (items: Bytes[]): Bytes => [items.length, ...items.flat()];
const text = (value: string): Bytes => [value.length, ...Buffer.from(value)];
const section = (id: number, content: Bytes): Bytes => [id, content.length, ...content];
const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const module = (...sections: Bytes[]): Uint8Array => new Uint8Array([...HEADER, ...sections.flat()]);
const importOf = (from: string, name: string, ...type: Bytes): Bytes => [...text(from), ...text(name), ...type];

const MEMORY = importOf('env', 'memory', 2, 0, 0);
const imports = section(2, vector([MEMORY]));
const types = section(1, vector([[0x60, 0, 0]])); // () -> ()
const functions = section(3, vector([[0]]));
const code = section(10, vector([[2, 0, 0x0b]]));
const table = section(4, vector([[0x70, 0, 1]]));
const i32Global = (mutable: number): Bytes => [0x7f, mutable, 0x41, 0x80, 0x80, 4, 0x0b]; // i32.const of three bytes

function found(...sections: Bytes[]): string[] {
  return checkShape(module(...sections), PLAIN);
}

checker('accepts a module that only imports its memory, with functions and globals of its own', () => {
  assert.equal(found(imports), []);
  const globals = section(6, vector([i32Global(1), i32Global(0)]));
  const exports = section(7, vector([[...text('f'), 0, 0], [...text('constant'), 3, 1], [...text('memory'), 2, 0]]));
  assert.equal(found(types, imports, functions, globals, exports, code), []);
});

checker('refuses what has a place in memory or runs by itself', () => {
  const activeData = [0, 0x41, 0, 0x0b, 1, 0xff];
  const passiveData = [1, 1, 0xff];
  assert.equal(found(imports, section(11, vector([activeData]))), ['has a data section']);
  assert.equal(found(imports, section(12, [1]), section(11, vector([passiveData]))),
    ['counts data segments', 'has a data section']);
  assert.equal(found(types, imports, functions, section(8, [0]), code), ['has a start function']);
  assert.equal(found(types, imports, functions, table, code), ['has a table']);
  const elements = section(9, vector([[0, 0x41, 0, 0x0b, 1, 0]]));
  assert.equal(found(types, imports, functions, table, elements, code), ['has a table', 'has an element section']);
});

checker('refuses an exported mutable global, imported globals counted before own ones', () => {
  const withGlobal = section(2, vector([MEMORY, importOf('env', 'base', 3, 0x7f, 0)]));
  const globals = section(6, vector([i32Global(0), i32Global(1)]));
  const exported = (index: number): Bytes => section(7, vector([[...text('g'), 3, index]]));
  assert.equal(found(imports, globals, exported(0)), []);
  assert.equal(found(imports, globals, exported(1)), ['exports the mutable global g']);
  assert.equal(found(withGlobal, globals, exported(2)), ['imports env.base', 'exports the mutable global g']);
  assert.equal(found(withGlobal, globals, exported(1)), ['imports env.base']);
});

checker('refuses imports that are not in the list', () => {
  const withFunction = module(types, section(2, vector([MEMORY, importOf('env', 'abort', 0, 0)])));
  assert.equal(checkShape(withFunction, PLAIN), ['imports env.abort']);
  assert.equal(checkShape(withFunction, { ...PLAIN, imports: ['env.abort'] }), []);
});

checker('refuses another memory', () => {
  const memory = (...limits: Bytes): Bytes => section(2, vector([importOf('env', 'memory', 2, ...limits)]));
  assert.match(found(memory(0, 1))[0] ?? '', 'imports a memory of 1 to any number of pages, not shared instead of 0');
  assert.is(found(memory(1, 0, 16)).length, 1, 'a maximum');
  assert.is(found(memory(3, 1, 0x80, 0x80, 4)).length, 1, 'shared');
  assert.equal(checkShape(module(memory(3, 1, 0x80, 0x80, 4)), SHARED), []);
  assert.is(checkShape(module(memory(3, 1, 0xff, 0xff, 3)), SHARED).length, 1, 'a lower maximum');
  assert.equal(found(), ['does not import env.memory']);
  assert.equal(found(section(5, vector([[0, 1]]))), ['has a memory of its own', 'does not import env.memory']);
  assert.equal(found([99, 0]), ['is no valid WebAssembly module']);
});

checker.run();
