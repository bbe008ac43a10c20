import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Llm, LlmChunk, LlmMessage, LlmRequest } from './llm.ts';
import { offlineReply, type OfflineReply } from './offline-reply.ts';

/** Chunks between two looks at the event loop when there is no delay between words. */
const BURST = 64;
/** Characters of a call's arguments in one chunk. */
const ARGUMENTS_PIECE = 12;

/**
 * The built-in model `offline`: openly no language model, but it streams, calls functions, fills schemas and always
 * answers the same, so that everything around a model can be seen working without one. `delayMs` lies between words.
 */
export function createOffline({ delayMs = 15 }: { delayMs?: number } = {}): Llm {
  async function* stream(request: LlmRequest, signal: AbortSignal): AsyncGenerator<LlmChunk, void, undefined> {
    signal.throwIfAborted();
    const limit = request.maxCompletionTokens ?? Infinity;
    const reply = offlineReply(request);
    let tokens = 0;
    let cut = false;
    for (const chunk of chunksOf(reply)) {
      if (tokens >= limit) {
        cut = true;
        break;
      }
      if (tokens > 0 && delayMs > 0) await pause(delayMs, signal);
      else if (tokens % BURST === BURST - 1) await setImmediate();
      signal.throwIfAborted();
      tokens++;
      yield chunk;
    }
    signal.throwIfAborted();
    const prompt = request.messages.reduce((sum, message) => sum + wordCount(message), 0);
    const total = { promptTokens: prompt, completionTokens: tokens, totalTokens: prompt + tokens };
    yield {
      type: 'finish',
      reason: cut ? 'length' : reply.type === 'calls' ? 'tool_calls' : 'stop',
      usage: { ...total, cachedTokens: null, reasoningTokens: null },
    };
  }

  return {
    driver: 'offline',
    baseUrl: null,
    stream,
    async models(signal) {
      signal?.throwIfAborted();
      return [{ id: 'offline', ownedBy: 'skein', createdAt: null }];
    },
    async close() {},
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(ms, undefined, { signal });
  } catch {
    throw signal.reason;
  }
}

function* chunksOf(reply: OfflineReply): Generator<LlmChunk, void, undefined> {
  if (reply.type === 'text') {
    for (const value of reply.pieces) yield { type: 'text', value };
    return;
  }
  for (const [index, call] of reply.calls.entries()) {
    for (let at = 0; at < call.arguments.length; at += ARGUMENTS_PIECE) {
      const first = at === 0;
      const piece = call.arguments.slice(at, at + ARGUMENTS_PIECE);
      yield { type: 'toolCall', index, id: first ? call.id : null, name: first ? call.name : null, arguments: piece };
    }
  }
}

function wordCount(message: LlmMessage): number {
  const { content } = message;
  const texts =
    typeof content === 'string' ? [content] : content.map((part) => (part.type === 'text' ? part.text : part.url));
  const calls = message.role === 'assistant' ? message.toolCalls.map((call) => `${call.name} ${call.arguments}`) : [];
  return [...texts, ...calls].reduce((sum, text) => sum + (text.match(/\S+/g)?.length ?? 0), 0);
}
