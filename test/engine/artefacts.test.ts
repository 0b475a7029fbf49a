import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generateStore } from '../../src/devices/links/store';
import { Engine, isShared } from '../../src/engine/index';
import { Cell } from '../../src/lab/cell';
import { setupOf } from '../../src/lab/matrix';
import { differencesOf, evidenceOf } from '../helpers/evidence';
import { newMemory } from '../helpers/artefact';

const exportsOf = (file: string): string[] => WebAssembly.Module.exports(new WebAssembly.Module(readFileSync(file)))
  .filter(({ kind }) => kind === 'function').map(({ name }) => name).sort();

test('the two artefacts export the same functions', () => {
  assert.equal(exportsOf('build/engine.shared.wasm'), exportsOf('build/engine.wasm'));
});

test('a shared and an unshared memory give equal slices, RAM and counters', async () => {
  const stream = { name: '600', store: generateStore('600-byte frames', 600, 64, 3), packets: 256 };
  const [plain, shared] = await Promise.all((['plain', 'shared'] as const).map(async (artefact) => {
    const cell = await Cell.create(setupOf('pv-iommu', 'lazy'), stream,
      { seed: 7, batch: 32, allocator: 'magazine', memory: newMemory(65536, artefact) });
    cell.forward(256);
    assert.is(isShared(cell.machine.engine.memory), artefact === 'shared');
    return evidenceOf(cell.machine.engine);
  }));
  assert.is(differencesOf(plain as NonNullable<typeof plain>, shared as NonNullable<typeof shared>), '');
});

test('an engine says so when a shared memory cannot grow to what it needs', async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
  let code = '';
  await Engine.create({ frames: 1024, memory }).catch((error: { code: string }) => { code = error.code; });
  assert.is(code, 'ENGINE_MEMORY');
});

test.run();
