import { posix } from 'node:path';
import { cycles, type Edges, type Step, wayRound } from './cycles.ts';
import type { Import, Source } from './read-source.ts';
import { COMPOSITION_ROOT, DATABASE_CLIENT, ENVIRONMENT, MOST_LINES, OWNERS, ROOMS } from './table.ts';

export const RULES = ['room', 'owner', 'cycle', 'environment', 'default export', 'length'] as const;
export type Rule = (typeof RULES)[number];

export interface Breach {
  rule: Rule;
  /** File, line, import and what the rule says. */
  text: string;
}

/** What a file is to the walls. */
interface Place {
  kind: 'root' | 'setup' | 'schema' | 'door' | 'room' | 'generated' | 'outside';
  room: string;
}

export function breaches(sources: readonly Source[]): Breach[] {
  const own = sources.filter((source) => placeOf(source.path).kind !== 'generated');
  return [...own.flatMap(breachesOfFile), ...breachesByCycle(own)];
}

function breachesOfFile(source: Source): Breach[] {
  const found: Breach[] = [];
  const report = (rule: Rule, line: number, text: string): void => {
    found.push({ rule, text: `${source.path}:${line} ${text}` });
  };
  const place = placeOf(source.path);
  if (place.kind === 'room' && !(place.room in ROOMS)) {
    report('room', 1, `is in the room "${place.room}", which test/walls/table.ts does not have`);
  }
  for (const item of source.imports) {
    const said = `${item.typeOnly ? 'imports types of' : 'imports'} ${item.specifier ?? 'a computed path'}`;
    const wall = item.specifier?.startsWith('.') ? wallBetween(source.path, target(source, item), item) : null;
    if (wall) report('room', item.line, `${said}: ${wall}`);
    if (item.specifier === null && place.kind !== 'setup') {
      report('room', item.line, `${said}: no wall can be checked there; write it out`);
    }
    const owner = OWNERS.find(({ what }) => item.specifier !== null && what.test(packageOf(item.specifier)));
    if (!owner || (owner.typesAnywhere && item.typeOnly) || (owner.doorsToo && place.kind === 'door')) continue;
    if (within(source.path, owner.only)) continue;
    const others = owner.typesAnywhere ? ' (with `import type`, everyone)' : owner.doorsToo ? ' and doors' : '';
    report('owner', item.line, `${said}: only ${owner.only.join(', ')}${others} may`);
  }
  if (!within(source.path, ENVIRONMENT)) {
    for (const line of source.environment) {
      report('environment', line, `reads process.env: only ${ENVIRONMENT.join(', ')} may`);
    }
  }
  for (const line of source.defaults) report('default export', line, 'has an `export default`: exports are named');
  if (source.lines > MOST_LINES) {
    report('length', source.lines, `is longer than ${MOST_LINES} lines: split it by feature`);
  }
  return found;
}

/** The reason why `from` may not import `to`, or null. */
function wallBetween(from: string, to: string, { typeOnly }: Import): string | null {
  const a = placeOf(from);
  const b = placeOf(to);
  if (a.kind === 'root' || a.kind === 'setup') return null;
  if (b.kind === 'outside') return 'that is outside of src';
  if (b.kind === 'root') return 'the composition root is imported by nobody';
  if (b.kind === 'setup') return 'set-up is imported by nobody';
  if (['config', 'errors', 'ids', 'cork'].includes(a.room)) return `${a.room} imports nothing of ours`;
  if (['errors', 'ids', 'cork'].includes(b.room)) return null;
  if (a.room === 'client') {
    if (a.room === b.room || to.startsWith('src/generated/graphql/')) return null;
    return 'the client imports nothing of the server, and of generated code the typed documents only';
  }
  if (a.room === 'playground') {
    return a.room === b.room ? null : 'the playground imports the client as it is published: skein/client, skein/react';
  }
  if (b.kind === 'generated') return wallBeforeGenerated(from, to, typeOnly);
  if (a.kind === 'schema') {
    return b.kind === 'door' || b.room === 'graphql' ? null : 'src/schema.ts imports doors and graphql';
  }
  if (a.kind === 'door') return wallBehindDoor(a.room, b, typeOnly);
  if (b.kind === 'door') return 'a door is imported by doors and src/schema.ts';
  if (a.room === b.room || mayImport(a.room, b.room, typeOnly)) return null;
  const { may = [], mayType = [] } = ROOMS[a.room] ?? {};
  const types = mayType.length > 0 ? `, and with \`import type\` from ${mayType.join(', ')}` : '';
  return `${a.room} may import from ${may.length > 0 ? may.join(', ') : 'no room'}${types}`;
}

function wallBeforeGenerated(from: string, to: string, typeOnly: boolean): string | null {
  const isClient = /^src\/generated\/prisma\/(client|internal\/class)\.ts$/.test(to);
  if (!isClient || typeOnly || within(from, DATABASE_CLIENT)) return null;
  return `only ${DATABASE_CLIENT.join(', ')} may import the database client's values (its types are everyone's)`;
}

function wallBehindDoor(room: string, to: Place, typeOnly: boolean): string | null {
  if (to.room === room || (to.room === 'graphql' && to.kind === 'room')) return null;
  if (to.kind === 'door' && below(room).has(to.room)) return null;
  // What it tells its callers is made of what its room is made of; but it makes nothing happen in the rooms of work.
  const behind = (ROOMS[room]?.may ?? []).filter((name) => name !== 'work');
  if (to.kind === 'room' && behind.includes(to.room)) return null;
  if (to.kind === 'room' && typeOnly && ROOMS[room]?.mayType?.includes(to.room)) return null;
  return `the door of ${room} imports graphql, ${[room, ...behind].join(', ')} and the doors of ${[...below(room)].join(', ')}`;
}

function mayImport(from: string, to: string, typeOnly: boolean): boolean {
  const room = ROOMS[from];
  return room !== undefined && (room.may.includes(to) || (typeOnly && (room.mayType ?? []).includes(to)));
}

/** Every room that this one may import, and theirs. */
function below(room: string): Set<string> {
  const found = new Set<string>(ROOMS[room]?.may);
  for (const next of found) for (const further of ROOMS[next]?.may ?? []) found.add(further);
  return found;
}

/** No file waits for itself to load. Types may meet in a circle, but not across a wall. */
function breachesByCycle(sources: readonly Source[]): Breach[] {
  const edges = (keep: (item: Import) => boolean): Edges =>
    new Map(
      sources.map((source) => {
        const ours = source.imports.filter((item) => keep(item) && item.specifier?.startsWith('.'));
        return [source.path, ours.map((item) => target(source, item))];
      }),
    );
  const acrossRooms: Step = (from, to) => placeOf(from).room !== placeOf(to).room;
  const describe = (graph: Edges, through: Step, what: string): Breach[] =>
    cycles(graph).flatMap((group) => {
      const way = wayRound(group, graph, through);
      return way ? [{ rule: 'cycle', text: `${way.join(' → ')}: ${what}` }] : [];
    });
  return [
    ...describe(
      edges((item) => !item.typeOnly),
      () => true,
      'these files load each other',
    ),
    ...describe(
      edges(() => true),
      acrossRooms,
      'these files of several rooms know each other',
    ),
  ];
}

function target(source: Source, item: Import): string {
  return posix.join(posix.dirname(source.path), item.specifier ?? '');
}

function placeOf(path: string): Place {
  const [src, first = '', second] = path.split('/');
  if (src !== 'src') return { kind: 'outside', room: '' };
  if (within(path, COMPOSITION_ROOT)) return { kind: 'root', room: '' };
  if (path === 'src/schema.ts') return { kind: 'schema', room: 'schema' };
  if (first === 'generated' || first === 'setup') return { kind: first, room: first };
  if (second === 'schema.ts' || second === 'schema') return { kind: 'door', room: first };
  return { kind: 'room', room: first.replace(/\.tsx?$/, '') };
}

/** `@scope/name` or `name` of a specifier; Node's own modules with their prefix. */
function packageOf(specifier: string): string {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  return name === 'child_process' || name === 'worker_threads' ? `node:${name}` : name;
}

function within(path: string, beginnings: readonly string[]): boolean {
  return beginnings.some((beginning) => path.startsWith(beginning));
}
