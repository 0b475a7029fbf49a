// Finding and hashing files: what decides whether something built is still good.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root: looked for, because tests bundle this file into build/. */
export const root = findRoot(path.dirname(fileURLToPath(import.meta.url)));

function findRoot(folder) {
  return fs.existsSync(path.join(folder, 'package.json')) ? folder : findRoot(path.dirname(folder));
}

/** Every file under `dir` (relative to the root) whose name ends with `suffix`, sorted; none if `dir` is missing. */
export function findFiles(dir, suffix = '') {
  const found = [];
  const visit = (relative) => {
    const full = path.join(root, relative);
    if (!fs.existsSync(full)) return;
    if (!fs.statSync(full).isDirectory()) {
      if (relative.endsWith(suffix)) found.push(relative);
      return;
    }
    for (const name of fs.readdirSync(full)) visit(path.posix.join(relative, name));
  };
  visit(dir);
  return found.sort();
}

/** A hash over names and contents, so that a file renamed, removed or changed shows, but a mere checkout does not. */
export function hashFiles(files, ...more) {
  const hash = createHash('sha256');
  for (const file of files) {
    const content = fs.readFileSync(path.join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  for (const text of more) hash.update(`\0${text}`);
  return hash.digest('hex');
}

/** The JSON in a file, or undefined if the file is missing or is not JSON. */
export function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(path.resolve(root, file), 'utf8'));
  } catch {
    return undefined;
  }
}

/** Writes JSON, making the folder if needed. A relative name is relative to the root. */
export function writeJson(file, value) {
  const full = path.resolve(root, file);
  fs.mkdirSync(path.dirname(full), { recursive: true });
  fs.writeFileSync(full, JSON.stringify(value, null, 2) + '\n');
}
