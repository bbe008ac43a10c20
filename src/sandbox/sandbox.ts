import type { CallLimits } from './limits.ts';

/**
 * Where untrusted Python runs. Everything that comes out of it (logs, values, images, names and contents of files) is the
 * attacker's data; what stopped a call is the host's own finding and never read from the box.
 */
export interface Sandbox {
  readonly driver: Driver;
  describe(): Description;
  /**
   * The session of a key, or a new one with the files put into it. Whoever opens it holds it: a held session is not
   * evicted, and has to be released. Waits for room; rejects with SandboxFullError when there is none for too long.
   */
  open(options: OpenOptions): Promise<Session>;
  /** Ends every session; resolves when no process is left. */
  close(): Promise<void>;
}

export type Driver = 'pyodide' | 'bubblewrap';

export interface Description {
  driver: Driver;
  /** Why this one, in words: for the log, the health report and whoever wonders where pandas is. */
  reason: string;
  /** Version of the language. */
  python: string;
  /** Packages beside the standard library: name and version. */
  packages: readonly { name: string; version: string }[];
  /** What stands between the code and the machine, one sentence each. */
  isolation: readonly string[];
}

export interface OpenOptions {
  /** Calls with the same key see the same variables and files. */
  key: string;
  /** Whose it is; how many sessions a project may have at once is limited. */
  project: string;
  /** Put under /mnt/data of a new session; one that is there already is left as it is. */
  files?: readonly InputFile[];
  /** For every call of the session; a call's own limits go before them. */
  limits?: Partial<CallLimits>;
  /** Stops waiting for room. */
  signal?: AbortSignal;
}

export interface InputFile {
  /** One name without a path; see `fileNameFault`. */
  name: string;
  /** Bytes, where they are known: one that is too large is refused before any of it is read. */
  size?: number;
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface Session extends AsyncDisposable {
  readonly key: string;
  /** What lives behind it: one object for all who hold the session, and another one for the session that comes after it. */
  readonly life: Life;
  /** True for whoever opened it first: its files have just been put, and no variable is set. */
  readonly fresh: boolean;
  /** How the last session of this key ended, if this one is new and there was one: the model has to be told. */
  readonly previous: LostReason | null;
  /** Why this session is no more; null while it lives. Nothing can be asked of a lost session. */
  readonly lost: LostReason | null;
  /** One call at a time; others wait for their turn. Rejects with SessionLostError when the session is lost before it. */
  execute(code: string, options?: ExecuteOptions): Promise<Result>;
  /** Puts a file under /mnt/data, in place of one of its name; of one that cannot be carried whole nothing stays. */
  put(file: InputFile): Promise<void>;
  /** Regular files under /mnt/data. */
  list(): Promise<BoxFile[]>;
  /** The bytes of one of them. Fails when it has another size than was said of it, or changes while it is read. */
  get(file: BoxFile): AsyncIterable<Uint8Array>;
  /** Lets the session be frozen, evicted, and opened by others. Once for each `open`; further calls do nothing. */
  release(): void;
  /** Ends the session, whoever else holds it. */
  close(): Promise<void>;
}

export interface Life {
  /** No other session's, whichever host it lives on. */
  readonly id: string;
}

export interface ExecuteOptions {
  /** Told of logs and images as they come. The texts of all of a call's `logs` events make its `Result.logs`. */
  onEvent?: (event: ExecutionEvent) => void;
  /** Interrupts the code; what does not end within the grace is killed. Not an error: the status is `cancelled`. */
  signal?: AbortSignal;
  limits?: Partial<CallLimits>;
}

export type ExecutionEvent = { type: 'logs'; text: string } | { type: 'image'; image: Image };

export interface Image {
  mediaType: 'image/png';
  bytes: Uint8Array;
}

export interface BoxFile {
  /** Relative to /mnt/data, with slashes; every part has passed `fileNameFault`. */
  path: string;
  /** Bytes, as the box says. */
  size: number;
}

/**
 * ok        – it ran to its end
 * error     – it raised an exception (`error` tells which), a MemoryError or a full disk among them
 * timeout   – the host stopped it: wall clock
 * cancelled – the caller's signal did
 * memory    – all processes together took more than the box may have
 * cpu       – more processor time than a call or the session may take
 * output    – more was printed than is read
 * disk      – more files than the box may hold
 * processes – more processes than the box may hold
 * crashed   – the interpreter ended by itself
 */
export type ExecutionStatus =
  'ok' | 'error' | 'timeout' | 'cancelled' | 'memory' | 'cpu' | 'output' | 'disk' | 'processes' | 'crashed';

export interface Result {
  status: ExecutionStatus;
  /**
   * What a terminal would have shown: both streams in the order they were written, the value of a last expression, and the
   * traceback. Well-formed text without NUL; of too much of it, the beginning and the end.
   */
  logs: string;
  /** Bytes that `logs` leaves out. */
  logsOmitted: number;
  /** The repr of the last expression, which `logs` ends with; null when there was none, or None. */
  value: string | null;
  /** Set with `error`; null otherwise. */
  error: { name: string; message: string; traceback: string } | null;
  images: readonly Image[];
  imagesOmitted: number;
  /** New and changed files under /mnt/data, together no more than may lie there; none when the session was lost. */
  files: readonly BoxFile[];
  filesOmitted: number;
  usage: { wallMs: number; cpuMs: number | null; peakMemoryBytes: number | null };
  /** Set when the session did not survive the call. */
  lost: LostReason | null;
  /** What the host has to add, in words for the model: why the code was stopped and what became of its variables. */
  notice: string | null;
}

export type LostReason = Exclude<ExecutionStatus, 'ok' | 'error'> | 'idle' | 'expired' | 'evicted' | 'closed';

/** The session was lost before what was asked of it could begin, or while a file was carried. */
export class SessionLostError extends Error {
  override name = 'SessionLostError';
  readonly reason: LostReason;
  constructor(reason: LostReason) {
    super(`the sandbox session is lost: ${reason}`);
    this.reason = reason;
  }
}

/** Every session that there may be is held by somebody, and stayed so for as long as `open` waits. */
export class SandboxFullError extends Error {
  override name = 'SandboxFullError';
}

/** No box of the wanted kind can be made here. The message names the driver, the cause and what can be done. */
export class SandboxUnavailableError extends Error {
  override name = 'SandboxUnavailableError';
}

/** A file that cannot be carried: a bad name, too large, not there, changed while it was read. */
export class SandboxFileError extends Error {
  override name = 'SandboxFileError';
}
