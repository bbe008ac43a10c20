import type { RawAnswer } from '../skein.ts';
import type { Ground } from './wrong-inputs.ts';

interface Place extends Ground {
  url: string;
}
/** A sentence, the code of a GraphQL error, and how to come by it. */
export type WrongRequest = [sentence: string, code: string, send: (place: Place) => Promise<RawAnswer>];

async function post({ url, mine }: Place, body: BodyInit, headers: Record<string, string> = {}): Promise<RawAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${mine.key}`, ...headers },
    body,
  });
  return { status: response.status, ...((await response.json()) as object) };
}

const body = (text: string, headers?: Record<string, string>) => (place: Place) => post(place, text, headers);
const ask =
  (query: string, variables: (place: Place) => object = () => ({}), more: object = {}) =>
  (place: Place) =>
    post(place, JSON.stringify({ query, variables: variables(place), ...more }));
const threads = (args: string) => ask(`{ threads(${args}) { nodes { id } } }`);
const cursorOf = (text: string) => Buffer.from(text).toString('base64url');
const create = (input: string) => ask(`mutation { createThread(input: ${input}) { thread { id } } }`);
const createWith = (input: unknown) =>
  ask('mutation ($input: CreateThreadInput!) { createThread(input: $input) { thread { id } } }', () => ({ input }));
const nested = (depth: number) =>
  `{ threads { nodes ${'{ runs(first: 1) { nodes { thread '.repeat(depth)}{ id }${' } } }'.repeat(depth)} } }`;

const PAGES: WrongRequest[] = [
  ['a page of 101', 'INVALID_INPUT', threads('first: 101')],
  ['a page of -1', 'INVALID_INPUT', threads('first: -1')],
  ['a last page of 101', 'INVALID_INPUT', threads('last: 101')],
  ['first and last together', 'INVALID_INPUT', threads('first: 1, last: 1')],
  ['after and before together', 'INVALID_INPUT', threads('after: "a", before: "b"')],
  ['last with after', 'INVALID_INPUT', threads('last: 1, after: "a"')],
  ['a cursor that is none', 'UNKNOWN_CURSOR', threads('after: "nonsense"')],
  ['an empty cursor', 'UNKNOWN_CURSOR', threads('after: ""')],
  [
    'a cursor of another list',
    'UNKNOWN_CURSOR',
    ({ mine, ...place }) => threads(`after: "${cursorOf(`runs:${mine.runId}`)}"`)({ mine, ...place }),
  ],
  ['a made-up cursor with SQL in it', 'UNKNOWN_CURSOR', threads(`after: "${cursorOf("threads:' or true --")}"`)],
  [
    'a nested page of 101',
    'INVALID_INPUT',
    ask('query ($id: ID!) { thread(id: $id) { messages(first: 101) { nodes { id } } } }', ({ mine }) => ({
      id: mine.threadId,
    })),
  ],
  [
    '101 ids at once',
    'INVALID_INPUT',
    ask('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', ({ mine }) => ({
      ids: Array.from({ length: 101 }, () => mine.runId),
    })),
  ],
  ['a search text of 257 characters', 'INVALID_INPUT', threads(`filter: { search: "${'x'.repeat(257)}" }`)],
  [
    'an assistant search of 257 characters',
    'INVALID_INPUT',
    ask(`{ assistants(search: "${'x'.repeat(257)}") { nodes { id } } }`),
  ],
  ['an assistant search with a NUL', 'INVALID_INPUT', ask('{ assistants(search: "a\\u0000") { nodes { id } } }')],
  ['a metadata filter that is a list', 'INVALID_INPUT', threads('filter: { metadata: ["a"] }')],
];

/** An id that names nothing is answered with null or an empty list; one that cannot be an id at all is refused in filters. */
const IDS: WrongRequest[] = [
  [
    'a filter by an id with a NUL',
    'INVALID_INPUT',
    ask('{ runs(filter: { threadId: "thread_\\u0000" }) { nodes { id } } }'),
  ],
  [
    'a filter by an id of 101 characters',
    'INVALID_INPUT',
    ask(`{ runs(filter: { assistantId: "${'x'.repeat(101)}" }) { nodes { id } } }`),
  ],
];

/** A subscription as SSE: its first answer. */
const follow =
  (field: string) =>
  async ({ url, ...ground }: Place): Promise<RawAnswer> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        authorization: `Bearer ${ground.mine.key}`,
      },
      body: JSON.stringify({ query: `subscription { ${field} { cursor } }` }),
    });
    const text = await response.text();
    const [, first] = /^data: ?(\{.*)$/m.exec(text) ?? [];
    return { status: response.status, ...(JSON.parse(first ?? text) as object) };
  };
const ofMine = (field: (ground: Ground) => string) => (place: Place) => follow(field(place))(place);

const SUBSCRIPTIONS: WrongRequest[] = [
  ['the events of a run that is not there', 'NOT_FOUND', follow('runEvents(runId: "run_00000000000000000000000000")')],
  [
    'the events of a thread with a NUL in its id',
    'NOT_FOUND',
    follow('threadEvents(threadId: "thread_\\u0000", after: "x.1")'),
  ],
  ['the events of a foreign run', 'NOT_FOUND', ofMine(({ foreign }) => `runEvents(runId: "${foreign.runId}")`)],
  [
    'the events behind a cursor that is none',
    'UNKNOWN_CURSOR',
    ofMine(({ mine }) => `runEvents(runId: "${mine.runId}", after: "nonsense")`),
  ],
  [
    'the events behind an empty cursor',
    'UNKNOWN_CURSOR',
    ofMine(({ mine }) => `threadEvents(threadId: "${mine.threadId}", after: "")`),
  ],
  [
    'the events behind the end of the log',
    'UNKNOWN_CURSOR',
    ofMine(({ mine }) => `threadEvents(threadId: "${mine.threadId}", after: "${mine.threadId.slice(7)}.4000")`),
  ],
  [
    'the events behind a cursor of another thread',
    'UNKNOWN_CURSOR',
    ofMine(
      ({ mine }) => `threadEvents(threadId: "${mine.threadId}", after: "${mine.waiting[0]!.threadId.slice(7)}.1")`,
    ),
  ],
];

const DOCUMENTS: WrongRequest[] = [
  ['a document that does not parse', 'GRAPHQL_PARSE_FAILED', ask('{ threads {')],
  ['an empty document', 'GRAPHQL_PARSE_FAILED', ask(' ')],
  ['a field that is not there', 'GRAPHQL_VALIDATION_FAILED', ask('{ secrets { id } }')],
  ['an argument that is not there', 'GRAPHQL_VALIDATION_FAILED', threads('page: 2')],
  ['an enum value that is not there', 'GRAPHQL_VALIDATION_FAILED', threads('order: SIDEWAYS')],
  ['an input field that is not there', 'GRAPHQL_VALIDATION_FAILED', create('{ name: "x" }')],
  ['a title that is a number', 'GRAPHQL_VALIDATION_FAILED', create('{ title: 5 }')],
  [
    'a part with two of its fields',
    'GRAPHQL_VALIDATION_FAILED',
    create('{ messages: [{ content: [{ text: "x", imageUrl: { url: "https://a.b/c.png" } }] }] }'),
  ],
  ['a part with none of its fields', 'GRAPHQL_VALIDATION_FAILED', create('{ messages: [{ content: [{}] }] }')],
  [
    'a part with null in its one field',
    'GRAPHQL_VALIDATION_FAILED',
    create('{ messages: [{ content: [{ text: null }] }] }'),
  ],
  ['more than 10 000 tokens', 'GRAPHQL_PARSE_FAILED', ask(`{ threads { nodes { ${'id '.repeat(10_000)} } } }`)],
  ['a query that is too deep', 'OVER_COST', ask(nested(12))],
  [
    'a query that is too dear',
    'OVER_COST',
    ask(
      '{ threads(first: 100) { nodes { runs(first: 100) { nodes { steps(first: 100) { nodes { run { steps(first: 100) { nodes { id } } } } } } } } } }',
    ),
  ],
  [
    'a query that is too broad',
    'OVER_COST',
    ask(`{ ${Array.from({ length: 1500 }, (_, i) => `a${i}: viewer { version }`).join(' ')} }`),
  ],
  [
    'an operation that the document has not',
    'OPERATION_RESOLUTION_FAILURE',
    ask('query A { viewer { version } }', () => ({}), { operationName: 'B' }),
  ],
  [
    'two operations and no name',
    'OPERATION_RESOLUTION_FAILURE',
    ask('query A { viewer { version } } query B { viewer { version } }'),
  ],
];

const VARIABLES: WrongRequest[] = [
  ['a missing variable', 'BAD_USER_INPUT', ask('query ($id: ID!) { thread(id: $id) { id } }')],
  ['a variable of the wrong type', 'BAD_USER_INPUT', createWith({ title: 5 })],
  ['an unknown field in a variable', 'BAD_USER_INPUT', createWith({ name: 'x' })],
  [
    'a wrong enum value in a variable',
    'BAD_USER_INPUT',
    createWith({ messages: [{ role: 'SYSTEM', content: [{ text: 'x' }] }] }),
  ],
  [
    'two fields of a one-of in a variable',
    'BAD_USER_INPUT',
    createWith({ messages: [{ content: [{ text: 'x', imageFile: { fileId: 'file_x' } }] }] }),
  ],
  ['no field of a one-of in a variable', 'BAD_USER_INPUT', createWith({ messages: [{ content: [{}] }] })],
  ['a list where an object belongs', 'BAD_USER_INPUT', createWith([])],
  [
    'a fraction where a whole number belongs',
    'BAD_USER_INPUT',
    ask('query ($n: Int) { threads(first: $n) { nodes { id } } }', () => ({ n: 1.5 })),
  ],
  [
    'a whole number beyond 32 bits',
    'BAD_USER_INPUT',
    ask('query ($n: Int) { threads(first: $n) { nodes { id } } }', () => ({ n: 2 ** 31 })),
  ],
];

const HTTP: WrongRequest[] = [
  [
    'a body of 10 MB',
    'PAYLOAD_TOO_LARGE',
    body(JSON.stringify({ query: '{ viewer { version } }', variables: { x: 'x'.repeat(10_000_000) } })),
  ],
  ['a body that is not JSON', 'BAD_REQUEST', body('{"query": ')],
  ['a body that is a list', 'BAD_REQUEST', body('[{"query":"{ viewer { version } }"}]')],
  ['a body without a query', 'BAD_REQUEST', body('{}')],
  ['a query that is a number', 'BAD_REQUEST', body('{"query": 5}')],
  ['variables that are a text', 'BAD_REQUEST', body('{"query": "{ viewer { version } }", "variables": "x"}')],
  ['a body of an unknown kind', 'BAD_REQUEST', body('<query/>', { 'content-type': 'text/xml' })],
  ['a request without a key', 'UNAUTHENTICATED', body('{"query":"{ viewer { version } }"}', { authorization: '' })],
  [
    'a request with an unknown key',
    'UNAUTHENTICATED',
    body('{"query":"{ viewer { version } }"}', { authorization: 'Bearer sk-skein-nonsense' }),
  ],
  [
    'a project made without the scope for it',
    'FORBIDDEN',
    ask('mutation { createProject(input: { name: "x" }) { created { secret: project { id } } } }'),
  ],
  [
    'a key made without the scope for it',
    'FORBIDDEN',
    ask('mutation { createApiKey(input: { name: "x" }) { created { secret } } }'),
  ],
  [
    'a mutation by GET',
    'BAD_REQUEST',
    async ({ url, mine }) => {
      const response = await fetch(
        `${url}?query=${encodeURIComponent('mutation { createThread(input: {}) { thread { id } } }')}`,
        {
          headers: { authorization: `Bearer ${mine.key}`, accept: 'application/json' },
        },
      );
      return { status: response.status, ...((await response.json()) as object) };
    },
  ],
];

export const WRONG_REQUESTS: WrongRequest[] = [...PAGES, ...IDS, ...SUBSCRIPTIONS, ...DOCUMENTS, ...VARIABLES, ...HTTP];
