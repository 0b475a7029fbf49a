// The constants in assembly/spec are read by two languages. This computes each in both and compares.
import asc from 'assemblyscript/asc';
import ts from 'typescript';

/** Path to text, all of them spec files. */
export type SpecSources = ReadonlyMap<string, string>;

/** Name (`path: Enum.MEMBER`) to value; undefined where the language gives no number. */
export type Values = Map<string, number | undefined>;

// AssemblyScript's enums are 32-bit signed integers, TypeScript's are doubles.
const LIMIT = 2 ** 31;

interface Member {
  readonly path: string;
  readonly enumName: string;
  readonly memberName: string;
}

const nameOf = ({ path, enumName, memberName }: Member): string => `${path}: ${enumName}.${memberName}`;

/** What differs between the two, or is not a value that both can hold. */
export async function compareTwins(sources: SpecSources): Promise<{ problems: string[]; compared: number }> {
  const { values, members, problems } = readWithTypeScript(sources);
  if (problems.length > 0) return { problems, compared: 0 };
  const engineValues = await readWithAssemblyScript(sources, members);
  return { problems: compareValues(values, engineValues), compared: values.size };
}

export function compareValues(inTypeScript: Values, inAssemblyScript: Values): string[] {
  const problems: string[] = [];
  for (const [name, value] of inTypeScript) {
    const other = inAssemblyScript.get(name);
    if (value === undefined || !Number.isInteger(value) || value < 0 || value >= LIMIT) {
      problems.push(`${name} is ${value}: not an integer from 0 to 2^31 - 1`);
    }
    if (value !== other) problems.push(`${name} is ${value} in TypeScript but ${other} in AssemblyScript`);
  }
  return problems;
}

/** Every member of every exported const enum, with the value the TypeScript compiler inlines for it. */
function readWithTypeScript(sources: SpecSources): { values: Values; members: Member[]; problems: string[] } {
  const options: ts.CompilerOptions = {
    noLib: true, types: [], module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
  };
  const host = ts.createCompilerHost(options);
  host.getCurrentDirectory = () => '/';
  host.directoryExists = () => true;
  host.fileExists = (file) => sources.has(file.slice(1));
  host.readFile = (file) => sources.get(file.slice(1));
  host.getSourceFile = (file, languageVersion) => {
    const text = sources.get(file.slice(1));
    return text === undefined ? undefined : ts.createSourceFile(file, text, languageVersion, true);
  };
  const program = ts.createProgram([...sources.keys()].map((path) => `/${path}`), options, host);
  const checker = program.getTypeChecker();

  const values: Values = new Map();
  const members: Member[] = [];
  const problems: string[] = [];
  for (const path of sources.keys()) {
    const tree = program.getSourceFile(`/${path}`);
    for (const node of tree?.statements ?? []) {
      if (!ts.isEnumDeclaration(node)) continue;
      const enumName = node.name.text;
      if (!node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) {
        problems.push(`${path}: ${enumName} is not exported`);
      }
      for (const member of node.members) {
        const one = { path, enumName, memberName: member.name.getText(tree) };
        const value = checker.getConstantValue(member);
        members.push(one);
        values.set(nameOf(one), typeof value === 'number' ? value : undefined);
      }
    }
  }
  return { values, members, problems };
}

/** The same members by way of a module with one function for each. */
async function readWithAssemblyScript(sources: SpecSources, members: readonly Member[]): Promise<Values> {
  const lines: string[] = [];
  const aliases = new Map<string, string>();
  members.forEach(({ path, enumName, memberName }, index) => {
    const alias = aliases.get(`${path}:${enumName}`) ?? `E${aliases.size}`;
    if (!aliases.has(`${path}:${enumName}`)) {
      lines.push(`import { ${enumName} as ${alias} } from './${path.replace(/\.ts$/, '')}';`);
      aliases.set(`${path}:${enumName}`, alias);
    }
    lines.push(`export function value${index}(): i32 { return ${alias}.${memberName}; }`);
  });

  const files = new Map([...sources, ['twin.ts', lines.join('\n')]]);
  const outputs = new Map<string, Uint8Array | string>();
  const stderr = asc.createMemoryStream();
  const flags = ['-O0', '--runtime', 'stub', '--use', 'abort=', '--outFile', 'twin.wasm'];
  const { error } = await asc.main(['twin.ts', ...flags], {
    stderr,
    stdout: asc.createMemoryStream(),
    readFile: (name) => files.get(name) ?? null,
    writeFile: (name, contents) => void outputs.set(name, contents),
    listFiles: () => [],
  });
  const wasm = outputs.get('twin.wasm');
  if (error || !(wasm instanceof Uint8Array)) throw new Error(`asc cannot read the constants:\n${stderr.toString()}`);
  const { instance } = await WebAssembly.instantiate(wasm as Uint8Array<ArrayBuffer>);
  const exports = instance.exports as Record<string, () => number>;
  return new Map(members.map((member, index) => [nameOf(member), exports[`value${index}`]?.()]));
}
