// Which of the engine's two artefacts a test runs on. A test body that makes its memories here runs on both: as it
// is, and in a file that imports shared-memory.ts in front of it.
export type Artefact = 'plain' | 'shared';

let chosen: Artefact = 'plain';

export function chooseArtefact(artefact: Artefact): void {
  chosen = artefact;
}

export function artefactFile(): string {
  return chosen === 'shared' ? 'build/engine.shared.wasm' : 'build/engine.wasm';
}

/** A memory of so many bytes for the artefact. One that is shared has a maximum, of which nothing is committed. */
export function newMemory(bytes = 65536, artefact = chosen): WebAssembly.Memory {
  const initial = Math.ceil(bytes / 65536);
  return new WebAssembly.Memory(artefact === 'shared' ? { initial, maximum: 65536, shared: true } : { initial });
}
