import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Embedder } from '../../src/llm/embeddings.ts';
import { createOpenAiEmbedder, type OpenAiEmbedderOptions } from '../../src/llm/embeddings-openai.ts';
import { LlmError } from '../../src/llm/llm.ts';
import { answerWith, type EmbeddingServer, openEmbeddingServer, vectorsFor } from './embedding-server.ts';

const KEY = 'sk-secret-of-the-embedder';
const TOPICS = ['llama', 'goat', 'zebra'];
const never = new AbortController().signal;

let server: EmbeddingServer;
let embedder: Embedder;
const lines: string[] = [];
const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
const embedderWith = (more: Partial<OpenAiEmbedderOptions> = {}): Embedder =>
  createOpenAiEmbedder({
    ...{ model: 'embed', dimensions: null, apiKey: KEY, baseUrl: server.url, timeoutMs: 5000, logger },
    ...more,
  });
beforeAll(async () => {
  server = await openEmbeddingServer(TOPICS);
});
beforeEach(() => {
  embedder = embedderWith();
  server.model.requests.length = 0;
  lines.length = 0;
});
afterEach(async () => {
  await embedder.close();
  expect(server.scenes).toEqual([]);
});
afterAll(() => server.close());

const length = (vector: Float32Array): number => Math.hypot(...vector);
const failure = async (work: Promise<unknown>): Promise<LlmError> => {
  const error: unknown = await work.then(() => null, (reason: unknown) => reason);
  if (!(error instanceof LlmError)) throw new Error(`no LlmError: ${String(error)}`);
  return error;
};

test('asks for floats, with the key and the number of dimensions, and makes vectors of length 1', async () => {
  const sized = embedderWith({ dimensions: 4 });
  const [both, none] = await sized.embed(['llama and goat', 'nothing'], never);
  expect([...both!].map((value) => value.toFixed(3))).toEqual(['0.707', '0.707', '0.000', '0.000']);
  expect([...none!]).toEqual([0, 0, 0, 1]);
  expect(server.model.requests).toMatchObject([
    {
      path: '/v1/embeddings',
      headers: { authorization: `Bearer ${KEY}` },
      body: { model: 'embed', encoding_format: 'float', dimensions: 4, input: ['llama and goat', 'nothing'] },
    },
  ]);
  expect([sized.name, sized.dimensions, embedder.name, embedder.dimensions]).toEqual(['embed@4', 4, 'embed', null]);
  await embedder.embed(['x'], never);
  expect(server.model.requests.at(-1)!.body).not.toHaveProperty('dimensions');
  expect(embedder.dimensions).toBe(4);
  await sized.close();
});

test('asks in batches, by texts and by characters, and never for an empty text', async () => {
  const texts = Array.from({ length: 600 }, (_, i) => (i % 100 === 0 ? ' ' : `${TOPICS[i % 3]} ${i}`));
  const vectors = await embedder.embed(texts, never);
  expect(vectors).toHaveLength(600);
  for (const [i, vector] of vectors.entries()) {
    expect(length(vector)).toBeCloseTo(1, 5);
    expect(vector.indexOf(1)).toBe(i % 100 === 0 ? 3 : i % 3);
  }
  const asked = server.model.requests.map(({ body }) => body.input as string[]);
  expect(asked.map((batch) => batch.length)).toEqual([256, 256, 88]);
  expect(asked.flat().every((text) => text.trim() !== '')).toBe(true);
  server.model.requests.length = 0;
  await embedder.embed([1, 2, 3, 4].map(() => 'x'.repeat(150_000)), never);
  expect(server.model.requests.map(({ body }) => (body.input as string[]).length)).toEqual([2, 2]);
  expect(await embedder.embed([], never)).toEqual([]);
});

test('puts vectors in the order of their texts, whatever order they come in', async () => {
  const { data } = vectorsFor(['goat', 'llama', 'zebra'], TOPICS) as { data: object[] };
  server.scenes.push(answerWith({ data: data.toReversed() }));
  const vectors = await embedder.embed(['goat', 'llama', 'zebra'], never);
  expect(vectors.map((vector) => vector.indexOf(1))).toEqual([1, 0, 2]);
  server.scenes.push(answerWith({ data: data.map((item) => ({ ...item, index: undefined })) }));
  expect((await embedder.embed(['goat', 'llama', 'zebra'], never)).map((vector) => vector.indexOf(1))).toEqual([1, 0, 2]);
});

describe('an answer is refused, and not asked for again,', () => {
  const vector = [1, 0, 0, 0];
  const one = (embedding: unknown, index: unknown = 0) => ({ data: [{ index, embedding }] });
  test.each<[string, unknown, RegExp]>([
    ['in base64', one(Buffer.from(new Float32Array(vector).buffer).toString('base64')), /no list of numbers/],
    ['of another length', one([1, 0]), /2 numbers, where 4 are expected/],
    ['with a null in it', one([1, null, 0, 0]), /no list of numbers/],
    ['with a text in it', one([1, '0', 0, 0]), /no list of numbers/],
    ['without a vector', { data: [] }, /0 embeddings, where 1 were asked for/],
    ['with one too many', { data: [{ embedding: vector }, { embedding: vector }] }, /2 embeddings, where 1/],
    ['with an index that is too large', one(vector, 1), /index 1, where each from 0 to 0/],
    ['with an index below 0', one(vector, -1), /index -1/],
    ['with an index between two', one(vector, 0.5), /index 0\.5/],
    ['with an index beyond all bounds', one(vector, 4e9), /index 4000000000/],
    ['without data', { object: 'list' }, /no `data`/],
    ['that is null', 'null', /no `data`/],
    ['that is no JSON', '<html>', /no JSON/],
  ])('%s', async (_, body, words) => {
    const sized = embedderWith({ dimensions: 4 });
    server.scenes.push(answerWith(body as string));
    const error = await failure(sized.embed(['llama'], never));
    expect(error).toMatchObject({ code: 'server_error', retryable: false, message: expect.stringMatching(words) });
    expect(server.model.requests).toHaveLength(1);
    await sized.close();
  });

  test('with one of its vectors twice', async () => {
    server.scenes.push(answerWith({ data: [{ index: 0, embedding: vector }, { index: 0, embedding: vector }] }));
    expect((await failure(embedder.embed(['llama', 'goat'], never))).message).toMatch(/index 0, where each from 0 to 1/);
  });

  test('when its length changes between two answers', async () => {
    await embedder.embed(['llama'], never);
    server.scenes.push(answerWith({ data: [{ index: 0, embedding: [1, 2, 3] }] }));
    expect((await failure(embedder.embed(['llama'], never))).message).toMatch(/3 numbers, where 4 are expected/);
  });
});

describe('is asked again', () => {
  test('after 429 and 500, as soon as the server wants it, and gives what it answers then', async () => {
    const busy = { error: { message: 'busy', code: 'rate_limit_exceeded' } };
    server.scenes.push(
      answerWith(busy, 429, { 'retry-after-ms': '30' }),
      answerWith({ error: { message: 'oops' } }, 500, { 'retry-after-ms': '20' }),
    );
    const started = performance.now();
    expect(await embedder.embed(['llama'], never)).toHaveLength(1);
    expect(performance.now() - started).toBeGreaterThanOrEqual(50);
    expect(server.model.requests).toHaveLength(3);
  });

  test('four times at the most, and then says what the server said', async () => {
    const no = answerWith({ error: { message: `no, ${KEY}` } }, 503, { 'retry-after-ms': '1' });
    server.scenes.push(no, no, no, no, no);
    const error = await failure(embedder.embed(['llama'], never));
    expect(error).toMatchObject({ code: 'server_error', retryable: true });
    expect(error.message).toMatch(/no, \*\*\*/);
    expect(server.model.requests).toHaveLength(5);
    expect(lines.join()).not.toContain(KEY);
  });

  test('not within this call when the server wants to be left alone for longer', async () => {
    server.scenes.push(answerWith({ error: { message: 'later' } }, 429, { 'retry-after': '3600' }));
    const error = await failure(embedder.embed(['llama'], never));
    expect(error).toMatchObject({ code: 'rate_limit_exceeded', retryable: true, retryAfterMs: 3_600_000 });
    expect(server.model.requests).toHaveLength(1);
  });

  test.each([
    [400, 'the input is too long'],
    [401, 'wrong key'],
    [404, 'no such model'],
  ])('not after %i', async (status, message) => {
    server.scenes.push(answerWith({ error: { message } }, status));
    const error = await failure(embedder.embed(['llama'], never));
    expect(error).toMatchObject({ retryable: false, message: expect.stringContaining(message) });
    expect(server.model.requests).toHaveLength(1);
  });

  test('when the connection is cut or the server keeps silent', async () => {
    server.scenes.push(({ response }) => response.destroy());
    expect(await embedder.embed(['llama'], never)).toHaveLength(1);
    expect(server.model.requests).toHaveLength(2);
    const hasty = embedderWith({ timeoutMs: 100 });
    server.scenes.push(() => {});
    expect(await hasty.embed(['llama'], never)).toHaveLength(1);
    await hasty.close();
  });
});

test('stops at once on abort, while it waits for the server and between two tries', async () => {
  const waits = new AbortController();
  server.scenes.push(() => waits.abort(new Error('enough')));
  await expect(embedder.embed(['llama'], waits.signal)).rejects.toThrow('enough');
  const pauses = new AbortController();
  server.scenes.push((exchange) => {
    answerWith({ error: { message: 'later' } }, 429, { 'retry-after': '20' })(exchange);
    exchange.response.once('close', () => setTimeout(() => pauses.abort(new Error('enough')), 20));
  });
  const started = performance.now();
  await expect(embedder.embed(['llama'], pauses.signal)).rejects.toThrow('enough');
  expect(performance.now() - started).toBeLessThan(10_000);
  await expect(embedder.embed(['llama'], AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
});
