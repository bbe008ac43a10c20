import { createParser } from 'eventsource-parser';
import type { LlmChunk, LlmUsage } from './llm.ts';
import { complaintOf, type Complaint } from './openai-errors.ts';
import { createToolCallParts, type ToolCallDelta } from './tool-call-parts.ts';

/** Characters of one event; a longer one ends the turn. */
const EVENT_LIMIT = 16 * 1024 * 1024;
/** Characters kept of a body that does not look like an event stream, to read an error from. */
const PLAIN_LIMIT = 64 * 1024;

type FinishReason = (LlmChunk & { type: 'finish' })['reason'];

interface WireChunk {
  choices?: {
    index?: number;
    delta?: {
      content?: unknown;
      refusal?: unknown;
      tool_calls?: unknown;
      function_call?: ToolCallDelta['function'];
    } | null;
    finish_reason?: unknown;
  }[];
  usage?: Record<string, unknown> | null;
}

export interface ChunkParser {
  /** The server said which way the answer ended; usage may still follow. */
  readonly finished: boolean;
  /** Nothing more can follow. */
  readonly done: boolean;
  /** What the server complained of instead of going on, or what was wrong with its stream. */
  readonly failure: Complaint | null;
  feed(text: string): LlmChunk[];
  /** The last chunks, `finish` among them unless the server never said how the answer ended. */
  end(): LlmChunk[];
}

/** Turns the text of a chat completion's event stream into chunks. */
export function createChunkParser(): ChunkParser {
  const calls = createToolCallParts();
  let chunks: LlmChunk[] = [];
  let reason: string | null = null;
  let usage: LlmUsage | null = null;
  let done = false;
  let failure: Complaint | null = null;
  let events = 0;
  let plain = '';

  const fail = (message: string): void => {
    failure ??= { status: null, code: null, type: null, message, headers: null };
  };

  const take = (wire: WireChunk): void => {
    if (wire.usage) usage = usageOf(wire.usage);
    const choice = wire.choices?.[0];
    if (!choice) return;
    const { delta } = choice;
    if (delta) {
      const text = textOf(delta.content);
      if (text !== '') chunks.push({ type: 'text', value: text });
      const refusal = textOf(delta.refusal);
      if (refusal !== '') chunks.push({ type: 'refusal', value: refusal });
      if (Array.isArray(delta.tool_calls)) chunks.push(...calls.add(delta.tool_calls as ToolCallDelta[]));
      if (delta.function_call) chunks.push(...calls.add([{ index: 0, function: delta.function_call }]));
    }
    if (typeof choice.finish_reason === 'string' && choice.finish_reason !== '') reason = choice.finish_reason;
  };

  const parser = createParser({
    maxBufferSize: EVENT_LIMIT,
    onEvent({ data, event }) {
      if (done || failure !== null || data === '') return;
      events++;
      plain = '';
      if (data === '[DONE]') {
        done = true;
        return;
      }
      let wire: unknown;
      try {
        wire = JSON.parse(data);
      } catch {
        return fail(`an event of the stream is not JSON: ${data.slice(0, 80)}`);
      }
      if (typeof wire !== 'object' || wire === null) return;
      const broken = event === 'error' || ('error' in wire && wire.error != null);
      failure = broken ? complaintOf(wire, null, null) : null;
      if (broken) fail(data.slice(0, 200));
      else take(wire as WireChunk);
    },
    onError(error) {
      if (error.type === 'max-buffer-size-exceeded') fail(`an event of the stream exceeds ${EVENT_LIMIT} characters`);
    },
  });

  const drain = (): LlmChunk[] => {
    const taken = chunks;
    chunks = [];
    return taken;
  };

  return {
    get finished() {
      return reason !== null;
    },
    get done() {
      return done;
    },
    get failure() {
      return failure;
    },
    feed(text) {
      if (failure !== null) return [];
      if (events === 0 && plain.length < PLAIN_LIMIT) plain += text;
      parser.feed(text);
      return drain();
    },
    end() {
      // A last event without its empty line is complete if it is JSON; the specification would drop it.
      if (!done && failure === null && reason === null) parser.feed('\n\n');
      if (events === 0 && failure === null) failure = plainComplaint(plain);
      if (failure !== null) return drain();
      if (reason === 'error') fail('the answer ended with an error');
      if (reason === null || failure !== null) return drain();
      chunks.push(...calls.end());
      chunks.push({ type: 'finish', reason: finishReason(reason, calls.count > 0), usage });
      return drain();
    },
  };
}

/** A server may say `stop` after tool calls (OpenAI does when one was forced by name), so the calls decide. */
function finishReason(reason: string, called: boolean): FinishReason {
  if (reason === 'length' || reason === 'max_tokens') return 'length';
  if (reason === 'content_filter') return 'content_filter';
  return called ? 'tool_calls' : 'stop';
}

function usageOf(wire: Record<string, unknown>): LlmUsage {
  const number = (value: unknown): number | null => (typeof value === 'number' ? value : null);
  const detail = (of: string, name: string): number | null =>
    number((wire[of] as Record<string, unknown> | null | undefined)?.[name]);
  const promptTokens = number(wire['prompt_tokens']) ?? 0;
  const completionTokens = number(wire['completion_tokens']) ?? 0;
  return {
    promptTokens,
    completionTokens,
    totalTokens: number(wire['total_tokens']) ?? promptTokens + completionTokens,
    cachedTokens: detail('prompt_tokens_details', 'cached_tokens'),
    reasoningTokens: detail('completion_tokens_details', 'reasoning_tokens'),
  };
}

/** Text of a delta's content: a string, or (Mistral) an array of parts. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  const parts = content as ({ type?: unknown; text?: unknown } | null)[];
  return parts.map((part) => (part?.type === 'text' && typeof part.text === 'string' ? part.text : '')).join('');
}

/** Some servers answer 200 and put the error into a plain JSON body. */
function plainComplaint(text: string): Complaint | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  return typeof body === 'object' && body !== null && 'error' in body ? complaintOf(body, null, null) : null;
}
