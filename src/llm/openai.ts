import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import type { Logger } from 'pino';
import { createChunkParser } from './chunk-parser.ts';
import { type Llm, type LlmChunk, LlmError, type LlmMessage, type LlmRequest } from './llm.ts';
import { complaintOf, errorBody, llmErrorOf } from './openai-errors.ts';
import { createOpenAiFetch } from './openai-fetch.ts';
import { createTextReader, DisconnectError, IdleTimeoutError, type TextReader } from './text-reader.ts';

type Body = OpenAI.Chat.Completions.ChatCompletionCreateParamsStreaming;
type BodyMessage = OpenAI.Chat.Completions.ChatCompletionMessageParam;

const OPENAI_URL = 'https://api.openai.com/v1';
/** Milliseconds to wait for usage after the answer is complete, and for the body's end after `[DONE]`. */
const USAGE_GRACE = 2000;
const DRAIN_GRACE = 1000;
/** Socket and TLS errors that the next try will meet again. */
const HOPELESS = /CERT|TLS|SSL|ERR_INVALID|HPE_/;

export interface OpenAiOptions {
  /** null = the server asks for none. */
  apiKey: string | null;
  /** null = OpenAI itself. */
  baseUrl: string | null;
  /** The longest silence of the server, in milliseconds. */
  timeoutMs: number;
  logger: Logger;
}

/** Any server that speaks OpenAI's chat completions. Does not retry: the engine does, and its runs outlive us. */
export function createOpenAi({ apiKey, baseUrl, timeoutMs, logger }: OpenAiOptions): Llm {
  const url = baseUrl ?? OPENAI_URL;
  if (/[^\x21-\x7e]/.test(apiKey ?? '')) throw new Error('OPENAI_API_KEY holds characters that no header can carry');
  const transport = createOpenAiFetch({ errorBody });
  // Whatever the SDK would otherwise read from the environment is given here: configuration has one reader.
  const client = new OpenAI({
    apiKey: apiKey ?? 'none',
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    baseURL: url,
    defaultHeaders: apiKey === null ? { authorization: null } : {},
    fetch: transport.fetch,
    timeout: timeoutMs,
    maxRetries: 0,
    logLevel: 'off',
  });
  const secrets = secretsOf(apiKey, url);
  const refusesParallel = new URL(url).hostname === 'api.openai.com';

  /** `begun`: chunks are out already, so the same request again would say them twice. */
  const errorOf = (error: unknown, begun: boolean): unknown => {
    const known = error instanceof LlmError ? error : translate(error, timeoutMs);
    if (known === null) return error;
    const { code, message, retryable, retryAfterMs, cause } = known;
    return new LlmError(code, hide(message, secrets), { retryable: retryable && !begun, retryAfterMs, cause });
  };

  async function* stream(request: LlmRequest, signal: AbortSignal): AsyncGenerator<LlmChunk, void, undefined> {
    signal.throwIfAborted();
    let reader: TextReader | null = null;
    let begun = false;
    let drainMs = 0;
    try {
      const response = await client.chat.completions
        .create(bodyOf(request, refusesParallel), { signal, headers: { accept: 'text/event-stream' } })
        .asResponse();
      reader = createTextReader(transport.message(response), signal, timeoutMs);
      const parser = createChunkParser();
      while (!parser.done && parser.failure === null) {
        const awaitsUsage = parser.finished;
        let text: string | null;
        try {
          text = await reader.next();
        } catch (error) {
          if (!awaitsUsage) throw error;
          break; // the answer is complete; only its usage is lost
        }
        if (text === null) break;
        for (const chunk of parser.feed(text)) {
          begun = true;
          yield chunk;
          signal.throwIfAborted();
        }
        if (parser.finished && !awaitsUsage) reader.setIdle(Math.min(timeoutMs, USAGE_GRACE));
      }
      signal.throwIfAborted();
      drainMs = parser.failure === null ? DRAIN_GRACE : 0;
      let finished = false;
      for (const chunk of parser.end()) {
        begun = true;
        finished ||= chunk.type === 'finish';
        yield chunk;
        signal.throwIfAborted();
      }
      if (parser.failure !== null) throw llmErrorOf(parser.failure);
      if (!finished) throw endedEarly(response.headers.get('content-type'));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const failure = errorOf(error, begun);
      logger.debug({ err: failure, model: request.model, begun }, 'a model turn failed');
      throw failure;
    } finally {
      reader?.close(drainMs);
    }
  }

  return {
    driver: 'openai',
    baseUrl: withoutCredentials(url),
    stream,
    async models(signal) {
      try {
        signal?.throwIfAborted();
        // The SDK takes a body of any shape, a page even, for an empty list.
        const response = await client.models.list({ signal }).asResponse();
        const { data } = (await response.json()) as { data?: Partial<OpenAI.Model>[] };
        if (!Array.isArray(data)) throw serverError('The model server did not answer with a list of models');
        return data
          .filter((model) => typeof model.id === 'string')
          .map((model) => ({
            id: model.id as string,
            ownedBy: model.owned_by ?? null,
            createdAt: typeof model.created === 'number' ? new Date(model.created * 1000) : null,
          }));
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        throw errorOf(error, false);
      }
    },
    async close() {
      transport.close();
    },
  };
}

function bodyOf(request: LlmRequest, refusesParallel: boolean): Body {
  const { tools, toolChoice, responseFormat: format } = request;
  const body: Body = {
    model: request.model,
    messages: request.messages.map(messageOf),
    stream: true,
    stream_options: { include_usage: true },
  };
  if (tools.length > 0) {
    body.tools = tools.map(({ name, description, parameters, strict }) => ({
      type: 'function',
      function: {
        name,
        ...(description !== null && { description }),
        // Several servers refuse a function without parameters.
        parameters: (parameters ?? { type: 'object', properties: {} }) as Record<string, unknown>,
        ...(strict && { strict }),
      },
    }));
    if (toolChoice === 'none' || toolChoice === 'required') body.tool_choice = toolChoice;
    else if (toolChoice !== 'auto') body.tool_choice = { type: 'function', function: { name: toolChoice.name } };
    // True is OpenAI's default, and its reasoning models refuse the mere mention; elsewhere false may be the default.
    if (!request.parallelToolCalls || !refusesParallel) body.parallel_tool_calls = request.parallelToolCalls;
  }
  if (format.type === 'json_object') body.response_format = { type: 'json_object' };
  if (format.type === 'json_schema') {
    const { name, description, schema, strict } = format;
    const said = description === null ? {} : { description };
    const json = { name, schema: schema as Record<string, unknown>, strict, ...said };
    body.response_format = { type: 'json_schema', json_schema: json };
  }
  if (request.temperature !== null) body.temperature = request.temperature;
  if (request.topP !== null) body.top_p = request.topP;
  if (request.reasoningEffort !== null) body.reasoning_effort = request.reasoningEffort as OpenAI.ReasoningEffort;
  if (request.maxCompletionTokens !== null) body.max_completion_tokens = request.maxCompletionTokens;
  return body;
}

function messageOf(message: LlmMessage): BodyMessage {
  if (message.role === 'system') return { role: 'system', content: message.content };
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.toolCallId, content: message.content };
  if (message.role === 'user') {
    const [first, second] = message.content;
    // One text goes as a string: not every server takes parts.
    if (second === undefined && first?.type !== 'imageUrl') return { role: 'user', content: first?.text ?? '' };
    const content = message.content.map((part) => {
      if (part.type === 'text') return { type: 'text' as const, text: part.text };
      const detail = part.detail === 'auto' ? {} : { detail: part.detail };
      return { type: 'image_url' as const, image_url: { url: part.url, ...detail } };
    });
    return { role: 'user', content };
  }
  // The assistant's side takes no images, so one that it made earlier is only mentioned.
  const mention = (url: string): string => (url.startsWith('data:') ? '[image]' : `[image: ${url}]`);
  const text = message.content.map((part) => (part.type === 'text' ? part.text : mention(part.url))).join('\n');
  if (message.toolCalls.length === 0) return { role: 'assistant', content: text };
  const calls = message.toolCalls.map(({ id, name, arguments: args }) => ({
    id,
    type: 'function' as const,
    // A call without arguments may have come with none at all; chat templates parse what we send back.
    function: { name, arguments: args === '' ? '{}' : args },
  }));
  return { role: 'assistant', content: text === '' ? null : text, tool_calls: calls };
}

/** The SDK's and the socket's errors in the words of the port; null = not theirs but a fault of ours. */
function translate(error: unknown, timeoutMs: number): LlmError | null {
  if (error instanceof APIConnectionTimeoutError || error instanceof IdleTimeoutError) {
    return serverError(`The model server said nothing for ${timeoutMs / 1000} s`, { retryable: true });
  }
  if (error instanceof SyntaxError) return serverError('The model server answered with broken JSON', { cause: error });
  if (error instanceof APIError && error.status !== undefined) {
    const headers = error.headers ?? null;
    const complaint = complaintOf({ error: error.error }, error.status, headers);
    // Without the SDK's error as its cause: that one holds the server's words as they came.
    return llmErrorOf(complaint ?? { status: error.status, code: null, type: null, message: '', headers });
  }
  const cause = (error instanceof APIConnectionError ? (error.cause ?? error) : error) as NodeJS.ErrnoException;
  const { code } = cause;
  const foreign = error instanceof APIConnectionError || error instanceof DisconnectError;
  if (!foreign && typeof code !== 'string') return null;
  const said = `The connection to the model server failed: ${cause.message || code}`;
  return serverError(said, { retryable: !HOPELESS.test(code ?? ''), cause });
}

function serverError(message: string, options?: { retryable?: boolean; cause?: unknown }): LlmError {
  return new LlmError('server_error', message, options);
}

function endedEarly(contentType: string | null): LlmError {
  const streamed = contentType?.startsWith('text/event-stream') ?? false;
  const hint = streamed ? '' : ` (it sent ${contentType ?? 'no content type'}, not an event stream)`;
  return serverError(`The model server's answer ended without a finish_reason${hint}`, { retryable: streamed });
}

function secretsOf(apiKey: string | null, url: string): string[] {
  const { password } = new URL(url);
  return [apiKey ?? '', password].filter((secret) => secret !== '');
}

function hide(text: string, secrets: readonly string[]): string {
  return secrets.reduce((clean, secret) => clean.replaceAll(secret, '***'), text);
}

function withoutCredentials(url: string): string {
  const clean = new URL(url);
  clean.username = '';
  clean.password = '';
  clean.search = '';
  return clean.href.replace(/\/$/, '');
}
