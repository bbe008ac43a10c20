import type { Logger } from 'pino';
import type { Db, Queryable, Tx } from '../db/db.ts';
import { insertRows } from '../db/rows.ts';
import { InvalidInputError, type Path, QuotaExceededError, UnsupportedFileError } from '../errors.ts';
import { mintId } from '../ids.ts';
import { contentTypeOf, SAMPLE_BYTES } from './content-type.ts';
import type { File, NewFile } from './file.ts';
import { type ByteStream, mintStorageKey, type Storage } from './storage.ts';

export interface Limits {
  /** Bytes of one file. */
  fileBytes: number;
  /** Bytes of all files of a project. */
  projectBytes: number;
}

/** The file has more bytes than `MAX_FILE_BYTES` allows. */
export class FileTooLargeError extends InvalidInputError {}

export interface StoreOptions {
  /** Its id, where that was settled before. */
  id?: string;
  signal?: AbortSignal;
  /** Goes with the file's row: in its transaction. */
  commit?(tx: Tx, file: File): Promise<void>;
}

/** The one way in which bytes become a file. */
export interface Store {
  put(projectId: string, file: NewFile, stream: ByteStream, options?: StoreOptions): Promise<File>;
  /** Refuses what is too much before any of it is read. */
  checkSize(projectId: string, bytes: number, path?: Path): Promise<void>;
  /** Takes back what is under way, and waits until that is done. */
  close(): Promise<void>;
}

/** No transfer takes longer; its bytes are kept for twice as long before they count as left behind. */
const TRANSFER_MS = 3_600_000;
const LOOSE_FOR = '2 hours';

const VISION_TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

/**
 * Bytes first, then their row: a file that is there has its bytes. Before the bytes comes a row in `loose_bytes`, which
 * the transaction of the file's row takes away: bytes that no file came of are found by it, whatever has happened.
 */
export function createStore(options: { db: Db; storage: Storage; limits: Limits; logger: Logger }): Store {
  const { db, storage, limits, logger } = options;
  const underWay = new Set<Promise<unknown>>();
  const closing = new AbortController();

  async function announce(projectId: string, key: string): Promise<string> {
    const [row] = await db.query<{ removeAt: string }>({
      name: 'bytes-announce',
      text: `insert into loose_bytes (storage_key, project_id, remove_at) values ($1, $2, now() + interval '${LOOSE_FOR}')
returning remove_at::text as "removeAt"`,
      values: [key, projectId],
    });
    return row!.removeAt;
  }

  async function discard(key: string): Promise<void> {
    try {
      await removeBytes(db, storage, key);
    } catch (error) {
      logger.warn({ err: error }, 'bytes of a broken upload could not be removed; they are removed later');
    }
  }

  async function put(projectId: string, wanted: NewFile, stream: ByteStream, more: StoreOptions): Promise<File> {
    const key = mintStorageKey();
    const signals = [closing.signal, AbortSignal.timeout(TRANSFER_MS), ...(more.signal ? [more.signal] : [])];
    const signal = AbortSignal.any(signals);
    const removeAt = await announce(projectId, key);
    try {
      const seen = watch(stream, Math.min(limits.fileBytes, wanted.bytes ?? Infinity), limits.fileBytes, signal);
      const { bytes, sha256 } = await storage.put(key, seen.stream, signal);
      checkPromises(wanted, bytes, sha256);
      const contentType = await contentTypeOf(seen.sample(), wanted.filename, wanted.contentType ?? null);
      checkPurpose(wanted, contentType);
      const now = Date.now();
      const file: File = {
        id: more.id ?? mintId('File'),
        projectId,
        filename: wanted.filename,
        bytes,
        contentType,
        sha256,
        purpose: wanted.purpose,
        createdAt: new Date(now),
        expiresAt: wanted.expiresAfterSeconds ? new Date(now + wanted.expiresAfterSeconds * 1000) : null,
      };
      await db.tx(async (tx) => {
        const claimed = await tx.query({
          name: 'bytes-claim',
          text: 'delete from loose_bytes where storage_key = $1 and remove_at = $2::timestamptz returning storage_key',
          values: [key, removeAt],
        });
        if (claimed.length === 0) throw new Error('the bytes of an upload were removed before it was done');
        await lockQuota(tx, projectId);
        await checkQuota(tx, limits, projectId, bytes);
        await more.commit?.(tx, file);
        await tx.query(insertRows('File', [{ ...file, storageKey: key }]));
      });
      return file;
    } catch (error) {
      await discard(key);
      throw error;
    }
  }

  return {
    put(projectId, file, stream, more = {}) {
      const work = put(projectId, file, stream, more);
      const over: Promise<unknown> = Promise.allSettled([work]).then(() => underWay.delete(over));
      underWay.add(over);
      return work;
    },
    async checkSize(projectId, bytes, path) {
      if (bytes > limits.fileBytes) throw tooLarge(limits.fileBytes, path);
      await checkQuota(db, limits, projectId, bytes, path);
    },
    async close() {
      closing.abort();
      await Promise.all(underWay);
    },
  };
}

/** Removes bytes, and then the row that says that they are to be removed. */
export async function removeBytes(db: Db, storage: Storage, key: string): Promise<void> {
  await storage.delete(key);
  await db.query({ name: 'bytes-gone', text: 'delete from loose_bytes where storage_key = $1', values: [key] });
}

const tooLarge = (fileBytes: number, path?: Path) =>
  new FileTooLargeError(`The file is larger than ${fileBytes} bytes, which MAX_FILE_BYTES allows.`, path);

/** The stream as it passes: its first bytes are kept, and it breaks off where it is more than it may be. */
function watch(stream: ByteStream, most: number, fileBytes: number, signal: AbortSignal) {
  const head: Uint8Array[] = [];
  let kept = 0;
  async function* pass(): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const chunk of abortable(stream, signal)) {
      bytes += chunk.byteLength;
      if (bytes > fileBytes) throw tooLarge(fileBytes);
      if (bytes > most) throw new InvalidInputError(`The file was said to have ${most} bytes, and has more.`);
      if (kept < SAMPLE_BYTES) {
        // A copy: what the storage does with the chunk is its own affair.
        const part = Uint8Array.from(chunk.subarray(0, SAMPLE_BYTES - kept));
        head.push(part);
        kept += part.byteLength;
      }
      yield chunk;
    }
  }
  return { stream: pass(), sample: () => Buffer.concat(head) };
}

/** The stream until the signal: also one that has fallen silent is left then. */
async function* abortable(stream: ByteStream, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const iterator = stream[Symbol.asyncIterator]();
  let abort: () => void = () => {};
  const onAbort = () => abort();
  signal.addEventListener('abort', onAbort, { once: true });
  // A promise of its own for every chunk: one for all of them, in a race with each, would keep every chunk alive.
  const next = () =>
    new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
      abort = () => reject(signal.reason);
      if (signal.aborted) abort();
      else iterator.next().then(resolve, reject);
    });
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await next();
      if (done) {
        ended = true;
        return;
      }
      yield value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Not waited for: a silent stream answers when it wants to.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

function checkPromises(wanted: NewFile, bytes: number, sha256: string): void {
  if (wanted.bytes != null && wanted.bytes !== bytes)
    throw new InvalidInputError(`The file was said to have ${wanted.bytes} bytes, and has ${bytes}.`);
  if (wanted.sha256 != null && wanted.sha256 !== sha256)
    throw new InvalidInputError(`The file was said to have the SHA-256 ${wanted.sha256}, and has ${sha256}.`);
}

function checkPurpose({ purpose }: NewFile, contentType: string): void {
  if (purpose === 'VISION' && !VISION_TYPES.includes(contentType)) {
    throw new UnsupportedFileError(
      `A file for VISION is a PNG, JPEG, GIF or WebP image; by its bytes this one is ${contentType}.`,
    );
  }
}

/** Files of a project are committed one after the other, so that each sees what the ones before have taken. */
async function lockQuota(tx: Tx, projectId: string): Promise<void> {
  tx.write({
    name: 'files-lock-project',
    text: 'select 1 from project where id = $1 for no key update',
    values: [projectId],
  });
}

async function checkQuota(q: Queryable, limits: Limits, projectId: string, bytes: number, path?: Path): Promise<void> {
  const [row] = await q.query<{ taken: string }>({
    name: 'files-taken',
    text: 'select coalesce(sum(bytes), 0)::text as taken from file where project_id = $1',
    values: [projectId],
  });
  if (Number(row!.taken) + bytes <= limits.projectBytes) return;
  throw new QuotaExceededError(
    `The files of this project take ${row!.taken} of ${limits.projectBytes} bytes (MAX_PROJECT_FILE_BYTES); ` +
      `there is no room for ${bytes} more. Delete some first.`,
    path,
  );
}
