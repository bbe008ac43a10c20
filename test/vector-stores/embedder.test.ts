import { afterAll, beforeAll, expect, test } from 'vitest';
import { SearchVectorStoreDocument } from '../../src/generated/graphql/graphql.ts';
import { type EmbeddingServer, openEmbeddingServer } from '../llm/embedding-server.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { createShelf, type Shelf } from './shelf.ts';

let model: EmbeddingServer;
let app: TestSkein;
let shelf: Shelf;
beforeAll(async () => {
  model = await openEmbeddingServer();
  app = await startSkein({ OPENAI_BASE_URL: model.url, VECTOR_CACHE_MB: '1' });
  shelf = createShelf(app);
});
afterAll(async () => {
  await app?.close();
  await model?.close();
});

test('vectors that do not fit the memory they are given are read each time, and health says so', async () => {
  const text = Array.from({ length: 400 }, (_, i) => `Topic${i} ${'and words about it '.repeat(25)}`).join('\n\n');
  const id = await shelf.store({
    fileIds: [await shelf.upload('large.txt', text)],
    chunkingStrategy: { maxChunkSizeTokens: 110, chunkOverlapTokens: 0 },
  });
  const ready = async () => (await (await fetch(`${app.url}/health/ready`)).json()) as { status: string; degraded?: object };
  expect((await ready()).status).toBe('ok');
  for (let round = 0; round < 2; round++)
    for (const topic of [0, 200, 399]) expect((await shelf.search(id, `topic${topic}`))[0]!.text).toContain(`Topic${topic} `);
  expect(await ready()).toMatchObject({ status: 'degraded', degraded: { search: expect.stringMatching(/VECTOR_CACHE_MB/) } });
});

const using = async () => {
  const { data } = await app.raw('{ viewer { embeddings { driver detail } } }');
  return (data!.viewer as { embeddings: { driver: string; detail: string } }).embeddings;
};

test('a store keeps what it was embedded with', { timeout: 90_000 }, async () => {
  // Beside a model server without EMBEDDING_MODEL it is openly the built-in one, also when a model is set up later.
  expect(await using()).toEqual({ driver: 'hash-768', detail: expect.stringMatching(/EMBEDDING_MODEL sets up/) });
  const builtIn = await shelf.storeOf({ 'llama.md': 'Llamas hum.' });
  expect(await shelf.state(builtIn)).toMatchObject({ embeddingModel: 'hash-768' });
  await app.restart({ EMBEDDING_MODEL: 'embed' });
  expect(await using()).toEqual({ driver: 'openai', detail: expect.stringContaining('embed') });
  await shelf.add(builtIn, [{ fileId: await shelf.upload('goat.md', 'Goats climb.') }]);
  expect(await shelf.settled(builtIn)).toMatchObject({ embeddingModel: 'hash-768', fileCounts: { completed: 2 } });
  expect((await shelf.search(builtIn, 'goats'))[0]!.filename).toBe('goat.md');
  expect(model.asked).toEqual([]);

  // A model is asked for the passages with the headings above them, and for the query as it stands.
  const id = await shelf.storeOf({ 'zoo.md': '# Zoo\n\n## Animals\n\nLlamas and zebras.\n' });
  expect(await shelf.state(id)).toMatchObject({ embeddingModel: 'embed' });
  expect((await shelf.search(id, 'What about zebras?'))[0]).toMatchObject({ filename: 'zoo.md', score: 1 });
  expect(model.asked).toEqual([['# Zoo\n\n## Animals\n\nLlamas and zebras.'], ['What about zebras?']]);

  // When the server has the model no more, it says what is missing.
  await app.restart({ EMBEDDING_MODEL: 'other' });
  const words = /made with the embeddings embed, and this server has other.*EMBEDDING_MODEL/;
  const { errors } = await app.raw(SearchVectorStoreDocument, { id, query: 'zebras', first: 1 });
  expect(errors).toMatchObject([{ extensions: { code: 'INVALID_INPUT' }, message: expect.stringMatching(words) }]);
  await shelf.add(id, [{ fileId: await shelf.upload('goat.md', 'Goats climb.') }]);
  const { files } = await shelf.settled(id);
  expect(files.nodes[0]).toMatchObject({
    status: 'FAILED',
    lastError: { code: 'SERVER_ERROR', message: expect.stringMatching(words) },
  });
  // A new store of the same files is made with what there is.
  const again = await shelf.store({ fileIds: files.nodes.map(({ fileId }) => fileId) });
  expect(await shelf.state(again)).toMatchObject({ embeddingModel: 'other', fileCounts: { completed: 2, failed: 0 } });
});
