import { z } from 'zod';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { builder } from '../graphql/builder.ts';
import type { Context } from '../graphql/context.ts';
import { mutation } from '../graphql/mutation.ts';
import { findNode } from '../graphql/node.ts';
import { number, optional, text } from '../graphql/validation.ts';
import { nounOf } from '../ids.ts';
import { TOKEN_SCOPES, type TokenScope } from './client-tokens.ts';
import { type Keys, SCOPES, type Scope } from './keys.ts';

declare module '../graphql/context.ts' {
  interface Rooms {
    keys: Keys;
    server: ServerFacts;
  }
}

/** What a server says of itself; put together where it is wired. */
export interface ServerFacts {
  version: string;
  modelServer: Component;
  database: Component;
  wakeUps: Component;
  storage: Component;
  sandbox: Component;
  embeddings: Component;
  search: Component;
  limits: Limits;
}

interface Component {
  driver: string;
  detail: string;
}

interface Limits {
  requestBytes: number;
  fileBytes: number;
  projectFileBytes: number;
  connectionsPerKey: number;
  subscriptionsPerConnection: number;
  pageSize: number;
  runExpiresAfterSeconds: number;
  runMaxTurns: number;
  modelContextTokens: number;
}

const SCOPE_MEANS: Record<Scope, string> = {
  PROJECT: "Everything within the key's own project.",
  ADMIN: 'Making projects, and making and revoking keys of any project.',
};

const ApiKeyScope = builder.enumType('ApiKeyScope', {
  description: 'What a key may do.',
  values: Object.fromEntries(SCOPES.map((scope) => [scope, { description: SCOPE_MEANS[scope] }])) as Record<
    Scope,
    { description: string }
  >,
});

const Project = builder.prismaObject('Project', {
  description: 'Everything a key can reach belongs to its project.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Id, `proj_…`.' }),
    name: t.exposeString('name', { description: 'For people, up to 256 characters.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
  }),
});

const ApiKey = builder.prismaObject('ApiKey', {
  description: 'A key of a project. The secret itself is shown once, by the mutation that makes it, and is not stored.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Id, `key_…`.' }),
    name: t.exposeString('name', { description: 'For people, up to 256 characters.' }),
    hint: t.exposeString('hint', { description: 'Last four characters of the secret.' }),
    scopes: t.field({
      type: [ApiKeyScope],
      description: 'What it may do.',
      resolve: ({ scopes }) => scopes as Scope[],
    }),
    project: t.relation('project', { description: 'Its project.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked; null = it is good.',
    }),
  }),
});

const ServerComponent = builder.objectRef<Component>('ServerComponent').implement({
  description: 'One of the things that a server can be set up with, and which one is in use.',
  fields: (t) => ({
    driver: t.exposeString('driver', { description: 'The one in use; `none` = what it would do is not available.' }),
    detail: t.exposeString('detail', { description: 'Why this one, what it means, and where it is.' }),
  }),
});

const ServerLimits = builder.objectRef<Limits>('ServerLimits').implement({
  description: 'Limits that this server is set up with.',
  fields: (t) => ({
    requestBytes: t.field({
      type: 'BigInt',
      description: 'Bytes of one request.',
      resolve: ({ requestBytes }) => requestBytes,
    }),
    fileBytes: t.field({
      type: 'BigInt',
      description: 'Bytes of one file.',
      resolve: ({ fileBytes }) => fileBytes,
    }),
    projectFileBytes: t.field({
      type: 'BigInt',
      description: 'Bytes of all files of a project.',
      resolve: ({ projectFileBytes }) => projectFileBytes,
    }),
    connectionsPerKey: t.exposeInt('connectionsPerKey', {
      description:
        'WebSockets and event streams (SSE) that one key may have open at each process. One more is closed with 4429, or refused with HTTP 429.',
    }),
    subscriptionsPerConnection: t.exposeInt('subscriptionsPerConnection', {
      description:
        'Subscriptions that one WebSocket may have open. One more is refused with LIMIT_EXCEEDED; the others go on.',
    }),
    pageSize: t.exposeInt('pageSize', { description: 'Objects on one page of a connection.' }),
    runExpiresAfterSeconds: t.exposeInt('runExpiresAfterSeconds', {
      description: 'Seconds that a run may take, waiting included.',
    }),
    runMaxTurns: t.exposeInt('runMaxTurns', { description: 'Model calls that a run may make.' }),
    modelContextTokens: t.exposeInt('modelContextTokens', {
      description: 'Tokens of prompt that are taken to fit the models.',
    }),
  }),
});

const Viewer = builder.objectRef<ServerFacts>('Viewer').implement({
  description: 'Who asks, and what the server that answers is made of.',
  fields: (t) => ({
    project: t.prismaField({
      type: Project,
      description: 'The project of the key that asks.',
      resolve: (query, _root, _args, { db, viewer }) =>
        db.prisma.project.findUniqueOrThrow({ ...query, where: { id: viewer.projectId } }),
    }),
    apiKey: t.prismaField({
      type: ApiKey,
      description: 'The key that asks.',
      resolve: (query, _root, _args, { db, viewer }) =>
        db.prisma.apiKey.findUniqueOrThrow({ ...query, where: { id: viewer.keyId } }),
    }),
    scopes: t.field({
      type: [ApiKeyScope],
      description: 'What the key may do.',
      resolve: (_root, _args, { viewer }) => [...viewer.scopes],
    }),
    version: t.exposeString('version', { description: 'Version of Skein.' }),
    modelServer: t.field({
      type: ServerComponent,
      description: 'What answers: `openai` (any compatible server) or the built-in `offline` model.',
      resolve: ({ modelServer }) => modelServer,
    }),
    database: t.field({
      type: ServerComponent,
      description: 'Where everything is kept: `embedded` or `postgresql`.',
      resolve: ({ database }) => database,
    }),
    wakeUps: t.field({
      type: ServerComponent,
      description:
        'What tells the processes of this server of each other: `local` (there is one), `notify` (PostgreSQL) or `redis`.',
      resolve: ({ wakeUps }) => wakeUps,
    }),
    storage: t.field({
      type: ServerComponent,
      description: 'Where the bytes of files are kept: `disk` or `s3`.',
      resolve: ({ storage }) => storage,
    }),
    sandbox: t.field({
      type: ServerComponent,
      description: 'Where the code interpreter runs.',
      resolve: ({ sandbox }) => sandbox,
    }),
    embeddings: t.field({
      type: ServerComponent,
      description: 'What makes vectors of texts.',
      resolve: ({ embeddings }) => embeddings,
    }),
    search: t.field({
      type: ServerComponent,
      description: 'How vectors are searched.',
      resolve: ({ search }) => search,
    }),
    limits: t.field({
      type: ServerLimits,
      description: 'Limits that it is set up with.',
      resolve: ({ limits }) => limits,
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    description: 'Who asks, and what the server that answers is made of.',
    resolve: (_root, _args, { rooms }) => rooms.server,
  }),
);

const secret = 'The secret of the key. Shown this once; only its hash is stored.';
const name = text('name', 256, 1);

interface MadeKey {
  keyId: string;
  secret: string;
}

const NewApiKey = builder.objectRef<MadeKey>('NewApiKey').implement({
  description: 'A key that was just made, with its secret.',
  fields: (t) => ({
    apiKey: t.prismaField({
      type: ApiKey,
      description: 'The key.',
      resolve: (query, { keyId }, _args, { db }) =>
        db.prisma.apiKey.findUniqueOrThrow({ ...query, where: { id: keyId } }),
    }),
    secret: t.exposeString('secret', { description: secret }),
  }),
});

const NewProject = builder.objectRef<MadeKey & { projectId: string }>('NewProject').implement({
  description: 'A project that was just made, with its first key.',
  fields: (t) => ({
    project: t.prismaField({
      type: Project,
      description: 'The project.',
      resolve: (query, { projectId }, _args, { db }) =>
        db.prisma.project.findUniqueOrThrow({ ...query, where: { id: projectId } }),
    }),
    firstKey: t.field({ type: NewApiKey, description: 'Its first key, with scope PROJECT.', resolve: (made) => made }),
  }),
});

mutation('createProject', {
  description: 'Makes a project with its first key. Needs the scope ADMIN.',
  authScopes: { admin: true },
  fields: (t) => ({ name: t.string({ required: true, description: 'For people, 1 to 256 characters.' }) }),
  validate: z.object({ name }),
  result: { name: 'created', type: NewProject, description: 'The new project and its first key.' },
  resolve: (input, { rooms }) => rooms.keys.createProject(input.name),
});

mutation('createApiKey', {
  description: 'Makes a key. Needs the scope ADMIN.',
  authScopes: { admin: true },
  fields: (t) => ({
    name: t.string({ required: true, description: 'For people, 1 to 256 characters.' }),
    projectId: t.id({ description: 'Its project; the project of the key that asks when left out.' }),
    scopes: t.field({ type: [ApiKeyScope], description: 'What it may do. Default: PROJECT.' }),
  }),
  validate: z.object({
    name,
    projectId: optional(text('id', 100)),
    scopes: z
      .array(z.enum(SCOPES))
      .min(1, 'A key has at least one scope.')
      .nullish()
      .transform((scopes): Scope[] => scopes ?? ['PROJECT']),
  }),
  result: { name: 'created', type: NewApiKey, description: 'The new key.' },
  resolve: (input, { rooms, viewer }) =>
    rooms.keys.createApiKey(input.projectId ?? viewer.projectId, input.name, [...new Set(input.scopes)]),
});

mutation('revokeApiKey', {
  description:
    'Revokes a key: it is refused from now on, with the client tokens that it has made, and their sockets are closed ' +
    'with 4403. Needs the scope ADMIN.',
  authScopes: { admin: true },
  fields: (t) => ({ apiKeyId: t.id({ required: true, description: 'Id of the key.' }) }),
  validate: z.object({ apiKeyId: text('id', 100) }),
  result: { name: 'apiKey', type: ApiKey as never, description: 'The key, revoked.' },
  async resolve({ apiKeyId }, { rooms, db }) {
    await rooms.keys.revoke(apiKeyId);
    return db.prisma.apiKey.findUniqueOrThrow({ where: { id: apiKeyId } });
  },
});

const TOKEN_SCOPE_MEANS: Record<TokenScope, string> = {
  READ: 'Its threads, what hangs on them, and their events.',
  RUN: 'That, and starting runs in its threads, cancelling them and answering their function calls.',
};

const ClientTokenScope = builder.enumType('ClientTokenScope', {
  description: 'What a client token may do.',
  values: Object.fromEntries(
    TOKEN_SCOPES.map((scope) => [scope, { description: TOKEN_SCOPE_MEANS[scope] }]),
  ) as Record<TokenScope, { description: string }>,
});

/** Threads and assistants that one token may name: it is sent with every request. */
const TOKEN_THREADS = 100;
const TOKEN_ASSISTANTS = 20;

interface MadeToken {
  token: string;
  expiresAt: Date;
}

mutation('createClientToken', {
  description:
    'Makes a token for a page, which uses it in the place of a key: `Authorization: Bearer ct-skein-…`. It sees its ' +
    'threads and what hangs on them, files only where they are cited, nothing of how assistants are set up, and is ' +
    'FORBIDDEN everything else. It ends by itself (TOKEN_EXPIRED, sockets are closed with 4419), and with the key that ' +
    'made it. Nothing is stored: it cannot be taken back by itself.',
  fields: (t) => ({
    threadIds: t.idList({ required: true, description: `Ids of its threads, 1 to ${TOKEN_THREADS}.` }),
    scopes: t.field({ type: [ClientTokenScope], required: true, description: 'What it may do: at least one.' }),
    expiresInSeconds: t.int({
      required: true,
      defaultValue: 3600,
      description: 'Seconds that it is good for, 60 to 86400.',
    }),
    assistantIds: t.idList({
      description: `Ids of the assistants that may answer, 1 to ${TOKEN_ASSISTANTS}, with RUN only. Left out: any of the project.`,
    }),
  }),
  validate: z.object({
    threadIds: z
      .array(text('id', 100))
      .min(1, 'A client token is for at least one thread.')
      .max(TOKEN_THREADS, `A client token is for at most ${TOKEN_THREADS} threads.`),
    scopes: z.array(z.enum(TOKEN_SCOPES)).min(1, 'A client token has at least one scope.'),
    expiresInSeconds: number('number of seconds', 60, 86_400),
    assistantIds: optional(
      z
        .array(text('id', 100))
        .min(1, 'Name at least one assistant, or leave them out.')
        .max(TOKEN_ASSISTANTS, `At most ${TOKEN_ASSISTANTS} assistants.`),
    ),
  }),
  result: {
    name: 'made',
    fields: {
      token: {
        type: 'String',
        description: 'The token: whoever has it may use it.',
        resolve: ({ token }: MadeToken) => token,
      },
      expiresAt: {
        type: 'DateTime',
        description: 'When it ends. Fetch another one before.',
        resolve: ({ expiresAt }: MadeToken) => expiresAt,
      },
    },
  },
  async resolve({ threadIds, scopes, expiresInSeconds, assistantIds }, context): Promise<MadeToken> {
    if (assistantIds && !scopes.includes('RUN'))
      throw new InvalidInputError('Assistants go with the scope RUN: without it none is asked.', ['input', 'assistantIds']);
    await checkNamed(context, 'Thread', threadIds, 'threadIds');
    await checkNamed(context, 'Assistant', assistantIds ?? [], 'assistantIds');
    const { keys } = context.rooms;
    const expiresAt = new Date(Math.floor(Date.now() / 1000 + expiresInSeconds) * 1000);
    const token = keys.createClientToken(context.viewer.keyId, {
      threadIds: [...new Set(threadIds)],
      scopes: [...new Set(scopes)],
      assistantIds: assistantIds && [...new Set(assistantIds)],
      expiresAt,
    });
    return { token, expiresAt };
  },
});

async function checkNamed(context: Context, noun: 'Thread' | 'Assistant', ids: string[], field: string): Promise<void> {
  const found = await Promise.all(ids.map((id) => (nounOf(id) === noun ? findNode(id, context) : null)));
  const missing = found.indexOf(null);
  if (missing >= 0) throw new NotFoundError(noun.toLowerCase(), ids[missing]!, ['input', field, missing]);
}
