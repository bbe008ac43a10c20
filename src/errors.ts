/**
 * Three families of error, decided where they are thrown:
 * `UserError` – expected; a mutation shows it in `userErrors`, elsewhere it is a GraphQL error with its code.
 * `TerminalError` – ends the run with a code that the caller sees in `Run.lastError`.
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

/** Codes of `Run.lastError`, as the original had them plus those seen on its wire. */
export type RunErrorCode =
  | 'SERVER_ERROR'
  | 'RATE_LIMIT_EXCEEDED'
  | 'INVALID_PROMPT'
  | 'INVALID_IMAGE_URL'
  | 'MODEL_NOT_FOUND';

export class TerminalError extends Error {
  override name = 'TerminalError';
  readonly code: RunErrorCode;
  constructor(code: RunErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

interface LoggedError {
  type: string;
  message: string;
  code?: string;
  stack?: string;
  cause?: LoggedError;
}

/**
 * An error for the log: what it is and where it comes from, and none of the other fields that libraries hang on it.
 * Databases quote whole rows in them (`detail`, `where`), and rows hold what people said.
 */
export function errorForLog(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as { code?: unknown };
  return {
    type: error.constructor.name,
    message: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    ...(error.stack ? { stack: error.stack } : {}),
    ...(error.cause instanceof Error && depth < 5 ? { cause: errorForLog(error.cause, depth + 1) as LoggedError } : {}),
  };
}

export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
