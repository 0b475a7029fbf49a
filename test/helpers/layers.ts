// Who may import whom. Works on texts, so that it can be tested with made-up ones.
import ts from 'typescript';

export type Sources = ReadonlyMap<string, string>;

export interface Findings {
  readonly problems: string[];
  readonly warnings: string[];
}

const ASSEMBLY_BASE = ['spec', 'memory'];
const ASSEMBLY_CORE = [...ASSEMBLY_BASE, 'gate', 'bus'];
const ASSEMBLY_DMA = [...ASSEMBLY_CORE, 'iommu', 'irq', 'dma'];
const SRC_BASE = ['errors', 'engine', 'pci'];
const SRC_MACHINE = [...SRC_BASE, 'xen', 'devices', 'drivers', 'machine'];
const SRC_LAB = [...SRC_MACHINE, 'lab', 'embed'];

const inAssembly = (rooms: string[]): string[] => rooms.map((room) => `assembly/${room}`);
// Of AssemblyScript, TypeScript can read the constants and nothing else.
const inSrc = (rooms: string[]): string[] => ['assembly/spec', ...rooms.map((room) => `src/${room}`)];

/** Each room, and the rooms it may import besides itself. Rooms of one level never import each other. */
export const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'assembly/spec': [],
  'assembly/memory': inAssembly(['spec']),
  'assembly/gate': inAssembly(ASSEMBLY_BASE),
  'assembly/bus': inAssembly(ASSEMBLY_BASE),
  'assembly/iommu': inAssembly(ASSEMBLY_CORE),
  'assembly/irq': inAssembly([...ASSEMBLY_CORE, 'iommu']),
  'assembly/dma': inAssembly([...ASSEMBLY_CORE, 'iommu', 'irq']),
  'assembly/ring': inAssembly(ASSEMBLY_DMA),
  'assembly/devices': inAssembly([...ASSEMBLY_DMA, 'ring']),
  'assembly/drivers': inAssembly([...ASSEMBLY_DMA, 'ring']),
  'assembly/paths': inAssembly([...ASSEMBLY_DMA, 'ring', 'devices', 'drivers']),
  'assembly/index': inAssembly([...ASSEMBLY_DMA, 'ring', 'devices', 'drivers', 'paths']),
  'src/errors': inSrc([]),
  'src/engine': inSrc(['errors']),
  'src/pci': inSrc(['errors', 'engine']),
  'src/xen': inSrc(SRC_BASE),
  'src/devices': inSrc(SRC_BASE),
  'src/drivers': inSrc(SRC_BASE),
  'src/machine': inSrc([...SRC_BASE, 'xen', 'devices', 'drivers']),
  'src/lab': inSrc(SRC_MACHINE),
  'src/embed': inSrc(SRC_MACHINE),
  'src/report': inSrc(SRC_LAB),
  'src/index': inSrc([...SRC_LAB, 'report']),
  'src/web': inSrc([...SRC_LAB, 'report', 'index']),
  // The command line has what every user of the package has, and the reports.
  'src/cli': ['src/index', 'src/report'],
};

/** Rooms in which a folder is one device, and no device knows another. */
const FOLDERS_APART = ['assembly/devices'];
/** What the devices of one family share; it knows none of them. */
const FAMILIES: Readonly<Record<string, readonly string[]>> = { 'e1000-family': ['e1000', 'e1000e'] };
const INDEXES = ['assembly/index.ts', 'src/index.ts', 'src/engine/index.ts'];
/** The entries that a page can load: what they reach imports neither packages nor Node's modules. */
const BROWSER_ENTRIES = ['src/index.ts', 'src/engine/index.ts'];
const LONG = 400;
const TOO_LONG = 800;

interface Import {
  /** As written. */
  readonly specifier: string;
  /** The file in `Sources`, if it is one of them. */
  readonly target: string | undefined;
}

/** `assembly/dma/copy.ts` is in room `assembly/dma`, `src/errors.ts` in `src/errors`. */
export function roomOf(path: string): string {
  return path.split('/').slice(0, 2).join('/').replace(/(\.d)?\.ts$/, '');
}

export function checkLayers(sources: Sources): Findings {
  const problems: string[] = [];
  const warnings: string[] = [];
  const graph = new Map<string, Import[]>();
  for (const [path, text] of sources) {
    const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
    const imports = specifiersIn(tree).map((specifier) => ({ specifier, target: resolve(sources, path, specifier) }));
    graph.set(path, imports);

    if (!(roomOf(path) in ALLOWED)) problems.push(`${path}: the design has no room ${roomOf(path)}`);
    for (const one of imports) problems.push(...checkImport(path, one).map((problem) => `${path}: ${problem}`));
    if (INDEXES.includes(path)) problems.push(...checkIndex(tree));
    if (roomOf(path) === 'assembly/spec') problems.push(...checkSpec(tree));

    const lines = text.trimEnd().split('\n').length;
    if (lines > TOO_LONG) problems.push(`${path}: ${lines} lines; more than ${TOO_LONG} is several files`);
    else if (lines > LONG) warnings.push(`${path}: ${lines} lines; more than ${LONG} wants to be two files`);
  }
  problems.push(...checkBrowserSafe(graph));
  const targets = (path: string): string[] => (graph.get(path) ?? []).flatMap(({ target }) => target ?? []);
  problems.push(...findCycles([...graph.keys()], targets).map((cycle) => `files in a circle: ${cycle}`));
  problems.push(...findRoomCycles([...graph.keys()], targets).map((cycle) => `rooms in a circle: ${cycle}`));
  return { problems, warnings };
}

/** Everything imported or re-exported, types and `import()` included. */
function specifiersIn(tree: ts.SourceFile): string[] {
  const found: string[] = [];
  const add = (node: ts.Node | undefined): void => {
    if (node && ts.isStringLiteralLike(node)) found.push(node.text);
    else if (node) found.push(`(computed: ${node.getText(tree)})`);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal);
    else if (ts.isExternalModuleReference(node)) add(node.expression);
    else if (ts.isCallExpression(node) && isImportCall(node)) add(node.arguments[0]);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function isImportCall({ expression }: ts.CallExpression): boolean {
  return expression.kind === ts.SyntaxKind.ImportKeyword
    || (ts.isIdentifier(expression) && expression.text === 'require');
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith('.');
}

function joinPath(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}

function resolve(sources: Sources, from: string, specifier: string): string | undefined {
  if (!isRelative(specifier)) return undefined;
  const path = joinPath(from, specifier);
  return [`${path}.ts`, `${path}/index.ts`, `${path}.d.ts`, path].find((candidate) => sources.has(candidate));
}

function checkImport(from: string, { specifier, target }: Import): string[] {
  const room = roomOf(from);
  if (!isRelative(specifier)) {
    return room.startsWith('assembly/') ? [`imports the package ${specifier}; the engine has no dependencies`] : [];
  }
  if (/\.(ts|js|mjs)$/.test(specifier)) return [`imports ${specifier}; write it without the extension`];
  if (target === undefined) {
    const path = joinPath(from, specifier);
    // Data beside the code: the version in package.json, a template, a style sheet.
    const isData = /\.(json|html|css|txt)$/.test(path) && (path.startsWith('src/') || !path.includes('/'));
    // The engine itself, which is built before the bundles.
    if (path === 'build/engine.wasm' || path === 'build/engine.shared.wasm') return [];
    return isData ? [] : [`imports ${specifier}, which is no source file of this project`];
  }
  const targetRoom = roomOf(target);
  if (targetRoom !== room) {
    return ALLOWED[room]?.includes(targetRoom) ? [] : [`imports ${target}; ${room} may not import ${targetRoom}`];
  }
  const [folder, targetFolder] = [folderIn(from), folderIn(target)];
  const apart = FOLDERS_APART.includes(room) && folder !== undefined && targetFolder !== undefined;
  if (apart && FAMILIES[targetFolder]?.includes(folder)) return [];
  return apart && folder !== targetFolder ? [`imports ${target}; one device never imports another`] : [];
}

/** The device's folder, or undefined for a file that lies in the room itself. */
function folderIn(path: string): string | undefined {
  const parts = path.split('/');
  return parts.length > 3 ? parts[2] : undefined;
}

function checkIndex(tree: ts.SourceFile): string[] {
  const problems: string[] = [];
  for (const statement of tree.statements) {
    const isImport = ts.isImportDeclaration(statement) && statement.importClause !== undefined;
    if (!isImport && !ts.isExportDeclaration(statement)) {
      problems.push(`${tree.fileName}: only re-exports belong here, not \`${firstLine(statement, tree)}\``);
    } else if (tree.fileName === 'src/index.ts' && ts.isExportDeclaration(statement)
      && (!statement.exportClause || !ts.isNamedExports(statement.exportClause))) {
      problems.push(`${tree.fileName}: name what is exported, not \`${firstLine(statement, tree)}\``);
    }
  }
  return problems;
}

function checkSpec(tree: ts.SourceFile): string[] {
  const isConstEnum = (node: ts.Statement): boolean => ts.isEnumDeclaration(node)
    && (node.modifiers ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.ConstKeyword);
  return tree.statements
    .filter((node) => !isConstEnum(node) && !ts.isImportDeclaration(node) && !ts.isExportDeclaration(node))
    .map((node) => `${tree.fileName}: both languages read this file, so it holds const enums and nothing else, not `
      + `\`${firstLine(node, tree)}\``);
}

function firstLine(node: ts.Node, tree: ts.SourceFile): string {
  return (node.getText(tree).split('\n')[0] ?? '').slice(0, 60);
}

function checkBrowserSafe(graph: ReadonlyMap<string, readonly Import[]>): string[] {
  const problems: string[] = [];
  const via = new Map<string, string>();
  const queue = BROWSER_ENTRIES.filter((entry) => graph.has(entry));
  for (const entry of queue) via.set(entry, entry);
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    for (const { specifier, target } of graph.get(path) ?? []) {
      if (!isRelative(specifier)) {
        problems.push(`${path}: imports ${specifier}, but a page loads this file (${via.get(path)})`);
      } else if (target !== undefined && !via.has(target)) {
        via.set(target, `${via.get(path)} > ${target}`);
        queue.push(target);
      }
    }
  }
  return problems;
}

function findRoomCycles(paths: readonly string[], targets: (path: string) => string[]): string[] {
  const rooms = new Map<string, Set<string>>();
  for (const path of paths) {
    const room = roomOf(path);
    const edges = rooms.get(room) ?? new Set();
    for (const target of targets(path)) if (roomOf(target) !== room) edges.add(roomOf(target));
    rooms.set(room, edges);
  }
  return findCycles([...rooms.keys()], (room) => [...rooms.get(room) ?? []]);
}

/** One `a > b > a` for each edge that closes a circle in a depth-first walk. */
export function findCycles(nodes: readonly string[], edges: (node: string) => readonly string[]): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (node: string): void => {
    if (done.has(node)) return;
    const start = trail.indexOf(node);
    if (start >= 0) {
      cycles.push([...trail.slice(start), node].join(' > '));
      return;
    }
    trail.push(node);
    for (const next of edges(node)) visit(next);
    trail.pop();
    done.add(node);
  };
  for (const node of nodes) visit(node);
  return cycles;
}
