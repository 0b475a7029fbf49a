// The engine for shared memory, in a module of its own: who never gives a shared memory never decodes it.
import wasmBytes from '../../build/engine.shared.wasm';

export const sharedBytes: Uint8Array = wasmBytes;
