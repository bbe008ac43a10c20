import { parseAst } from 'vitest/node';

export interface Import {
  /** As written; null when it is computed. */
  specifier: string | null;
  /** True for what is gone once types are stripped. `import { type X }` is not: the module is still loaded. */
  typeOnly: boolean;
  line: number;
}

export interface Source {
  /** From the root of the repository, with `/`. */
  path: string;
  lines: number;
  imports: Import[];
  /** Lines that read the environment. */
  environment: number[];
  /** Lines with an `export default`. */
  defaults: number[];
}

interface Node {
  type: string;
  start: number;
  [key: string]: unknown;
}

/** What the walls ask of one file, read from its syntax tree: text in strings and comments does not count. */
export function readSource(path: string, text: string): Source {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  const source: Source = { path, lines, imports: [], environment: [], defaults: [] };
  const lineOf = (node: Node): number => text.slice(0, node.start).split('\n').length;
  const program: unknown = parseAst(text, { lang: path.endsWith('x') ? 'tsx' : 'ts' }, path);
  visit(program, (node) => {
    const found = importOf(node);
    if (found) source.imports.push({ ...found, line: lineOf(node) });
    if (readsEnvironment(node)) source.environment.push(lineOf(node));
    if (node.type === 'ExportDefaultDeclaration') source.defaults.push(lineOf(node));
  });
  return source;
}

function visit(value: unknown, see: (node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, see);
  } else if (isNode(value)) {
    see(value);
    for (const child of Object.values(value)) visit(child, see);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

function importOf(node: Node): Omit<Import, 'line'> | null {
  switch (node.type) {
    case 'ImportDeclaration':
      return { specifier: literal(node.source), typeOnly: node.importKind === 'type' };
    case 'ExportAllDeclaration':
    case 'ExportNamedDeclaration':
      return node.source ? { specifier: literal(node.source), typeOnly: node.exportKind === 'type' } : null;
    case 'ImportExpression':
      return { specifier: literal(node.source), typeOnly: false };
    case 'TSImportType':
      return { specifier: literal(node.source), typeOnly: true };
    default:
      return null;
  }
}

/** `process.env`, `globalThis.process.env`, `const { env } = process` and `import { env } from 'node:process'`. */
function readsEnvironment(node: Node): boolean {
  if (node.type === 'MemberExpression') return name(node.property) === 'env' && isProcess(node.object);
  if (node.type === 'VariableDeclarator') return isProcess(node.init) && picks(node.id, 'properties', 'key');
  if (node.type === 'ImportDeclaration') {
    return /^(node:)?process$/.test(literal(node.source) ?? '') && picks(node, 'specifiers', 'imported');
  }
  return false;
}

function isProcess(value: unknown): boolean {
  if (!isNode(value)) return false;
  return value.type === 'MemberExpression' ? name(value.property) === 'process' : name(value) === 'process';
}

function picks(value: unknown, list: string, key: string): boolean {
  const items = isNode(value) ? value[list] : undefined;
  return Array.isArray(items) && items.some((item: unknown) => isNode(item) && name(item[key]) === 'env');
}

function name(value: unknown): string | null {
  if (!isNode(value)) return null;
  return value.type === 'Identifier' ? String(value.name) : literal(value);
}

function literal(value: unknown): string | null {
  if (!isNode(value)) return null;
  if (value.type === 'Literal' && typeof value.value === 'string') return value.value;
  const quasis = value.type === 'TemplateLiteral' ? (value.quasis as { value: { cooked: string } }[]) : [];
  return quasis.length === 1 ? (quasis[0]?.value.cooked ?? null) : null;
}
