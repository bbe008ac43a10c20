export interface Room {
  /** Rooms whose files it may import; `errors` and `ids` go without saying. */
  may: readonly string[];
  /** Rooms it may know the types of. */
  mayType?: readonly string[];
}

/** ARCHITECTURE.md gives the reasons. A new noun is a line here; what a line lacks is a wall. */
export const ROOMS: Readonly<Record<string, Room>> = {
  config: { may: [] },
  errors: { may: [] },
  ids: { may: [] },
  cork: { may: [] },
  db: { may: [] },
  llm: { may: [] },
  sandbox: { may: [] },
  events: { may: ['db'], mayType: ['work'] },
  work: { may: ['db'] },
  auth: { may: ['db'] },
  assistants: { may: ['db', 'files', 'vector-stores'] },
  files: { may: ['db'] },
  usage: { may: ['db'] },
  'vector-stores': { may: ['db', 'work', 'files', 'llm'] },
  threads: { may: ['db', 'events', 'files', 'vector-stores', 'assistants'] },
  tools: { may: ['sandbox', 'files', 'vector-stores'] },
  runs: { may: ['db', 'events', 'work', 'threads', 'assistants', 'usage'], mayType: ['tools'] },
  engine: { may: ['runs', 'events', 'work', 'threads', 'assistants', 'llm', 'tools', 'usage'], mayType: ['db'] },
  graphql: { may: ['db', 'auth'], mayType: ['events'] },
  server: { may: ['schema', 'graphql', 'auth', 'files'], mayType: ['events'] },
  client: { may: [] },
  playground: { may: [] },
};

/** Import anything; nobody but each other imports them. */
export const COMPOSITION_ROOT: readonly string[] = ['src/main.ts', 'src/skein.ts', 'src/wiring/'];

export interface Owner {
  what: RegExp;
  /** Beginnings of paths. */
  only: readonly string[];
  /** Everyone may import its types. */
  typesAnywhere?: boolean;
  /** Doors are where a room knows GraphQL. */
  doorsToo?: boolean;
}

/** Packages and modules with one owner. Names as npm knows them, Node's own with `node:`. */
export const OWNERS: readonly Owner[] = [
  { what: /^openai$/, only: ['src/llm/openai.ts', 'src/llm/openai-fetch.ts'] },
  { what: /^ws$/, only: ['src/server/'] },
  { what: /^graphql-yoga$/, only: ['src/server/'] },
  // The playground is built on the client as it is published, and on nothing else of ours.
  { what: /^skein$/, only: ['src/playground/'] },
  { what: /^(react|urql|wonka|@urql\/.+)$/, only: ['src/client/react/', 'src/playground/'] },
  { what: /^(react-dom|@base-ui\/react|lucide-react|virtua|marked|react-markdown)$/, only: ['src/playground/'] },
  { what: /^graphql-ws$/, only: ['src/server/', 'src/client/'] },
  { what: /^node:(child_process|worker_threads)$/, only: ['src/db/embedded', 'src/setup/', 'src/sandbox/', 'src/vector-stores/extract'] },
  { what: /^@electric-sql\//, only: ['src/db/', 'src/setup/'] },
  { what: /^pg$/, only: ['src/db/', 'src/setup/'] },
  { what: /^@aws-sdk\/client-s3$/, only: ['src/files/s3-storage.ts'] },
  { what: /^ioredis$/, only: ['src/work/redis-wake.ts'] },
  { what: /^@prisma\//, only: ['src/db/', 'src/setup/'] },
  { what: /^@pothos\//, only: ['src/graphql/'], doorsToo: true },
  {
    what: /^graphql$/,
    only: ['src/graphql/', 'src/server/', 'src/client/', 'src/schema.ts', 'src/setup/'],
    doorsToo: true,
  },
  { what: /^pino$/, only: ['src/main.ts', 'src/skein.ts', 'src/config.ts'], typesAnywhere: true },
];

/** Who may read the environment. */
export const ENVIRONMENT: readonly string[] = ['src/config.ts', 'src/setup/'];

/** Who may construct the database client; its types and the enums are everyone's. */
export const DATABASE_CLIENT: readonly string[] = ['src/db/', 'src/setup/'];

export const MOST_LINES = 400;
