// Compiles one test or benchmark file to something Node runs.
import path from 'node:path';
import { root } from './files.mjs';

/** Bundles `entry` into build/; packages stay imports. Resolves to { out, errors }, errors being text. */
export async function bundleForNode(entry) {
  const { build, formatMessages } = await import('esbuild');
  const out = path.posix.join('build', entry.replace(/\.ts$/, '.mjs'));
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
      logLevel: 'silent',
    });
    return { out, errors: '' };
  } catch (error) {
    const messages = error.errors ? await formatMessages(error.errors, { kind: 'error' }) : [String(error)];
    return { out, errors: messages.join('\n') };
  }
}
