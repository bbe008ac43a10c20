import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CreateThreadDocument } from '../../src/generated/graphql/graphql.ts';
import { createEmbeddings } from '../../src/llm/embeddings.ts';
import { createHashEmbedder } from '../../src/llm/embeddings-hash.ts';
import { createOpenAiEmbedder } from '../../src/llm/embeddings-openai.ts';
import { createFileSearch } from '../../src/tools/file-search.ts';
import type { FileSearchCall } from '../../src/tools/tool.ts';
import { openRetrieval } from '../../src/vector-stores/retrieval.ts';
import { createLocalWake } from '../../src/work/wake.ts';
import { becomes, bodies, calls, live, openStage, type RunDetails, says, type Stage } from '../engine/stage.ts';
import { eventually } from '../eventually.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { type EmbeddingServer, openEmbeddingServer } from '../llm/embedding-server.ts';
import { delta, finish } from '../llm/model-server.ts';
import { connect } from '../vector-stores/connect.ts';
import { createShelf, type Shelf } from '../vector-stores/shelf.ts';

const search = (query: string, id = 'a') => ({ id, name: 'file_search', arguments: JSON.stringify({ query }) });

let model: EmbeddingServer;
let stage: Stage;
let shelf: Shelf;
let rows: Rows;
beforeAll(async () => {
  model = await openEmbeddingServer();
  stage = await openStage({ OPENAI_BASE_URL: model.url, EMBEDDING_MODEL: 'embed', EMBEDDING_DIMENSIONS: '4' });
  shelf = createShelf(stage.app);
  rows = await openRows(stage.app);
});
afterEach(() => {
  model.release();
  expect([model.scenes, model.chat]).toEqual([[], []]);
});
afterAll(async () => {
  await rows?.close();
  await stage?.close();
  await model?.close();
});

const attached = (fileId: string) => ({
  content: [{ text: 'See this.' }],
  attachments: [{ fileId, tools: ['FILE_SEARCH' as const] }],
});
const told = (): string => bodies(model.model).at(-1)!.messages.at(-1).content as string;
const statuses = (run: RunDetails) =>
  run.steps.nodes.flatMap(({ details }) =>
    details.__typename === 'ToolCallsDetails' ? details.toolCalls.map((call) => ('status' in call ? call.status : null)) : [],
  );
/** A run whose search waits for a file of its thread that is not read in yet. */
async function waitingRun() {
  const held = model.hold(/slow/);
  const fileId = await shelf.upload('slow.md', 'The slow goat comes late.');
  const assistantId = await stage.createAssistant({ tools: [{ fileSearch: {} }] });
  model.chat.push(calls([search('goat')]));
  const { runId } = await stage.start({ assistantId, thread: { messages: [attached(fileId)] } });
  await held;
  await eventually(async () => expect(statuses(await stage.details(runId))).toEqual(['IN_PROGRESS']));
  return runId;
}

describe('a run', () => {
  test('waits for what its thread has that is not read in yet, and finds it then', async () => {
    const runId = await waitingRun();
    model.chat.push(says('Late.【0:0†slow.md】'));
    expect((await stage.details(runId)).status).toBe('IN_PROGRESS');
    model.release();
    await stage.follow(runId);
    expect(told()).toMatch(/^【0:0†slow\.md】/);
    expect(await stage.details(runId)).toMatchObject({ status: 'COMPLETED' });
  });

  test('is cancelled while it waits', async () => {
    const runId = await waitingRun();
    await stage.cancel(runId);
    await stage.follow(runId, becomes('CANCELLED'));
    expect(statuses(await stage.details(runId))).toEqual(['CANCELLED']);
  });

  test('does not wait for what its assistant has', async () => {
    const vectorStoreId = await shelf.storeOf({ 'llama.md': 'Llamas hum.' });
    const assistantId = await stage.createAssistant({
      tools: [{ fileSearch: {} }],
      toolResources: { fileSearch: { vectorStoreIds: [vectorStoreId] } },
    });
    const held = model.hold(/slow/);
    await shelf.add(vectorStoreId, [{ fileId: await shelf.upload('slow.md', 'A slow llama.') }]);
    await held;
    model.chat.push(calls([search('llama')]), says('ok'));
    expect(await stage.perform({ assistantId })).toMatchObject({ status: 'COMPLETED' });
    expect(told()).toMatch(/^【0:0†llama\.md】/);
    expect(told()).not.toMatch(/slow/);
  });

  test('makes the searches of one turn at the same time', async () => {
    const vectorStoreId = await shelf.storeOf({ 'zoo.md': 'Llamas, goats and zebras.' });
    const assistantId = await stage.createAssistant({
      tools: [{ fileSearch: {} }],
      toolResources: { fileSearch: { vectorStoreIds: [vectorStoreId] } },
    });
    const three = [search('llama', 'a'), search('goat', 'b'), search('zebra', 'c')];
    model.chat.push(calls(three), says('ok'));
    void model.hold();
    const { runId } = await stage.start({ assistantId });
    // None of them is answered before all have asked.
    await eventually(() => expect(model.waiting).toBe(3));
    model.release();
    await stage.follow(runId);
    expect(statuses(await stage.details(runId))).toEqual(['COMPLETED', 'COMPLETED', 'COMPLETED']);
  });

  test('that waits in line brings its files along when its turn comes', async () => {
    const assistantId = await stage.createAssistant({ tools: [{ fileSearch: {} }] });
    const first = live();
    model.chat.push(first.scene);
    const { threadId, runId } = await stage.start({ assistantId });
    const stream = await first.asked;
    const fileId = await shelf.upload('line.md', 'Zebras stand in line.');
    const next = await stage.start({ assistantId, threadId, ifBusy: 'ENQUEUE', additionalMessages: [attached(fileId)] });
    model.chat.push(calls([search('zebra')]), says('In line.【0:0†line.md】'));
    stream.send(delta({ content: 'done' }), finish('stop'));
    stream.end();
    await stage.follow(runId);
    await stage.follow(next.runId);
    expect(told()).toMatch(/^【0:0†line\.md】/);
    expect((await stage.details(next.runId)).messages.nodes[0]!.text).toContain('【0:0†line.md】');
  });
});

describe('a search that has waited long enough', () => {
  test('finds what is there, says that there is more to come, and stops at once when it is told to', async () => {
    const ready = await shelf.storeOf({ 'goat.md': 'Goats climb trees.' });
    const held = model.hold(/slow/);
    const { createThread } = await stage.app.query(CreateThreadDocument, {
      input: { messages: [attached(await shelf.upload('slow.md', 'A slow goat.'))] },
    });
    const threadId = createThread.thread!.id;
    await held;
    const [{ own, projectId }] = (await rows.query(
      `select tool_resources #>> '{fileSearch,vectorStoreIds,0}' as own, project_id as "projectId" from thread where id = $1`,
      [threadId],
    )) as [{ own: string; projectId: string }];
    const db = connect(stage.app);
    const wake = createLocalWake();
    const logger = pino({ level: 'silent' });
    const embed = { model: 'embed', dimensions: 4, apiKey: null, baseUrl: model.url, timeoutMs: 5000, logger };
    const embeddings = createEmbeddings(createHashEmbedder(), createOpenAiEmbedder(embed));
    const retrieval = await openRetrieval({
      ...{ db, wake, embeddings, logger, files: { open: () => Promise.resolve(null) } },
      ...{ owner: 'test', leaseMs: 1000, heartbeatMs: 100, pollMs: 100, concurrency: 1, cacheBytes: 2 ** 20 },
      extraction: { memoryMb: 320, timeoutMs: 1000 },
    });
    try {
      const tool = (waitMs: number) =>
        createFileSearch({
          stores: retrieval.stores,
          storesOf: () => Promise.resolve({ assistant: [ready], thread: [own] }),
          isModelError: (_error): _error is Error => false,
          waitMs,
        });
      const call: FileSearchCall = {
        ...{ type: 'fileSearch', id: 'call_a', modelId: null, status: 'IN_PROGRESS', failure: null },
        ...{ arguments: '{"query":"goat"}', queries: [], results: [], rankingOptions: null },
      };
      const place = { projectId, threadId, assistantId: 'asst_a', setting: {} };
      const report = () => {};
      // Of a file it waits for so long after it was added, and not again for every search.
      const [{ age }] = (await rows.query(
        'select extract(epoch from now() - created_at)::float8 * 1000 as age from vector_store_file where vector_store_id = $1',
        [own],
      )) as [{ age: number }];
      const patient = tool(age + 500);
      const timed = async () => {
        const started = performance.now();
        const ended = await patient.run(call, place, report, new AbortController().signal);
        return { ended, took: performance.now() - started };
      };
      const { ended, took } = await timed();
      expect(took).toBeGreaterThanOrEqual(400);
      expect((await timed()).took).toBeLessThan(took);
      expect(ended).toMatchObject({ status: 'COMPLETED', results: [{ filename: 'goat.md' }] });
      expect(patient.answer(ended, 4)).toMatch(/^【4:0†goat\.md】[^]*still being read in/);
      const stop = new AbortController();
      const stopped = tool(60_000).run(call, place, report, stop.signal);
      stop.abort(new Error('enough'));
      await expect(stopped).rejects.toThrow('enough');
    } finally {
      await retrieval.close();
      await embeddings.close();
      await wake.close();
      await db.close();
    }
  });
});
