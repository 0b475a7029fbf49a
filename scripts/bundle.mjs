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

/** Lets whatever imports a source file have this text instead. */
function sourceFrom({ file, text }) {
  const full = path.join(root, file);
  return {
    name: 'source',
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, (args) => (args.path === full ? { contents: text, loader: 'ts' } : undefined));
    },
  };
}

/**
 * Bundles `entry` into `folder`; packages stay imports. With `wasm`, on that engine; with `source` { file, text }, on
 * that text of a source file. Resolves to { out, errors }, errors being text.
 */
export async function bundleForNode(entry, { folder = 'build', wasm, source } = {}) {
  const { build, formatMessages } = await import('esbuild');
  const out = path.posix.join(folder, entry.replace(/\.ts$/, '.mjs'));
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
      plugins: [...(wasm ? [engineFrom(wasm)] : []), ...(source ? [sourceFrom(source)] : [])],
      logLevel: 'silent',
    });
    return { out, errors: '' };
  } catch (error) {
    const messages = error.errors ? await formatMessages(error.errors, { kind: 'error' }) : [String(error)];
    return { out, errors: messages.join('\n') };
  }
}
