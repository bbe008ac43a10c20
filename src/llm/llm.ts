/**
 * The model behind a port. The engine talks to this and to nothing else: `openai.ts` speaks to any OpenAI-compatible
 * server, `offline.ts` answers without one. Shapes follow OpenAI's chat completions, cut to what a run needs.
 */
export interface Llm {
  /** Name of the driver, shown in `viewer.modelServer.driver` and in the log: `openai` or `offline`. */
  readonly driver: 'openai' | 'offline';
  /** Where it answers from, without credentials; null for the built-in one. */
  readonly baseUrl: string | null;
  /**
   * Runs one model turn and streams its chunks. Ends after exactly one `finish` chunk, or throws:
   * `LlmError` for what the server said or failed to say, the signal's reason on abort.
   */
  stream(request: LlmRequest, signal: AbortSignal): AsyncIterable<LlmChunk>;
  /** What the server offers; throws `LlmError`. */
  models(signal?: AbortSignal): Promise<LlmModel[]>;
  close(): Promise<void>;
}

export interface LlmModel {
  id: string;
  ownedBy: string | null;
  createdAt: Date | null;
}

export interface LlmRequest {
  model: string;
  messages: LlmMessage[];
  tools: LlmFunction[];
  /** Left out of the wire request when there are no tools. */
  toolChoice: 'auto' | 'none' | 'required' | { name: string };
  parallelToolCalls: boolean;
  /** `auto` and `text` send nothing. */
  responseFormat: LlmResponseFormat;
  temperature: number | null;
  topP: number | null;
  reasoningEffort: string | null;
  /** Upper bound of this turn's completion tokens; null = the server's own. */
  maxCompletionTokens: number | null;
}

export type LlmMessage =
  | { role: 'system'; content: string }
  | { role: 'user'; content: LlmContentPart[] }
  | { role: 'assistant'; content: LlmContentPart[]; toolCalls: { id: string; name: string; arguments: string }[] }
  | { role: 'tool'; toolCallId: string; content: string };

export type LlmContentPart =
  { type: 'text'; text: string } | { type: 'imageUrl'; url: string; detail: 'auto' | 'low' | 'high' };

export interface LlmFunction {
  name: string;
  description: string | null;
  /** A JSON Schema object; null = no parameters. */
  parameters: unknown;
  strict: boolean;
}

export type LlmResponseFormat =
  | { type: 'auto' | 'text' | 'json_object' }
  | { type: 'json_schema'; name: string; description: string | null; schema: unknown; strict: boolean };

export type LlmChunk =
  | { type: 'text'; value: string }
  | { type: 'refusal'; value: string }
  /** Part of a function call. `index` is its place among the turn's calls; `id` and `name` come with its first part. */
  | { type: 'toolCall'; index: number; id: string | null; name: string | null; arguments: string }
  | { type: 'finish'; reason: 'stop' | 'length' | 'tool_calls' | 'content_filter'; usage: LlmUsage | null };

export interface LlmUsage {
  promptTokens: number;
  completionTokens: number;
  totalTokens: number;
  cachedTokens: number | null;
  reasoningTokens: number | null;
}

/** What went wrong at the model server, in the words of `Run.lastError.code` plus what the worker needs to know. */
export class LlmError extends Error {
  override name = 'LlmError';
  readonly code: LlmErrorCode;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** What the server asked for in `Retry-After` or `retry-after-ms`, in milliseconds. */
  readonly retryAfterMs: number | null;
  constructor(
    code: LlmErrorCode,
    message: string,
    options: { retryable?: boolean; retryAfterMs?: number | null; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/** `context_length_exceeded` is for the engine alone: it truncates more and tries once again. */
export type LlmErrorCode =
  | 'server_error'
  | 'rate_limit_exceeded'
  | 'invalid_prompt'
  | 'invalid_image_url'
  | 'model_not_found'
  | 'context_length_exceeded';
