import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Conversation, conversationOf, emptyConversation, fold } from '../../src/client/fold.ts';
import {
  CreateMessageDocument,
  CreateThreadDocument,
  FollowRunDocument,
  RunDetailsDocument,
  SearchVectorStoreDocument,
} from '../../src/generated/graphql/graphql.ts';
import { bodies, calls, openStage, type RunDetails, says, type Stage } from '../engine/stage.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { createShelf, type Shelf } from '../vector-stores/shelf.ts';

const FILE_SEARCH = { fileSearch: {} };
const search = (query: string, id = 'a') => ({ id, name: 'file_search', arguments: JSON.stringify({ query }) });

const LLAMAS = `# Llamas

Llamas hum when they are content. 🦙 They carry up to thirty kilograms.

## Care

Shear them once a year, in spring, before it gets hot. Their toenails grow and are to be cut.
`;
const GOATS = '# Goats\n\nGoats climb argan trees in Morocco and eat the fruit.\n';

let stage: Stage;
let shelf: Shelf;
let rows: Rows;
beforeAll(async () => {
  stage = await openStage();
  shelf = createShelf(stage.app);
  rows = await openRows(stage.app);
});
afterAll(async () => {
  await rows?.close();
  await stage?.close();
});
beforeEach(() => {
  stage.model.requests.length = 0;
});
afterEach(() => {
  stage.scenes.length = 0;
});

type Call = Extract<
  Extract<RunDetails['steps']['nodes'][number]['details'], { __typename: 'ToolCallsDetails' }>['toolCalls'][number],
  { __typename: 'FileSearchToolCall' }
>;
const callsOf = (run: RunDetails): Call[] =>
  run.steps.nodes.flatMap(({ details }) =>
    details.__typename === 'ToolCallsDetails' ? (details.toolCalls as Call[]) : [],
  );

/** That each of them is right is looked at for all runs of a server, when it closes. */
const citationsOf = (run: RunDetails) =>
  run.messages.nodes.flatMap(({ content }) =>
    content.flatMap((part) =>
      part.__typename === 'TextContent'
        ? part.annotations.flatMap((each) => (each.__typename === 'FileCitation' ? [each] : []))
        : [],
    ),
  );

async function assistantWith(vectorStoreId: string, more = {}): Promise<string> {
  return stage.createAssistant({
    tools: [FILE_SEARCH],
    toolResources: { fileSearch: { vectorStoreIds: [vectorStoreId] } },
    ...more,
  });
}

describe('a run', () => {
  test('searches, tells the model with markers, and cites in the delta that carries the text', async () => {
    const storeId = await shelf.storeOf({ 'llamas.md': LLAMAS, 'goats.md': GOATS });
    const assistantId = await assistantWith(storeId);
    const answer = ['Shear them in spring', '【0:', '0†llam', 'as.md】', ' and cut their nails.【0:0†llamas.md】 Bye.'];
    stage.scenes.push(calls([search('When to shear llamas?')]), says(answer));
    const { runId, cursor } = await stage.start({ assistantId });
    let state: Conversation = { ...emptyConversation(), cursor };
    let cited = 0;
    for await (const { runEvents } of stage.app.follow(FollowRunDocument, { runId, after: cursor })) {
      state = fold(state, runEvents);
      if (runEvents.__typename !== 'MessageDelta') continue;
      for (const part of runEvents.content) {
        if (part.__typename !== 'TextDelta') continue;
        for (const { startIndex, endIndex, text } of part.annotations) {
          cited += 1;
          expect(part.value.slice(startIndex - part.offset, endIndex - part.offset)).toBe(text);
        }
      }
    }
    expect(cited).toBe(2);
    const run = await stage.details(runId);
    const stored = conversationOf(await stage.app.query(RunDetailsDocument, { id: runId }))!;
    expect(state.messages.map(({ content }) => content)).toEqual(stored.messages.map(({ content }) => content));
    expect(state.runs[0]!.steps).toEqual(stored.runs[0]!.steps);

    const [call] = callsOf(run);
    expect(call).toMatchObject({ status: 'COMPLETED', queries: ['When to shear llamas?'] });
    const { data } = await stage.app.raw(
      `{ run(id: "${runId}") { steps { nodes { details { ... on ToolCallsDetails { toolCalls { ... on FileSearchToolCall {
  rankingOptions { scoreThreshold } results { file { filename } text score location { startIndex endIndex startLine } attributes } } } } } } } } }`,
    );
    const [{ details }] = (data!.run as any).steps.nodes;
    expect(details.toolCalls[0]).toMatchObject({
      rankingOptions: { scoreThreshold: 0 },
      results: [
        { file: { filename: 'llamas.md' }, score: 1, location: { startLine: expect.any(Number) }, attributes: {} },
        ...call!.results.slice(1).map(() => ({ location: { startLine: expect.any(Number) } })),
      ],
    });
    const [, second] = bodies(stage.model);
    expect(second!.messages.at(-1)).toMatchObject({ role: 'tool', tool_call_id: 'a' });
    const told = second!.messages.at(-1).content as string;
    expect(told).toMatch(/^【0:0†llamas\.md】 \(lines? \d.*Llamas.*\)\n/);
    expect(told).toContain(call!.results[0]!.text);
    const [spring, nails] = citationsOf(run);
    expect(spring!.quote).toContain('Shear them once a year, in spring');
    expect(spring!.location).toMatchObject({ startLine: 7, endLine: 7 });
    expect(nails!.quote).toContain('toenails');
    expect(run.messages.nodes[0]!.text).toBe(answer.join(''));
  });

  test('asks the files of its assistant and of its thread as one, and counts its searches through all turns', async () => {
    const [ours, theirs] = [await shelf.storeOf({ 'llamas.md': LLAMAS }), await shelf.storeOf({ 'goats.md': GOATS })];
    const assistantId = await assistantWith(ours);
    const { createThread } = await stage.app.query(CreateThreadDocument, {
      input: { messages: [{ content: [{ text: 'x' }] }], toolResources: { fileSearch: { vectorStoreIds: [theirs] } } },
    });
    const { id: threadId } = createThread.thread!;
    stage.scenes.push(
      calls([search('llamas hum', 'a'), search('goats climb trees', 'b')]),
      calls([search('argan fruit', 'c')]),
      says('Hum【0:0†l】 climb【1:0†g】 fruit【2:0†g】 none【3:0†g】.'),
    );
    const run = await stage.perform({ assistantId, threadId });
    expect(callsOf(run).map(({ results }) => results[0]!.filename)).toEqual(['llamas.md', 'goats.md', 'goats.md']);
    const tools = bodies(stage.model).at(-1)!.messages.filter(({ role }: { role: string }) => role === 'tool');
    expect(tools.map(({ content }: { content: string }) => /^【(\d:\d)/.exec(content)![1])).toEqual(['0:0', '1:0', '2:0']);
    const cited = citationsOf(run);
    expect(cited.map(({ text }) => text)).toEqual(['【0:0†l】', '【1:0†g】', '【2:0†g】']);

    // Markers of this run would name other results in the next one.
    stage.scenes.push(says('ok'));
    await stage.perform({ assistantId, threadId });
    const history = JSON.stringify(bodies(stage.model).at(-1)!.messages);
    expect(history).toContain('Hum climb fruit none【3:0†g】.');
  });

  test('takes the settings of its tool, and several queries in one call', async () => {
    const storeId = await shelf.storeOf({ 'llamas.md': LLAMAS, 'goats.md': GOATS });
    const fileSearch = { maxNumResults: 1, rankingOptions: { scoreThreshold: 0.9 } };
    const assistantId = await assistantWith(storeId, { tools: [{ fileSearch }] });
    const both = { name: 'file_search', arguments: JSON.stringify({ queries: ['goats', 'llamas', 'goats'] }) };
    stage.scenes.push(calls([both]), says('ok'));
    const [call] = callsOf(await stage.perform({ assistantId }));
    expect(call).toMatchObject({ queries: ['goats', 'llamas'] });
    expect(call!.results).toHaveLength(1);
  });

  test.each([
    ['no JSON', '{"query": ', /no JSON/],
    ['no query', '{}', /no query/],
    ['an empty query', '{"query": " "}', /no query/],
    ['a query that is a number', '{"query": 7}', /no query/],
    ['null', 'null', /no query/],
  ])('tells a model that calls with %s what to do, and goes on', async (_, written, words) => {
    const assistantId = await assistantWith(await shelf.storeOf({ 'goats.md': GOATS }));
    stage.scenes.push(calls([{ name: 'file_search', arguments: written }]), says('ok【0:0†x】'));
    const run = await stage.perform({ assistantId });
    expect(run.status).toBe('COMPLETED');
    expect(callsOf(run)).toMatchObject([{ status: 'FAILED', results: [] }]);
    expect(bodies(stage.model).at(-1)!.messages.at(-1).content).toMatch(words);
    expect(citationsOf(run)).toEqual([]);
  });

  test('without files, and with files that have expired, says so to the model', async () => {
    const nothing = await stage.createAssistant({ tools: [FILE_SEARCH] });
    stage.scenes.push(calls([search('x')]), says('ok'));
    expect(callsOf(await stage.perform({ assistantId: nothing }))).toMatchObject([{ status: 'FAILED' }]);
    expect(bodies(stage.model).at(-1)!.messages.at(-1).content).toMatch(/no files to search/);
    const storeId = await shelf.storeOf({ 'goats.md': GOATS }, { expiresAfterDays: 1 });
    await rows.query(`update vector_store set expires_at = now() - interval '1 minute' where id = $1`, [storeId]);
    stage.scenes.push(calls([search('x')]), says('ok'));
    await stage.perform({ assistantId: await assistantWith(storeId) });
    expect(bodies(stage.model).at(-1)!.messages.at(-1).content).toMatch(/expired/);
  });
});

describe('files that come with messages', () => {
  const attached = (fileId: string) => ({
    content: [{ text: 'See this.' }],
    attachments: [{ fileId, tools: ['FILE_SEARCH' as const] }],
  });
  const storeOfThread = async (threadId: string): Promise<string> => {
    const { data } = await stage.app.raw(
      '{ thread(id: "' + threadId + '") { toolResources { fileSearch { vectorStoreIds vectorStores { id expiresAfterDays } } } } }',
    );
    const { vectorStoreIds, vectorStores } = (data!.thread as any).toolResources.fileSearch;
    expect(vectorStores).toEqual([{ id: vectorStoreIds[0], expiresAfterDays: 7 }]);
    return vectorStoreIds[0];
  };

  test('go to the store of their thread, are waited for, and are found', async () => {
    const fileId = await shelf.upload('late.md', `# Late\n\n${'Much text. '.repeat(3000)}\n\nThe secret word is xylophone.\n`);
    const assistantId = await stage.createAssistant({ tools: [FILE_SEARCH] });
    stage.scenes.push(calls([search('secret word')]), says('It is xylophone.【0:0†late.md】'));
    const { runId, threadId } = await stage.start({ assistantId, thread: { messages: [attached(fileId)] } });
    await stage.follow(runId);
    const run = await stage.details(runId);
    const [call] = callsOf(run);
    expect(call!.status).toBe('COMPLETED');
    expect(call!.results.map(({ text }) => text).join()).toContain('xylophone');
    expect(citationsOf(run)[0]!.quote).toContain('xylophone');
    const storeId = await storeOfThread(threadId);
    const another = await shelf.upload('more.md', 'More words: zither.');
    const { createMessage } = await stage.app.query(CreateMessageDocument, {
      input: { threadId, ...attached(another) },
    });
    expect(createMessage.userErrors).toEqual([]);
    expect((await shelf.settled(storeId)).fileCounts).toMatchObject({ completed: 2, total: 2 });
    expect(await storeOfThread(threadId)).toBe(storeId);
    // The same file once more changes nothing.
    await stage.app.query(CreateMessageDocument, { input: { threadId, ...attached(another) } });
    expect((await shelf.state(storeId)).fileCounts).toMatchObject({ inProgress: 0, total: 2 });
  });

  test('go to a new store when that of their thread has expired', async () => {
    const fileId = await shelf.upload('a.md', 'Alpha words.');
    const { createThread } = await stage.app.query(CreateThreadDocument, { input: { messages: [attached(fileId)] } });
    const { id } = createThread.thread!;
    const first = await storeOfThread(id);
    await shelf.settled(first);
    await rows.query(`update vector_store set expires_at = now() - interval '1 minute' where id = $1`, [first]);
    await stage.app.query(CreateMessageDocument, { input: { threadId: id, ...attached(fileId) } });
    const second = await storeOfThread(id);
    expect(second).not.toBe(first);
    expect((await shelf.settled(second)).fileCounts.completed).toBe(1);
  });

  test('that run code alone make no store', async () => {
    const fileId = await shelf.upload('a.csv', 'a,b\n1,2\n');
    const message = { content: [{ text: 'x' }], attachments: [{ fileId, tools: ['CODE_INTERPRETER' as const] }] };
    const { createThread } = await stage.app.query(CreateThreadDocument, { input: { messages: [message] } });
    const { data } = await stage.app.raw(
      `{ thread(id: "${createThread.thread!.id}") { toolResources { fileSearch { vectorStoreIds } } } }`,
    );
    expect((data!.thread as any).toolResources.fileSearch).toBeNull();
  });
});

describe('a store that is made with what it is for', () => {
  test('is there with its assistant or thread, and not without', async () => {
    const fileId = await shelf.upload('goats.md', GOATS);
    const fileSearch = { vectorStores: [{ name: 'inline', fileIds: [fileId] }] };
    const assistantId = await stage.createAssistant({ tools: [FILE_SEARCH], toolResources: { fileSearch } });
    stage.scenes.push(calls([search('goats')]), says('They climb.【0:0†g】'));
    const { createThread } = await stage.app.query(CreateThreadDocument, {
      input: { toolResources: { fileSearch }, messages: [{ content: [{ text: 'x' }] }] },
    });
    const run = await stage.perform({ assistantId, threadId: createThread.thread!.id });
    expect(citationsOf(run)[0]!.quote).toContain('climb argan trees');
    const { data } = await stage.app.raw(
      `{ assistant(id: "${assistantId}") { toolResources { fileSearch { vectorStores { name expiresAfterDays } } } }
thread(id: "${createThread.thread!.id}") { toolResources { fileSearch { vectorStores { name expiresAfterDays } } } } }`,
    );
    expect([data!.assistant, data!.thread].map((each) => (each as any).toolResources.fileSearch.vectorStores)).toEqual([
      [{ name: 'inline', expiresAfterDays: null }],
      [{ name: 'inline', expiresAfterDays: 7 }],
    ]);
    const [before] = await rows.query('select count(*)::int as count from vector_store');
    const missing = { vectorStores: [{ fileIds: [fileId.replace(/.{4}$/, '0000')] }] };
    const { createThread: refused } = await stage.app.query(CreateThreadDocument, {
      input: { toolResources: { fileSearch: missing } },
    });
    expect(refused.userErrors).toMatchObject([
      { code: 'NOT_FOUND', path: ['input', 'toolResources', 'fileSearch', 'vectorStores', '0', 'fileIds', '0'] },
    ]);
    expect(await rows.query('select count(*)::int as count from vector_store')).toEqual([before]);
  });
});

test('an image of a message reaches the model as a data URL with its detail', async () => {
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  );
  const fileId = await shelf.upload('dot.png', png);
  const text = await shelf.upload('words.txt', 'no image');
  const content = [
    { text: 'What is it?' },
    { imageFile: { fileId, detail: 'LOW' as const } },
    { imageFile: { fileId: text } },
  ];
  await stage.perform({ thread: { messages: [{ content }] } });
  expect(bodies(stage.model).at(-1)!.messages.at(-1).content).toEqual([
    { type: 'text', text: 'What is it?' },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${png.toString('base64')}`, detail: 'low' } },
    { type: 'text', text: expect.stringMatching(/no image/) },
  ]);
});

test('a search tells of a model server that fails to embed, in the field and to the model', async () => {
  let refuses = 0;
  const embedding = await openStage({ EMBEDDING_MODEL: 'embed', EMBEDDING_DIMENSIONS: '4' });
  const answerEmbeddings = ({ response, body }: Parameters<(typeof embedding.scenes)[number]>[0]) => {
    const failing = refuses-- > 0;
    response.writeHead(failing ? 400 : 200, { 'content-type': 'application/json' });
    const data = (body.input as string[] | undefined)?.map((text, index) => ({ index, embedding: [text.length, 1, 2, 3] }));
    response.end(JSON.stringify(failing ? { error: { message: 'not today' } } : { data }));
  };
  try {
    const own = createShelf(embedding.app);
    embedding.scenes.push(answerEmbeddings);
    const id = await own.storeOf({ 'goats.md': GOATS });
    expect(await own.state(id)).toMatchObject({ embeddingModel: 'embed@4', fileCounts: { completed: 1 } });
    embedding.scenes.push(answerEmbeddings);
    expect((await own.search(id, 'goats'))[0]).toMatchObject({ filename: 'goats.md', score: 1 });
    refuses = 1;
    embedding.scenes.push(answerEmbeddings);
    const { errors } = await embedding.app.raw(SearchVectorStoreDocument, { id, query: 'goats', first: 1 });
    expect(errors).toMatchObject([{ extensions: { code: 'MODEL_SERVER' }, message: expect.stringMatching(/not today/) }]);
    const assistantId = await embedding.createAssistant({
      tools: [FILE_SEARCH],
      toolResources: { fileSearch: { vectorStoreIds: [id] } },
    });
    refuses = 1;
    embedding.scenes.push(calls([search('goats')]), answerEmbeddings, says('ok'));
    const run = await embedding.perform({ assistantId });
    expect(callsOf(run)).toMatchObject([{ status: 'FAILED' }]);
    expect(bodies(embedding.model).at(-1)!.messages.at(-1).content).toMatch(/search has failed.*not today/);
    // A file that cannot be embedded fails with the server's words.
    refuses = 1;
    embedding.scenes.push(answerEmbeddings);
    const broken = await own.storeOf({ 'llamas.md': LLAMAS });
    const [file] = (await own.state(broken)).files.nodes;
    expect(file).toMatchObject({
      status: 'FAILED',
      lastError: { code: 'SERVER_ERROR', message: expect.stringMatching(/not today/) },
    });
  } finally {
    await embedding.close();
  }
});

test('the built-in model answers from the files, with citations, without being told to search', async () => {
  const offline = await openStage({ OPENAI_BASE_URL: '' });
  try {
    const own = createShelf(offline.app);
    const vectorStoreId = await own.storeOf({ 'llamas (1).md': LLAMAS, 'goats.md': GOATS });
    const assistantId = await offline.createAssistant({
      model: 'offline',
      tools: [FILE_SEARCH],
      toolResources: { fileSearch: { vectorStoreIds: [vectorStoreId] } },
    });
    const run = await offline.perform({
      assistantId,
      thread: { messages: [{ content: [{ text: 'How much do llamas carry?' }] }] },
    });
    const message = run.messages.nodes.at(-1)!;
    expect(message.text).toMatch(/not a language model\. The files say: .*thirty kilograms\.【0:0†llamas \(1\)\.md】/);
    expect(citationsOf(run).length).toBeGreaterThan(0);
    expect(citationsOf(run)[0]!.quote).toContain('thirty kilograms');
    const plain = await offline.perform({
      assistantId,
      thread: { messages: [{ content: [{ text: 'count to 3' }] }] },
    });
    expect(plain.messages.nodes.at(-1)!.text).toMatch(/1 2 3$/);
  } finally {
    await offline.close();
  }
});
