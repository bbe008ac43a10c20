import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { type Chunk, type ChunkingStrategy, withText } from './chunk.ts';
import { type Outcome, type ReaderProcess, startReaderProcess } from './extraction/child-process.ts';
import type { Extraction, FailureCode } from './extraction/extraction.ts';
import type { ExtractionAnswer, ExtractionRequest } from './extraction/request.ts';
import { withCopy } from './temporary-copy.ts';

export interface ExtractorOptions {
  logger: Logger;
  /** Megabytes that one reading process may take. 768 by default; 320 are needed to read and chunk anything. */
  memoryMb?: number;
  /** For one file, chunking included. */
  timeoutMs?: number;
  /** Processes at a time. */
  concurrency?: number;
  /** UTF-16 units of text that one file may give. */
  maxCharacters?: number;
  /** Milliseconds after which a process without work is ended. */
  idleMs?: number;
}

/** Either `path` or `stream`. What comes as a stream is put on disk first: documents are read from their end. */
export type FileToExtract = { filename: string; contentType: string | null; chunking?: ChunkingStrategy } & (
  { path: string; stream?: undefined } | { stream: Readable; path?: undefined }
);

export type Extracted =
  | ({ ok: true; chunks: Chunk[] } & Extraction)
  /** The file's own fault, told to those who uploaded it. Only `server_error` may go better another time. */
  | { ok: false; code: FailureCode; message: string };

export interface Extractor {
  /** Text, places and, with `chunking`, chunks of one file. Waits for its turn. Rejects when the signal is aborted. */
  extract(file: FileToExtract, signal?: AbortSignal): Promise<Extracted>;
  /** Bytes: the most memory that one of the processes was seen with. */
  readonly peakMemory: number;
  /** Kills what runs; those who wait are rejected. */
  close(): Promise<void>;
}

const MEGABYTE = 2 ** 20;
/** A process is replaced after so many files: what leaks in a library ends with it. */
const MOST_SERVED = 100;

export function createExtractor({
  logger,
  memoryMb = 768,
  timeoutMs = 120_000,
  concurrency = 1,
  maxCharacters = 10_000_000,
  idleMs = 30_000,
}: ExtractorOptions): Extractor {
  const closing = new AbortController();
  const limits = { maxCharacters, maxWholeFile: Math.floor((memoryMb * MEGABYTE) / 4) };
  // Two files' worth, since the second may be caught in a loop; a process that has used up one gets no further file.
  const cpuSeconds = Math.ceil((2 * timeoutMs) / 1000) + 10;
  const idle: { reader: ReaderProcess; timer: NodeJS.Timeout }[] = [];
  const running = new Set<ReaderProcess>();
  const waiting: (() => void)[] = [];
  const work = new Set<Promise<unknown>>();
  let busy = 0;
  let peakMemory = 0;

  async function turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (busy < concurrency) return void busy++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const give = (): void => resolve();
    const leave = (): void => {
      const at = waiting.indexOf(give);
      if (at === -1) return; // it has its turn already
      waiting.splice(at, 1);
      reject(signal.reason);
    };
    waiting.push(give);
    signal.addEventListener('abort', leave, { once: true });
    await promise.finally(() => signal.removeEventListener('abort', leave));
  }

  function endTurn(): void {
    const next = waiting.shift();
    if (next) next();
    else busy--;
  }

  function take(): ReaderProcess {
    for (let next = idle.pop(); next; next = idle.pop()) {
      clearTimeout(next.timer);
      if (next.reader.alive) return next.reader;
    }
    return startReaderProcess({ memoryMb, cpuSeconds });
  }

  async function putBack(reader: ReaderProcess): Promise<void> {
    const spent = !reader.alive || reader.served >= MOST_SERVED || reader.cpuMs > timeoutMs;
    if (spent || closing.signal.aborted) return reader.kill();
    const timer = setTimeout(() => {
      idle.splice(
        idle.findIndex((each) => each.reader === reader),
        1,
      );
      void reader.kill();
    }, idleMs);
    timer.unref();
    idle.push({ reader, timer });
  }

  async function once(reader: ReaderProcess, request: ExtractionRequest, signal: AbortSignal): Promise<Outcome> {
    const kill = (): void => void reader.kill();
    running.add(reader);
    signal.addEventListener('abort', kill, { once: true });
    try {
      const outcome = await reader.run(request, timeoutMs);
      signal.throwIfAborted();
      return outcome;
    } finally {
      signal.removeEventListener('abort', kill);
      peakMemory = Math.max(peakMemory, reader.peakMemory);
      running.delete(reader);
      await putBack(reader);
    }
  }

  async function read(request: ExtractionRequest, signal: AbortSignal): Promise<Extracted> {
    signal.throwIfAborted();
    const reader = take();
    const fresh = reader.served === 0;
    let outcome = await once(reader, request, signal);
    // What earlier files left behind in a process must not be blamed on this one.
    if (!fresh && blamesProcess(outcome))
      outcome = await once(startReaderProcess({ memoryMb, cpuSeconds }), request, signal);
    if ('ending' in outcome) {
      logger.warn({ ending: outcome.ending, exit: outcome.exit, bytes: request.file.size }, 'a file ended its reader');
      return ended(outcome, timeoutMs, memoryMb);
    }
    const { answer, text } = outcome;
    if (!answer.ok) {
      if (answer.fault) logger.error({ fault: answer.fault, bytes: request.file.size }, 'reading a file failed');
      return { ok: false, code: answer.code, message: answer.message };
    }
    const { cpuMs: _, chunks, ...rest } = answer;
    return { ...rest, text, chunks: chunks.map((range) => withText(text, range)) };
  }

  async function extract(file: FileToExtract, signal: AbortSignal): Promise<Extracted> {
    const { filename, contentType, chunking = null } = file;
    let held = false;
    const readAt = async (path: string): Promise<Extracted> => {
      const { size } = await stat(path);
      return read({ file: { path, size, filename, contentType }, limits, chunking }, signal);
    };
    try {
      await turn(signal);
      held = true;
      return await (file.stream ? withCopy(file.stream, signal, readAt) : readAt(file.path));
    } finally {
      file.stream?.destroy();
      if (held) endTurn();
    }
  }

  return {
    extract(file, signal) {
      const either = signal ? AbortSignal.any([signal, closing.signal]) : closing.signal;
      const promise = extract(file, either);
      work.add(promise);
      const done = (): void => void work.delete(promise);
      promise.then(done, done);
      return promise;
    },
    get peakMemory() {
      return Math.max(peakMemory, ...[...running].map((reader) => reader.peakMemory));
    },
    async close() {
      closing.abort(new DOMException('The extractor is closed.', 'AbortError'));
      await Promise.allSettled([...work]);
      await Promise.all(
        idle.splice(0).map(({ reader, timer }) => {
          clearTimeout(timer);
          return reader.kill();
        }),
      );
    },
  };
}

const blamesProcess = (outcome: Outcome): boolean =>
  'ending' in outcome ? outcome.ending !== 'timeout' : isShortOfMemory(outcome.answer);

const isShortOfMemory = (answer: ExtractionAnswer): boolean => !answer.ok && answer.code === 'out_of_memory';

function ended({ ending }: Outcome & { ending: string }, timeoutMs: number, memoryMb: number): Extracted {
  switch (ending) {
    case 'timeout':
      return {
        ok: false,
        code: 'timeout',
        message: `Reading this file takes longer than ${Math.round(timeoutMs / 1000)} seconds. Split it into smaller files.`,
      };
    case 'out_of_memory':
      return {
        ok: false,
        code: 'out_of_memory',
        message: `Reading this file needs more than ${memoryMb} MB of memory. Split it into smaller files.`,
      };
    default:
      return {
        ok: false,
        code: 'server_error',
        message: 'Reading this file failed for a reason that is not known. Upload it again, or in another format.',
      };
  }
}
