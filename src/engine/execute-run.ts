import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Llm, LlmChunk, LlmUsage } from '../llm/llm.ts';
import { LlmError } from '../llm/llm.ts';
import type { RunErrorCode } from '../errors.ts';
import type { HeldRun } from '../runs/held-run.ts';
import type { Outcome } from '../runs/settle.ts';
import type { Usage } from '../usage/usage.ts';
import { Accumulator } from './accumulate.ts';
import { buildPrompt, type Prompt } from './prompt.ts';
import { tokenCounter } from './tokens.ts';

/** Why a run that is being executed must stop. */
export type Stop = 'cancel' | 'expire' | 'drain' | 'lost';

/** What the signal of a run is aborted with. */
export class Stopped extends Error {
  override name = 'Stopped';
  readonly why: Stop;
  constructor(why: Stop) {
    super(`stopped: ${why}`);
    this.why = why;
  }
}

export interface ExecuteOptions {
  llm: Llm;
  contextTokens: number;
  maxTurns: number;
  logger: Logger;
}

/** Times a model call is made again before the first of its answer, and the pause before the second try. */
const RETRIES = 3;
const FIRST_PAUSE_MS = 500;
/** A server that wants to be left alone for longer than this fails the run: its caller can do better than wait. */
const LONGEST_PAUSE_MS = 60_000;

/**
 * Executes a run that has begun: one model turn after the other until it waits for its caller or is settled. Returns
 * without having settled it when it is stopped for `drain` or `lost`: then it goes on elsewhere.
 */
export async function executeRun(held: HeldRun, options: ExecuteOptions, signal: AbortSignal): Promise<void> {
  const turn = (held.steps.at(-1)?.turn ?? 0) + 1;
  const accumulator = new Accumulator();
  const open = () => ({ content: accumulator.content, calls: accumulator.calls.filter(Boolean) });
  let answer: Answer | null = null;
  const took = async (usage: LlmUsage | null): Promise<Usage | null> =>
    usage ?? (answer && (await estimate(answer.prompt, accumulator)));
  const { maxCompletionTokens } = held.config;
  try {
    if (turn > options.maxTurns) {
      const message = `The run made ${options.maxTurns} model calls without coming to an end.`;
      return await held.settle({ status: 'FAILED', error: { code: 'SERVER_ERROR', message } }, open(), null);
    }
    if (maxCompletionTokens !== null && held.usage.completionTokens >= maxCompletionTokens) {
      return await held.settle({ status: 'INCOMPLETE', reason: 'MAX_COMPLETION_TOKENS' }, open(), null);
    }
    // A turn speaks first and calls then; a server that speaks again behind its calls gets a second message.
    let speaking = false;
    let calling = false;
    answer = await openAnswer(held, options, signal);
    if (!answer) return await held.settle({ status: 'INCOMPLETE', reason: 'MAX_PROMPT_TOKENS' }, open(), null);
    const { prompt, chunks } = answer;
    for (let next = answer.first; !next.done; next = await chunks.next()) {
      const chunk = next.value;
      signal.throwIfAborted();
      if (chunk.type === 'text' || chunk.type === 'refusal') {
        const deltas = accumulator.text(chunk);
        if (speaking && deltas.length > 0) held.writeMessage(deltas);
        else if (deltas.length > 0) await held.openMessage(turn, prompt.dropped, deltas);
        speaking ||= deltas.length > 0;
      } else if (chunk.type === 'toolCall') {
        const deltas = accumulator.toolCall(chunk);
        if (speaking) await held.closeMessage(accumulator.endMessage());
        speaking = false;
        if (!calling) await held.openToolCalls(turn, prompt.dropped, deltas);
        else if (deltas.length > 0) held.writeToolCalls(deltas);
        calling = true;
      } else {
        const usage = (await took(chunk.usage))!;
        if (calling && (chunk.reason === 'tool_calls' || chunk.reason === 'stop')) {
          if (speaking) await held.closeMessage(accumulator.endMessage());
          return await held.park(open().calls, usage);
        }
        // An answer without a word is an answer: its step says what it took.
        if (!speaking && !calling) await held.openMessage(turn, prompt.dropped, []);
        return await held.settle(outcomeOf(chunk.reason), open(), usage);
      }
    }
  } catch (error) {
    if (error instanceof LlmError) {
      options.logger.warn({ runId: held.run.id, code: error.code, reason: error.message }, 'the model call failed');
      const outcome: Outcome = { status: 'FAILED', error: { code: runErrorCode(error), message: error.message } };
      return held.settle(outcome, open(), await took(null));
    }
    if (!signal.aborted) throw error;
    const why = signal.reason instanceof Stopped ? signal.reason.why : 'lost';
    if (why === 'cancel') return held.settle({ status: 'CANCELLED' }, open(), await took(null));
    if (why === 'expire') return held.settle({ status: 'EXPIRED' }, open(), await took(null));
  } finally {
    await answer?.chunks.return?.();
  }
}

/** A model turn that has begun to answer. Its chunks are iterated by hand: a generator more would cost each of them. */
interface Answer {
  prompt: Prompt;
  first: IteratorResult<LlmChunk>;
  chunks: AsyncIterator<LlmChunk>;
}

/**
 * Asks the model and waits for the first chunk. A call that failed before it is made again where that makes sense; a
 * prompt that the server finds too long is cut once more, where it can be. Null when the prompt cannot be made to fit.
 */
async function openAnswer(held: HeldRun, options: ExecuteOptions, signal: AbortSignal): Promise<Answer | null> {
  let shrink = 1;
  let tooLong: LlmError | null = null;
  for (let tries = 1; ; tries++) {
    const prompt = await buildPrompt(held, options.contextTokens, shrink);
    if (!prompt && tooLong) throw tooLong;
    if (!prompt) return null;
    signal.throwIfAborted();
    const chunks = options.llm.stream(prompt.request, signal)[Symbol.asyncIterator]();
    try {
      return { prompt, first: await chunks.next(), chunks };
    } catch (error) {
      if (!(error instanceof LlmError)) throw error;
      if (error.code === 'context_length_exceeded' && shrink === 1) {
        shrink = 0.5;
        tooLong = error;
        continue;
      }
      const pause = error.retryAfterMs ?? FIRST_PAUSE_MS * 2 ** (tries - 1);
      if (!error.retryable || tries > RETRIES || pause > LONGEST_PAUSE_MS) throw error;
      options.logger.info({ runId: held.run.id, code: error.code, tries, pause }, 'the model call is made again');
      await delay(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

function outcomeOf(reason: 'stop' | 'length' | 'tool_calls' | 'content_filter'): Outcome {
  switch (reason) {
    case 'stop':
    case 'tool_calls':
      return { status: 'COMPLETED' };
    case 'length':
      return { status: 'INCOMPLETE', reason: 'MAX_COMPLETION_TOKENS' };
    case 'content_filter':
      return {
        status: 'FAILED',
        error: { code: 'INVALID_PROMPT', message: "The model server's content filter stopped the answer." },
        message: 'CONTENT_FILTER',
      };
  }
}

function runErrorCode({ code }: LlmError): RunErrorCode {
  switch (code) {
    case 'server_error':
      return 'SERVER_ERROR';
    case 'rate_limit_exceeded':
      return 'RATE_LIMIT_EXCEEDED';
    case 'invalid_prompt':
    case 'context_length_exceeded':
      return 'INVALID_PROMPT';
    case 'invalid_image_url':
      return 'INVALID_IMAGE_URL';
    case 'model_not_found':
      return 'MODEL_NOT_FOUND';
  }
}

/** For a server that counts nothing, and for answers that were cut off before it could say. */
async function estimate({ request }: Prompt, { written }: Accumulator): Promise<Usage> {
  const count = await tokenCounter();
  const promptTokens = count(JSON.stringify([request.messages, request.tools]));
  const completionTokens = count(written);
  return {
    promptTokens,
    completionTokens,
    totalTokens: promptTokens + completionTokens,
    cachedTokens: null,
    reasoningTokens: null,
  };
}
