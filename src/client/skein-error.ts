/** What went wrong with a subscription or a request, for whoever can act on it. */
export class SkeinError extends Error {
  override readonly name = 'SkeinError';
  /**
   * The server's code (`NOT_FOUND`, `UNAUTHENTICATED`, …), `CLOSED_<code>` when the connection was closed with a code
   * of the server's, or `UNREACHABLE`.
   */
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Errors as the server sends them: its codes are in `extensions.code`. */
export interface SentError {
  readonly message: string;
  readonly extensions?: Record<string, unknown> | null;
}

export function errorOf(errors: readonly SentError[]): SkeinError {
  const code = errors[0]?.extensions?.code;
  return new SkeinError(typeof code === 'string' ? code : 'INTERNAL', errors.map(({ message }) => message).join('\n'));
}

/** The server had to break off, and says nothing of what was asked for: the same may succeed later. */
const PASSING = new Set(['INTERNAL', 'LIMIT_EXCEEDED', 'HINTS_LOST', 'UNREACHABLE']);
/**
 * Close codes that would come again: a request that is no good (4400), a key that is revoked (4403), a protocol that is
 * not spoken (4406), a message that is too large (1009).
 */
const LASTING = new Set(['CLOSED_4400', 'CLOSED_4403', 'CLOSED_4406', 'CLOSED_1009']);

/** The token was not taken, or its time is over: whoever makes tokens may make another. */
const REFUSALS = new Set(['CLOSED_4401', 'CLOSED_4419', 'TOKEN_EXPIRED']);

export const isRefusal = ({ code }: SkeinError): boolean => REFUSALS.has(code);

/** Whether it is worth trying again. */
export const mayPass = ({ code }: SkeinError): boolean =>
  PASSING.has(code) || REFUSALS.has(code) || (code.startsWith('CLOSED_') && !LASTING.has(code));
