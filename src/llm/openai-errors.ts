import { LlmError, type LlmErrorCode } from './llm.ts';

/** What a server said went wrong, in the body of a failed response or inside a stream. */
export interface Complaint {
  /** HTTP status, or the number that a server put in its place inside a stream. */
  status: number | null;
  code: string | null;
  type: string | null;
  message: string;
  headers: Headers | null;
}

const MESSAGE_LIMIT = 600;
const IMAGE_CODES = new Set(['invalid_image_url', 'failed_to_download_image', 'image_file_not_found']);
const CONTEXT_CODES = new Set(['context_length_exceeded', 'exceed_context_size_error']);
/** Servers without a code of their own say it in words: vLLM, LM Studio, SGLang. */
const CONTEXT_WORDS = /maximum context length|context (length|window|size)/i;
const RATE_CODES = new Set(['rate_limit_exceeded', 'rate_limit_error', 'too_many_requests', 'tokens', 'requests']);
const QUOTA_CODES = new Set(['insufficient_quota', 'billing_hard_limit_reached', 'billing_not_active']);

export function llmErrorOf(complaint: Complaint): LlmError {
  const { status, headers } = complaint;
  const { code, retryable } = classify(complaint);
  const said = complaint.message === '' ? '' : `: ${complaint.message}`;
  const prefix = status === null ? 'The model server reported an error' : `The model server answered ${status}`;
  const hint =
    code === 'server_error' && isCredentialRefusal(complaint)
      ? ' (check OPENAI_API_KEY)'
      : status !== null && status >= 300 && status < 400
        ? ` (redirected to ${headers?.get('location') ?? 'nowhere'}; the base URL must be the final one)`
        : '';
  const verdict = headers?.get('x-should-retry');
  return new LlmError(code, `${prefix}${hint}${said}`, {
    retryable: verdict === 'false' ? false : retryable,
    retryAfterMs: headers ? retryAfterMs(headers, Date.now()) : null,
  });
}

function classify(complaint: Complaint): { code: LlmErrorCode; retryable: boolean } {
  const { status, message } = complaint;
  const says = (set: ReadonlySet<string>): boolean => set.has(complaint.code ?? '') || set.has(complaint.type ?? '');
  if (status === 402 || says(QUOTA_CODES)) return { code: 'rate_limit_exceeded', retryable: false };
  if (status === 429 || (status === null && says(RATE_CODES))) return { code: 'rate_limit_exceeded', retryable: true };
  if (complaint.code === 'model_not_found') return { code: 'model_not_found', retryable: false };
  if (isCredentialRefusal(complaint)) return { code: 'server_error', retryable: false };
  if (says(CONTEXT_CODES)) return { code: 'context_length_exceeded', retryable: false };
  if (says(IMAGE_CODES)) return { code: 'invalid_image_url', retryable: false };
  if (status === 404) return { code: 'model_not_found', retryable: false };
  if (status === 400 || status === 413 || status === 422) {
    return { code: CONTEXT_WORDS.test(message) ? 'context_length_exceeded' : 'invalid_prompt', retryable: false };
  }
  if (status === null) {
    const refused = complaint.type === 'invalid_request_error';
    return refused ? { code: 'invalid_prompt', retryable: false } : { code: 'server_error', retryable: true };
  }
  return { code: 'server_error', retryable: status === 408 || status === 409 || (status >= 500 && status !== 501) };
}

function isCredentialRefusal({ status, code }: Complaint): boolean {
  return status === 401 || status === 403 || code === 'invalid_api_key';
}

/** Reads an error body of any server's shape; `null` when `body` does not speak of an error. */
export function complaintOf(body: unknown, status: number | null, headers: Headers | null): Complaint | null {
  const outer = Array.isArray(body) ? (body[0] as unknown) : body;
  if (typeof outer !== 'object' || outer === null) return null;
  const fields = outer as Record<string, unknown>;
  const nested = typeof fields['error'] === 'object' ? (fields['error'] as Record<string, unknown> | null) : null;
  const inner = nested ?? fields;
  const said = inner['message'] ?? (inner === fields ? (fields['error'] ?? fields['detail']) : undefined);
  if (said === undefined && inner === fields) return null;
  const number = Number(inner['code']);
  return {
    status: status ?? (Number.isInteger(number) && number >= 400 && number < 600 ? number : null),
    code: typeof inner['code'] === 'string' ? inner['code'] : null,
    type: typeof inner['type'] === 'string' ? inner['type'] : null,
    message: shorten(typeof said === 'string' ? said : JSON.stringify(said ?? inner)),
    headers,
  };
}

/**
 * The body of a failed response in OpenAI's shape, which the SDK reads, whatever its own: Ollama sends a string,
 * FastAPI `detail`, Google an array, a proxy a page.
 */
export function errorBody(text: string): string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = { message: /^\s*</.test(text) ? 'an HTML page' : text.trim() };
  }
  const complaint = complaintOf(body, null, null);
  return JSON.stringify({
    error: { message: complaint?.message ?? shorten(text), type: complaint?.type, code: complaint?.code },
  });
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MESSAGE_LIMIT ? `${line.slice(0, MESSAGE_LIMIT)}…` : line;
}

/** `retry-after-ms`, or `retry-after` in seconds or as an HTTP date. */
function retryAfterMs(headers: Headers, now: number): number | null {
  const ms = headers.get('retry-after-ms');
  if (ms !== null && Number.isFinite(Number(ms))) return Math.max(0, Number(ms));
  const after = headers.get('retry-after');
  if (after === null) return null;
  const milliseconds = Number.isFinite(Number(after)) ? Number(after) * 1000 : Date.parse(after) - now;
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : null;
}
