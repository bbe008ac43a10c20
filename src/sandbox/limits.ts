import type { Driver } from './sandbox.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Of one call. Times are milliseconds, sizes bytes. */
export interface CallLimits {
  wallMs: number;
  /** Of all processes of the box together. */
  cpuMs: number;
  /** How long an interrupted call may take to end before it is killed. */
  graceMs: number;
  codeBytes: number;
  /** Printed text that is kept: the first half and the last. */
  logBytes: number;
  /** Printed text that ends the call; eight times as much, unless it is said. */
  mostLogBytes: number;
  images: number;
  imageBytes: number;
}

/** Of one box, for all its life. */
export interface BoxLimits {
  memoryBytes: number;
  processes: number;
  openFiles: number;
  /** What /mnt/data holds in all. With Pyodide it is part of the memory. */
  dataBytes: number;
  tmpBytes: number;
  /** A file that is put in or handed out. */
  fileBytes: number;
  files: number;
  /** Processor time of one process. */
  cpuMs: number;
}

export interface SessionLimits {
  total: number;
  perProject: number;
  idleMs: number;
  lifeMs: number;
  /** Boxes that stand ready for the next session. */
  warm: number;
  /** How long `open` waits for room. */
  waitMs: number;
}

export interface SandboxLimits {
  call: CallLimits;
  box: BoxLimits;
  sessions: SessionLimits;
}

/** Whatever a caller asks for, a call does not run for longer. */
export const MOST_WALL_MS = 5 * MINUTE;

export interface LimitOptions {
  call?: Partial<CallLimits>;
  box?: Partial<BoxLimits>;
  sessions?: Partial<SessionLimits>;
}

export function limitsOf(driver: Driver, options: LimitOptions = {}): SandboxLimits {
  const { logBytes = MIB } = options.call ?? {};
  return {
    call: {
      wallMs: 60 * SECOND,
      cpuMs: 60 * SECOND,
      graceMs: 2 * SECOND,
      codeBytes: 256 * KIB,
      logBytes,
      mostLogBytes: 8 * logBytes,
      images: 10,
      imageBytes: 5 * MIB,
      ...options.call,
    },
    box: {
      memoryBytes: driver === 'pyodide' ? 512 * MIB : 1024 * MIB,
      processes: 64,
      openFiles: 256,
      dataBytes: 256 * MIB,
      tmpBytes: 64 * MIB,
      fileBytes: 100 * MIB,
      files: 20_000,
      cpuMs: 600 * SECOND,
      ...options.box,
    },
    sessions: {
      total: driver === 'pyodide' ? 8 : 16,
      perProject: 4,
      idleMs: 20 * MINUTE,
      lifeMs: 60 * MINUTE,
      warm: 1,
      waitMs: 30 * SECOND,
      ...options.sessions,
    },
  };
}

/** What is set in `more` goes before `limits`; undefined counts as not set. */
export function callLimits(limits: CallLimits, ...more: (Partial<CallLimits> | undefined)[]): CallLimits {
  const merged = { ...limits };
  for (const some of more) {
    for (const [name, value] of Object.entries(some ?? {})) {
      if (value !== undefined) merged[name as keyof CallLimits] = value;
    }
  }
  return { ...merged, wallMs: Math.min(merged.wallMs, MOST_WALL_MS) };
}
