// Front end and back end for PCI in C, from Xen's public headers: compiled to wasm32 and run against our other ends.
import fs from 'node:fs';
import path from 'node:path';
import { bundleForNode } from './bundle.mjs';
import { root } from './files.mjs';
import { run, runNode } from './run.mjs';

const SOURCES = 'test/guest/xen-pci';
const OUT = 'build/xen-ends';
/** Where libxen-dev puts the headers. Nothing else of the system's headers is for wasm32. */
export const HEADERS = '/usr/include/xen/io/pciif.h';
const FLAGS = [
  '--target=wasm32', '-O2', '-Wall', '-Wextra', '-Werror', '-ffreestanding', '-nostdlib', '-nostdlibinc', '-matomics', '-mbulk-memory',
  // which of the two interfaces of a PC the headers are to declare
  '-D__x86_64__',
  // the first 64 KiB of the machine's memory hold neither engine nor RAM
  '-Wl,--no-entry,--import-memory,--stack-first,--global-base=16384,-z,stack-size=16384',
];

async function compile(clang, name) {
  const include = path.join(root, OUT, 'include');
  fs.mkdirSync(include, { recursive: true });
  const link = path.join(include, 'xen');
  fs.rmSync(link, { force: true });
  fs.symlinkSync(path.dirname(path.dirname(HEADERS)), link);
  const out = path.join(OUT, `${name}.wasm`);
  const { code, output } = await run(clang, [...FLAGS, '-I', include, `${SOURCES}/${name}.c`, '-o', out], { timeout: 120 });
  if (code !== 0) throw new Error(`${name}.c does not compile:\n${output.slice(-2000)}`);
  return out;
}

/** `clang`: with lld beside it. */
export async function checkEnds(clang) {
  const files = [await compile(clang, 'pcifront'), await compile(clang, 'pciback')];
  const { out, errors } = await bundleForNode(`${SOURCES}/ends.ts`);
  if (errors) throw new Error(errors);
  const { code, output } = await runNode(['--enable-source-maps', out, ...files], { timeout: 120 });
  if (code !== 0 || !output.includes('the back end in C works')) throw new Error(output.slice(-3000));
}
