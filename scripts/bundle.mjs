// Compiles one test or benchmark file to something Node runs.
import path from 'node:path';
import { root } from './files.mjs';

/** Lets whatever imports build/engine.wasm have another file instead. */
function engineFrom(wasm) {
  return {
    name: 'engine',
    setup(build) {
      build.onResolve({ filter: /build\/engine\.wasm$/ }, () => ({ path: path.join(root, wasm) }));
    },
  };
}

/** Lets one file of src/ be another text. */
function sourceFrom({ file, text }) {
  return {
    name: 'source',
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, ({ path: loaded }) => (loaded === path.join(root, file) ? { contents: text, loader: 'ts' } : undefined));
    },
  };
}

/**
 * Bundles `entry` into build/; packages stay imports. With `wasm`, on that engine and beside it; with `changed`
 * ({ file, text, folder }), with that text in the file's place and in that folder. Resolves to { out, errors }, errors
 * being text.
 */
export async function bundleForNode(entry, wasm, changed) {
  const { build, formatMessages } = await import('esbuild');
  const out = path.posix.join(changed?.folder ?? (wasm ? path.dirname(wasm) : 'build'), entry.replace(/\.ts$/, '.mjs'));
  try {
    await build({
      absWorkingDir: root,
      entryPoints: [entry],
      outfile: out,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      packages: 'external',
      sourcemap: true,
      loader: { '.wasm': 'binary' },
      plugins: [...(wasm ? [engineFrom(wasm)] : []), ...(changed ? [sourceFrom(changed)] : [])],
      logLevel: 'silent',
    });
    return { out, errors: '' };
  } catch (error) {
    const messages = error.errors ? await formatMessages(error.errors, { kind: 'error' }) : [String(error)];
    return { out, errors: messages.join('\n') };
  }
}
