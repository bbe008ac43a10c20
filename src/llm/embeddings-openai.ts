import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Embedder, normalize } from './embeddings.ts';
import { LlmError } from './llm.ts';
import { complaintOf, errorBody, llmErrorOf } from './openai-errors.ts';
import { createOpenAiFetch } from './openai-fetch.ts';

export interface OpenAiEmbedderOptions {
  model: string;
  /** What is asked of the server, null = the model's own number. */
  dimensions: number | null;
  apiKey: string | null;
  /** null = OpenAI itself. */
  baseUrl: string | null;
  /** The longest that one request may take, in milliseconds. */
  timeoutMs: number;
  logger: Logger;
}

const OPENAI_URL = 'https://api.openai.com/v1';
/** Of one request. OpenAI takes 2048 texts and 300 000 tokens; an answer of 256 with 3072 numbers each has 10 MB. */
const MOST_TEXTS = 256;
const MOST_CHARACTERS = 400_000;
const RETRIES = 4;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Any server that speaks OpenAI's embeddings. Vectors are asked for as numbers: the official client asks for base64,
 * and takes the numbers of a server that ignores the wish for bytes, without an error.
 */
export function createOpenAiEmbedder(options: OpenAiEmbedderOptions): Embedder {
  const { model, apiKey, timeoutMs, logger } = options;
  const url = `${(options.baseUrl ?? OPENAI_URL).replace(/\/+$/, '')}/embeddings`;
  const secrets = [apiKey ?? '', new URL(url).password].filter(Boolean);
  const transport = createOpenAiFetch({ errorBody });
  let dimensions = options.dimensions;

  async function request(input: readonly string[], signal: AbortSignal): Promise<Float32Array[]> {
    const body = { model, input, encoding_format: 'float', ...(options.dimensions && { dimensions: options.dimensions }) };
    const headers = { 'content-type': 'application/json', ...(apiKey && { authorization: `Bearer ${apiKey}` }) };
    const late = AbortSignal.timeout(timeoutMs);
    try {
      const response = await transport.fetch(url, {
        method: 'POST',
        headers: headers as Record<string, string>,
        body: JSON.stringify(body),
        signal: AbortSignal.any([signal, late]),
      });
      const text = await response.text();
      if (!response.ok) {
        const { status, headers: answered } = response;
        const complaint = complaintOf(JSON.parse(text), status, answered);
        throw llmErrorOf(complaint ?? { status, code: null, type: null, message: '', headers: answered });
      }
      return vectorsOf(text, input.length);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof LlmError ? hidden(error, secrets) : unreachable(error, late, timeoutMs, secrets);
    }
  }

  function vectorsOf(text: string, wanted: number): Float32Array[] {
    const data = dataOf(text);
    if (data.length !== wanted) throw broken(`has ${data.length} embeddings, where ${wanted} were asked for`);
    const vectors = new Map<number, Float32Array>();
    data.forEach(({ index, embedding }, place) => {
      const at = typeof index === 'number' ? index : place;
      if (!Number.isInteger(at) || at < 0 || at >= wanted || vectors.has(at))
        throw broken(`has an embedding with the index ${at}, where each from 0 to ${wanted - 1} was expected once`);
      if (!Array.isArray(embedding) || !embedding.every((value) => Number.isFinite(value)))
        throw broken('has an embedding that is no list of numbers');
      dimensions ??= embedding.length;
      if (embedding.length !== dimensions)
        throw broken(`has an embedding of ${embedding.length} numbers, where ${dimensions} are expected`);
      vectors.set(at, normalize(Float32Array.from(embedding as number[])));
    });
    return Array.from({ length: wanted }, (_, at) => vectors.get(at)!);
  }

  return {
    name: options.dimensions ? `${model}@${options.dimensions}` : model,
    driver: 'openai',
    get dimensions() {
      return dimensions;
    },
    async embed(texts, signal) {
      const vectors: Float32Array[] = [];
      for (const batch of batchesOf(texts)) {
        for (let tries = 1; ; tries++) {
          signal.throwIfAborted();
          try {
            vectors.push(...(await request(batch, signal)));
            break;
          } catch (error) {
            if (!(error instanceof LlmError) || !error.retryable || tries > RETRIES) throw error;
            const pause = error.retryAfterMs ?? FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random() / 2);
            if (pause > LONGEST_PAUSE_MS) throw error;
            logger.info({ code: error.code, tries, pause: Math.round(pause) }, 'embeddings are asked for again');
            await setTimeout(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
          }
        }
      }
      return vectors;
    },
    async close() {
      transport.close();
    },
  };
}

function* batchesOf(texts: readonly string[]): Generator<string[]> {
  let batch: string[] = [];
  let size = 0;
  for (const text of texts) {
    if (batch.length > 0 && (batch.length === MOST_TEXTS || size + text.length > MOST_CHARACTERS)) {
      yield batch;
      batch = [];
      size = 0;
    }
    // Servers refuse a text without a word.
    batch.push(text.trim() === '' ? '-' : text);
    size += text.length;
  }
  if (batch.length > 0) yield batch;
}

function dataOf(text: string): { index?: unknown; embedding?: unknown }[] {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw broken('is no JSON');
  }
  const { data } = (body ?? {}) as { data?: unknown };
  if (!Array.isArray(data)) throw broken('has no `data`');
  return data.map((item) => (item ?? {}) as object);
}

const broken = (what: string): LlmError => new LlmError('server_error', `The model server's answer ${what}.`);

function unreachable(error: unknown, late: AbortSignal, timeoutMs: number, secrets: readonly string[]): LlmError {
  const why = late.aborted
    ? `said nothing for ${timeoutMs / 1000} s`
    : `cannot be reached: ${(error as Error).message || (error as NodeJS.ErrnoException).code}`;
  return hidden(new LlmError('server_error', `The model server ${why}`, { retryable: true, cause: error }), secrets);
}

/** Servers quote what they were sent. */
function hidden({ code, message, retryable, retryAfterMs, cause }: LlmError, secrets: readonly string[]): LlmError {
  const clean = secrets.reduce((text, secret) => text.replaceAll(secret, '***'), message);
  return new LlmError(code, clean, { retryable, retryAfterMs, cause });
}
