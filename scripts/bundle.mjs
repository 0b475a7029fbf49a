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

/**
 * Bundles `entry` into build/; packages stay imports. With `wasm`, on that engine and beside it. Resolves to
 * { out, errors }, errors being text.
 */
export async function bundleForNode(entry, wasm) {
  const { build, formatMessages } = await import('esbuild');
  const out = path.posix.join(wasm ? path.dirname(wasm) : 'build', entry.replace(/\.ts$/, '.mjs'));
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
      plugins: wasm ? [engineFrom(wasm)] : [],
      logLevel: 'silent',
    });
    return { out, errors: '' };
  } catch (error) {
    const messages = error.errors ? await formatMessages(error.errors, { kind: 'error' }) : [String(error)];
    return { out, errors: messages.join('\n') };
  }
}
