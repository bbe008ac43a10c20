/**
 * Three families of error, decided where they are thrown:
 * `UserError` – expected; a mutation shows it in `userErrors`, elsewhere it is a GraphQL error with its code.
 * `LlmError` (src/llm) – what the model server said or failed to say: ends the run with a code in `Run.lastError`.
 * Anything else – a fault of ours or of what we stand on: masked at the edge, retried by the worker. Abort is not an error.
 */
export type UserErrorCode =
  | 'INVALID_INPUT'
  | 'NOT_FOUND'
  | 'THREAD_BUSY'
  | 'WRONG_RUN_STATUS'
  | 'QUOTA_EXCEEDED'
  | 'CONFLICT'
  | 'UNSUPPORTED_FILE';

export type Path = readonly (string | number)[];

export class UserError extends Error {
  override name = 'UserError';
  readonly code: UserErrorCode;
  readonly path: Path | null;
  constructor(code: UserErrorCode, message: string, path: Path | null = null) {
    super(message);
    this.code = code;
    this.path = path;
  }
}

/** The id names nothing that the caller may see; whether it exists elsewhere is not said. */
export class NotFoundError extends UserError {
  readonly id: string;
  constructor(noun: string, id: string, path: Path | null = null) {
    super('NOT_FOUND', `No ${noun} found with id '${id}'.`, path);
    this.id = id;
  }
}

export class InvalidInputError extends UserError {
  constructor(message: string, path: Path | null = null) {
    super('INVALID_INPUT', message, path);
  }
}

export class ThreadBusyError extends UserError {
  readonly activeRunId: string;
  constructor(message: string, activeRunId: string, path: Path | null = null) {
    super('THREAD_BUSY', message, path);
    this.activeRunId = activeRunId;
  }
}

export class WrongRunStatusError extends UserError {
  readonly status: string;
  constructor(message: string, status: string, path: Path | null = null) {
    super('WRONG_RUN_STATUS', message, path);
    this.status = status;
  }
}

export class ConflictError extends UserError {
  constructor(message: string, path: Path | null = null) {
    super('CONFLICT', message, path);
  }
}

export class QuotaExceededError extends UserError {
  constructor(message: string, path: Path | null = null) {
    super('QUOTA_EXCEEDED', message, path);
  }
}

export class UnsupportedFileError extends UserError {
  constructor(message: string, path: Path | null = null) {
    super('UNSUPPORTED_FILE', message, path);
  }
}

/** Codes of `Run.lastError`, as the original had them plus those seen on its wire. */
export type RunErrorCode =
  'SERVER_ERROR' | 'RATE_LIMIT_EXCEEDED' | 'INVALID_PROMPT' | 'INVALID_IMAGE_URL' | 'MODEL_NOT_FOUND';

export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

interface LoggedError {
  type: string;
  message: string;
  code?: string;
  stack?: string;
  cause?: unknown;
}

/**
 * An error for the log: what it is and where it comes from, and none of the other fields that libraries hang on it.
 * Databases quote whole rows in them (`detail`, `where`), and rows hold what people said. Causes are followed to
 * `depth`.
 */
export function errorForLog(error: unknown, depth = 5): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as { code?: unknown };
  const logged: LoggedError = { type: error.constructor.name, message: error.message };
  if (typeof code === 'string') logged.code = code;
  if (error.stack) logged.stack = error.stack;
  if (error.cause instanceof Error && depth > 0) logged.cause = errorForLog(error.cause, depth - 1);
  return logged;
}
