import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ContentDelta } from '../events/event.ts';
import type { Llm, LlmChunk, LlmUsage } from '../llm/llm.ts';
import { LlmError } from '../llm/llm.ts';
import type { RunErrorCode } from '../errors.ts';
import type { HeldRun } from '../runs/held-run.ts';
import { isHosted, type RunStep } from '../runs/run.ts';
import type { Outcome } from '../runs/settle.ts';
import type { HostedTools } from '../tools/tool.ts';
import type { Usage } from '../usage/usage.ts';
import { Accumulator } from './accumulate.ts';
import { Citations } from './citations.ts';
import { FileLinks } from './file-links.ts';
import { callTools, hostedOf } from './call-tools.ts';
import { buildPrompt, type Prompt } from './prompt.ts';
import type { ReadImage } from './prompt-images.ts';
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
  tools: HostedTools;
  readImage: ReadImage;
  logger: Logger;
}

/** Times a model call is made again before the first of its answer, and the pause before the second try. */
const RETRIES = 3;
const FIRST_PAUSE_MS = 500;
/** A server that wants to be left alone for longer than this fails the run: its caller can do better than wait. */
const LONGEST_PAUSE_MS = 60_000;

/**
 * Executes a run that has begun: one model turn after the other, each with the hosted tools it asked for, until it
 * waits for its caller or is settled. Returns without having settled it when it is stopped for `drain` or `lost`: then
 * it goes on elsewhere.
 */
export async function executeRun(held: HeldRun, options: ExecuteOptions, signal: AbortSignal): Promise<void> {
  let takenOver = held.calls !== null;
  for (;;) {
    if (held.calls === null && !(await takeTurn(held, options, signal))) return;
    if (!(await makeCalls(held, takenOver, options, signal))) return;
    takenOver = false;
  }
}

/** Takes one model turn. True when it has asked for hosted tools, which are to be called then. */
async function takeTurn(held: HeldRun, options: ExecuteOptions, signal: AbortSignal): Promise<boolean> {
  const turn = (held.steps.at(-1)?.turn ?? 0) + 1;
  const hosted = hostedOf(held.config, options.tools);
  const accumulator = new Accumulator(
    hosted,
    imagesSince(held.steps),
    new Citations(held.steps),
    new FileLinks(held.steps),
  );
  const open = () => ({ content: accumulator.content, calls: accumulator.calls.filter(Boolean) });
  let answer: Answer | null = null;
  const took = async (usage: LlmUsage | null): Promise<Usage | null> =>
    usage ?? (answer && (await estimate(answer.prompt, accumulator)));
  const { maxCompletionTokens } = held.config;
  const over = async (outcome: Outcome, usage: Usage | null): Promise<false> => {
    await held.settle(outcome, open(), usage);
    return false;
  };
  try {
    if (turn > options.maxTurns) {
      const message = `The run made ${options.maxTurns} model calls without coming to an end.`;
      return await over({ status: 'FAILED', error: { code: 'SERVER_ERROR', message } }, null);
    }
    if (maxCompletionTokens !== null && held.usage.completionTokens >= maxCompletionTokens) {
      return await over({ status: 'INCOMPLETE', reason: 'MAX_COMPLETION_TOKENS' }, null);
    }
    // A turn speaks first and calls then; a server that speaks again behind its calls gets a second message.
    let speaking = false;
    let calling = false;
    answer = await openAnswer(held, options, signal);
    if (!answer) return await over({ status: 'INCOMPLETE', reason: 'MAX_PROMPT_TOKENS' }, null);
    const { prompt, chunks } = answer;
    const say = async (deltas: ContentDelta[]): Promise<void> => {
      if (speaking && deltas.length > 0) held.writeMessage(deltas);
      else if (deltas.length > 0) await held.openMessage(turn, prompt.dropped, deltas);
      speaking ||= deltas.length > 0;
    };
    for (let next = answer.first; !next.done; next = await chunks.next()) {
      const chunk = next.value;
      signal.throwIfAborted();
      if (chunk.type === 'text' || chunk.type === 'refusal') {
        const deltas = accumulator.text(chunk);
        if (speaking && deltas.length > 0) held.writeMessage(deltas);
        else await say(deltas);
      } else if (chunk.type === 'toolCall') {
        await say(accumulator.flush());
        const deltas = accumulator.toolCall(chunk);
        if (speaking) await held.closeMessage(accumulator.endMessage());
        speaking = false;
        if (!calling) await held.openToolCalls(turn, prompt.dropped, deltas);
        else if (deltas.length > 0) held.writeToolCalls(deltas);
        calling = true;
      } else {
        await say(accumulator.flush());
        const usage = (await took(chunk.usage))!;
        if (calling && (chunk.reason === 'tool_calls' || chunk.reason === 'stop')) {
          if (speaking) await held.closeMessage(accumulator.endMessage());
          const { calls } = open();
          const goesOn = calls.some(isHosted);
          await (goesOn ? held.beginCalls(calls, usage) : held.park(calls, usage));
          return goesOn;
        }
        // An answer without a word is an answer: its step says what it took.
        if (!speaking && !calling) await held.openMessage(turn, prompt.dropped, accumulator.begin());
        return await over(outcomeOf(chunk.reason), usage);
      }
    }
    throw new Error('the model port ended without a finish');
  } catch (error) {
    if (error instanceof LlmError) {
      options.logger.warn({ runId: held.run.id, code: error.code, reason: error.message }, 'the model call failed');
      const outcome: Outcome = { status: 'FAILED', error: { code: runErrorCode(error), message: error.message } };
      return over(outcome, await took(null));
    }
    const outcome = stopped(error, signal);
    return outcome ? over(outcome, await took(null)) : false;
  } finally {
    await answer?.chunks.return?.();
  }
}

/** What code has drawn since the run last spoke: it is shown before what the run says next. */
function imagesSince(steps: readonly RunStep[]): string[] {
  const spoke = steps.findLastIndex(({ type }) => type === 'MESSAGE_CREATION');
  return steps.slice(spoke + 1).flatMap(({ toolCalls }) =>
    (toolCalls ?? []).flatMap((call) =>
      call.type === 'codeInterpreter'
        ? call.outputs.flatMap((output) => (output.type === 'image' ? [output.fileId] : []))
        : [],
    ),
  );
}

/** Makes the hosted calls of the turn that was taken. True when the next turn may begin. */
async function makeCalls(
  held: HeldRun,
  takenOver: boolean,
  options: ExecuteOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const calls = [...held.calls!];
  try {
    await callTools(held, calls, takenOver, options, signal);
    if (calls.every(isHosted)) {
      await held.endCalls();
      return true;
    }
    await held.park(calls, null);
  } catch (error) {
    const outcome = stopped(error, signal);
    if (outcome) await held.settle(outcome, { content: [], calls }, null);
  }
  return false;
}

/** How a run ends that was stopped; null when it goes on elsewhere. What is no stop is thrown again. */
function stopped(error: unknown, signal: AbortSignal): Outcome | null {
  if (!signal.aborted) throw error;
  const why = signal.reason instanceof Stopped ? signal.reason.why : 'lost';
  if (why === 'cancel') return { status: 'CANCELLED' };
  return why === 'expire' ? { status: 'EXPIRED' } : null;
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
    const prompt = await buildPrompt(held, options.tools, options.contextTokens, shrink, options.readImage);
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
  const withoutBytes = (_key: string, value: unknown) =>
    typeof value === 'string' && value.startsWith('data:') ? '' : value;
  const promptTokens = count(JSON.stringify([request.messages, request.tools], withoutBytes));
  const completionTokens = count(written);
  return {
    promptTokens,
    completionTokens,
    totalTokens: promptTokens + completionTokens,
    cachedTokens: null,
    reasoningTokens: null,
  };
}
