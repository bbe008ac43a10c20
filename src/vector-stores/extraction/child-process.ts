import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { residentMemory } from './child-memory.ts';
import {
  ANSWERS,
  BYTES_PER_UNIT,
  type ExtractionAnswer,
  type ExtractionRequest,
  LENGTHS,
  MOST_JSON,
} from './request.ts';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
/** Milliseconds between two looks at its memory. The kernel's limit needs none; this is for what it does not count. */
const LOOK = process.platform === 'linux' ? 50 : 500;
/** MB that the kernel counts and Node 24 only reserves: 580 with two threads, a little more with each further one. */
const RESERVED = 640;
/** MB of resident memory beyond the limit that ends a process: it maps its own program from files. */
const PROGRAM = 64;
/** Share of the memory that the JavaScript heap may take; the rest is for buffers. */
const HEAP = 0.6;
/** Characters of what it writes to its error output that are looked at. */
const MOST_LAST_WORDS = 8192;
/** As dash and bash take it: blocks, kilobytes, seconds of processor time. Where a system knows no limit, it has none. */
const LIMITED = 'ulimit -c 0; ulimit -f 0; ulimit -d "$0" 2>/dev/null; ulimit -t "$1" 2>/dev/null; shift; exec "$@"';

export type Ending = 'out_of_memory' | 'timeout' | 'crashed' | 'babbled';
export type Outcome = { text: string; answer: ExtractionAnswer } | { ending: Ending; exit: string };

export interface ReaderProcess {
  /** One file at a time. A process that ends on it, for whatever reason, is of no use afterwards. */
  run(request: ExtractionRequest, timeoutMs: number): Promise<Outcome>;
  readonly alive: boolean;
  /** Files that it was given. */
  readonly served: number;
  /** Milliseconds of processor time, as of its last answer. */
  readonly cpuMs: number;
  /** Bytes, the most that were seen. */
  readonly peakMemory: number;
  kill(): Promise<void>;
}

/**
 * A process that reads files, with nothing of ours in it: no environment, no right to write files, to start processes
 * or threads or to load native code; memory limited by the kernel, by V8 and by looking; processor time limited, so that
 * it ends even if we are killed while it is caught in a loop.
 */
export function startReaderProcess({ memoryMb, cpuSeconds }: { memoryMb: number; cpuSeconds: number }): ReaderProcess {
  const heap = Math.floor(memoryMb * HEAP);
  const node = [
    process.execPath,
    `--max-old-space-size=${heap}`,
    '--v8-pool-size=1',
    '--permission',
    '--allow-fs-read=*',
    '--disable-warning=SecurityWarning',
    '--disable-warning=ExperimentalWarning',
    CHILD,
  ];
  const child = spawn('/bin/sh', ['-c', LIMITED, String((memoryMb + RESERVED) * 1024), String(cpuSeconds), ...node], {
    env: { UV_THREADPOOL_SIZE: '2' },
    cwd: '/',
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
  });
  const answers = child.stdio[ANSWERS] as Readable;
  let alive = true;
  let served = 0;
  let cpuMs = 0;
  let peakMemory = 0;
  let lastWords = '';
  let condemned: Ending | null = null;
  let settle: ((outcome: Outcome) => void) | null = null;
  const received: Buffer[] = [];
  let size = 0;
  let wanted = LENGTHS;
  let mostText = 0;

  const exited = new Promise<void>((done) => {
    const end = (exit: string): void => {
      alive = false;
      const memory = condemned === null && diedOfMemory(child, lastWords);
      settle?.({ ending: condemned ?? (memory ? 'out_of_memory' : 'crashed'), exit });
      settle = null;
      done();
    };
    child.once('error', (error) => end(error.message)); // it could not be started
    child.once('close', (code, signal) => end(signal ?? `code ${code}`));
  });

  function condemn(ending: Ending): void {
    condemned ??= ending;
    child.kill('SIGKILL');
  }

  // Writing to a process that has ended fails; its end is what settles.
  (child.stdin as Writable).on('error', () => {});
  answers.on('error', () => {});
  (child.stderr as Readable).setEncoding('utf8').on('data', (data: string) => {
    lastWords = (lastWords + data).slice(-MOST_LAST_WORDS);
  });
  answers.on('data', (piece: Buffer) => {
    received.push(piece);
    size += piece.length;
    if (size < wanted) return;
    const all = Buffer.concat(received);
    received.splice(0, received.length, all);
    const [json, text] = [all.readUInt32LE(0), all.readUInt32LE(4)];
    wanted = LENGTHS + json + text;
    if (!settle || json > MOST_JSON || text > mostText || size > wanted) return condemn('babbled');
    if (size < wanted) return;
    let answer: ExtractionAnswer;
    try {
      answer = JSON.parse(all.toString('utf8', LENGTHS, LENGTHS + json)) as ExtractionAnswer;
    } catch {
      return condemn('babbled');
    }
    const words = all.toString('utf8', LENGTHS + json);
    received.length = size = 0;
    wanted = LENGTHS;
    cpuMs = answer.cpuMs;
    settle({ answer, text: words });
    settle = null;
  });

  async function watch(): Promise<void> {
    const bytes = child.pid === undefined ? null : await residentMemory(child.pid);
    peakMemory = Math.max(peakMemory, bytes ?? 0);
    if (bytes !== null && bytes > (memoryMb + PROGRAM) * 2 ** 20) condemn('out_of_memory');
  }

  return {
    async run(request, timeoutMs) {
      served++;
      mostText = request.limits.maxCharacters * BYTES_PER_UNIT;
      const outcome = new Promise<Outcome>((done) => {
        settle = done;
      });
      if (!alive) return { ending: 'crashed', exit: 'before it began' };
      child.stdin?.write(`${JSON.stringify(request)}\n`);
      const late = setTimeout(() => condemn('timeout'), timeoutMs);
      const looking = setInterval(() => void watch(), LOOK);
      try {
        return await outcome;
      } finally {
        clearTimeout(late);
        clearInterval(looking);
      }
    },
    get alive() {
      return alive && condemned === null;
    },
    get served() {
      return served;
    },
    get cpuMs() {
      return cpuMs;
    },
    get peakMemory() {
      return peakMemory;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** V8 says so before it aborts; without memory it may only manage to trap. */
function diedOfMemory({ signalCode, exitCode }: ChildProcess, lastWords: string): boolean {
  if (/out of memory|allocation failed|bad_alloc|cannot allocate/i.test(lastWords)) return true;
  return signalCode === 'SIGTRAP' || signalCode === 'SIGABRT' || exitCode === 134 || exitCode === 133;
}
