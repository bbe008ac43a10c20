import type { Body } from './body.ts';
import { runCall } from './call.ts';
import { BoxEndedError, createConversation, type Message } from './conversation.ts';
import { fileNameFault, filePathFault } from './file-name.ts';
import { type CallLimits, callLimits, type SandboxLimits } from './limits.ts';
import { readFiles } from './read-answer.ts';
import {
  type BoxFile,
  type ExecuteOptions,
  type InputFile,
  type LostReason,
  type Result,
  SandboxFileError,
  SessionLostError,
} from './sandbox.ts';

const KIB = 1024;
/** Bytes of a file in one message. */
const CHUNK = 256 * KIB;
/** Milliseconds for the runner's own small tasks, on a machine that has much else to do. */
const TASK_TIME = 60_000;

/** One living box. Frozen whenever nothing is asked of it. */
export interface Box {
  readonly python: string;
  /** Why it ended; null while it lives. */
  readonly lost: LostReason | null;
  /** Resolves when no process of it is left. */
  readonly gone: Promise<LostReason>;
  /** `more` are limits that those of the call itself go before. */
  execute(code: string, options?: ExecuteOptions, more?: Partial<CallLimits>): Promise<Result>;
  put(file: InputFile): Promise<void>;
  list(): Promise<BoxFile[]>;
  get(file: BoxFile): AsyncIterable<Uint8Array>;
  /** Which of these can be imported: pairs of what is imported and the package that it comes in. */
  packages(names: readonly (readonly [string, string])[]): Promise<{ name: string; version: string }[]>;
  end(reason: LostReason): Promise<void>;
}

export function createBox(body: Body, limits: SandboxLimits): Box {
  const conversation = createConversation(body);
  let lost: LostReason | null = null;
  let endedBy: LostReason | null = null;
  /** The end of the queue of what is asked. */
  let queue: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let running: Promise<Result> | null = null;

  // A call that the box ended with knows best why.
  const gone = conversation.ended.then(async () => {
    const result = await running?.catch(() => null);
    return (lost ??= result?.lost ?? endedBy ?? 'crashed');
  });
  body.freeze();

  /** Everything that wakes the box goes through here, one after the other. */
  async function alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = queue;
    const { promise, resolve } = Promise.withResolvers<void>();
    queue = promise;
    waiting += 1;
    await turn;
    try {
      if (lost) throw new SessionLostError(lost);
      body.thaw();
      return await work();
    } catch (error) {
      if (!(error instanceof BoxEndedError)) throw error;
      throw new SessionLostError(await gone);
    } finally {
      waiting -= 1;
      if (waiting === 0 && !lost) body.freeze();
      resolve();
    }
  }

  async function task(message: Message & { op: string }): Promise<Message> {
    const timer = setTimeout(() => {
      endedBy ??= 'crashed';
      body.kill();
    }, TASK_TIME);
    try {
      const answer = await conversation.ask({ message, budget: 2 * 1024 * KIB });
      if (typeof answer.failed === 'string')
        throw new SandboxFileError(`the file could not be carried: ${answer.failed}`);
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  async function putWhole(file: InputFile): Promise<void> {
    try {
      await putChunks(file);
    } catch (error) {
      // Half of a file would pass for all of it, and on a full disk leave no room for anything. What it failed of is told.
      if (!(error instanceof BoxEndedError)) await task({ op: 'drop', name: file.name });
      throw error;
    }
  }

  async function putChunks({ name, content }: InputFile): Promise<void> {
    let sent = 0;
    let first = true;
    const send = async (chunk: Uint8Array): Promise<void> => {
      sent += chunk.length;
      if (sent > limits.box.fileBytes) throw tooLarge(limits.box.fileBytes);
      const data = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('base64');
      await task({ op: 'put', name, first, data });
      first = false;
    };
    for await (const piece of content) {
      for (let at = 0; at < piece.length; at += CHUNK) await send(piece.subarray(at, at + CHUNK));
    }
    if (first) await send(new Uint8Array());
  }

  async function* getChunks({ path, size: said }: BoxFile): AsyncGenerator<Uint8Array> {
    const fault = filePathFault(path);
    if (fault) throw new SandboxFileError(`the name of the file ${fault}`);
    let version: unknown = null;
    for (let offset = 0, more = true; more;) {
      const answer = await alone(() => task({ op: 'get', path, offset }));
      const size = Number(answer.size);
      if (version !== null && answer.version !== version)
        throw new SandboxFileError('the file changed while it was read');
      version = answer.version;
      if (!(size <= limits.box.fileBytes)) throw tooLarge(limits.box.fileBytes);
      // How much a call may hand out was reckoned with what was said.
      if (size !== said) throw new SandboxFileError('the file has another size than was said');
      const chunk = Buffer.from(String(answer.data), 'base64');
      offset += chunk.length;
      if (offset > size || (chunk.length === 0 && offset < size)) {
        throw new SandboxFileError('the file has another size than it says');
      }
      more = offset < size;
      if (chunk.length > 0) yield chunk;
    }
  }

  return {
    python: body.python,
    get lost() {
      return lost;
    },
    gone,
    execute: (code, options = {}, more = {}) =>
      alone(async () => {
        const now = callLimits(limits.call, more, options.limits);
        if (options.signal?.aborted) return notRun('cancelled', 'The code was cancelled before it began.');
        if (Buffer.byteLength(code) > now.codeBytes) {
          const message = `the code is longer than ${now.codeBytes} bytes and was not run`;
          const error = { name: 'CodeTooLong', message, traceback: `CodeTooLong: ${message}\n` };
          return { ...notRun('error', null), logs: error.traceback, error };
        }
        const call = { body, conversation, code, limits: now, boxLimits: limits.box, options, endedBy: () => endedBy };
        running = runCall(call);
        const result = await running.finally(() => (running = null));
        if (!result.lost) {
          if (await body.tidy()) return result;
          // It bred faster than it could be killed. What it said before stands.
          endedBy ??= 'processes';
          body.kill();
        }
        return { ...result, files: [], lost: await gone };
      }),
    put: (file) => {
      const fault = fileNameFault(file.name);
      if (fault) return Promise.reject(new SandboxFileError(`the name of the file ${fault}`));
      if ((file.size ?? 0) > limits.box.fileBytes) return Promise.reject(tooLarge(limits.box.fileBytes));
      return alone(() => putWhole(file));
    },
    list: () => alone(async () => readFiles((await task({ op: 'list' })).files).files),
    get: getChunks,
    packages: (names) =>
      alone(async () => {
        const { packages } = await task({ op: 'packages', names });
        return Object.entries(packages as Record<string, string>).map(([name, version]) => ({ name, version }));
      }),
    async end(reason) {
      endedBy ??= reason;
      body.kill();
      await gone;
    },
  };
}

const tooLarge = (most: number): SandboxFileError =>
  new SandboxFileError(`the file is larger than ${most} bytes`);

function notRun(status: Result['status'], notice: string | null): Result {
  return {
    status,
    logs: '',
    logsOmitted: 0,
    value: null,
    error: null,
    images: [],
    imagesOmitted: 0,
    files: [],
    filesOmitted: 0,
    usage: { wallMs: 0, cpuMs: null, peakMemoryBytes: null },
    lost: null,
    notice,
  };
}
