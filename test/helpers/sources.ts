import { readdirSync, readFileSync } from 'node:fs';

/** Path, relative to the repository's root (where tests run), to text, for every .ts file under the folders. */
export function readSources(...folders: string[]): Map<string, string> {
  const files = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (path.endsWith('.ts')) files.set(path, readFileSync(path, 'utf8'));
    }
  };
  for (const folder of folders) visit(folder);
  return files;
}
