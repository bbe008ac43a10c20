import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Db } from '../db/db.ts';
import { columns } from '../db/rows.ts';
import { NotFoundError } from '../errors.ts';
import { type File, type NewFile, NOT_EXPIRED } from './file.ts';
import { createPurge, deleteFiles, type Purge } from './purge.ts';
import type { ByteRange, ByteStream, Storage } from './storage.ts';
import { createStore, type Limits, removeBytes } from './store.ts';
import { createUploads, type Uploads } from './uploads.ts';

/** A file with a way to its bytes. */
export interface StoredFile extends File {
  bytes: number;
  /** The bytes, or a range of them. Whoever takes the stream reads it to its end or destroys it. */
  read(range?: ByteRange): Promise<Readable>;
}

/** Files of projects: their rows and their bytes. */
export interface Files extends Purge {
  readonly uploads: Uploads;
  /** Stores a file. `id` where it was settled before. A stream that fails, or is refused, leaves nothing behind. */
  create(
    projectId: string,
    file: NewFile,
    stream: ByteStream,
    options?: { id?: string; signal?: AbortSignal },
  ): Promise<File>;
  /** A file of the project, or null when there is none, or none any more. */
  open(projectId: string, id: string): Promise<StoredFile | null>;
  /** The same for whoever comes with a link, which stands for the project. */
  openLinked(id: string): Promise<StoredFile | null>;
  /** Deletes a file: its row at once, its bytes now or, where that fails, later. Throws `NotFoundError`. */
  delete(projectId: string, id: string): Promise<void>;
  /** Takes back what is being stored, and waits until that is done. */
  close(): Promise<void>;
}

type Row = File & { storageKey: string };

export function createFiles(options: { db: Db; storage: Storage; limits: Limits; logger: Logger }): Files {
  const { db, storage, logger } = options;
  const store = createStore(options);

  async function open(id: string, projectId: string | null): Promise<StoredFile | null> {
    const [row] = await db.query<Row>({
      name: 'file-open',
      text: `select ${columns('File', 't')} from file t
where t.id = $1 and ($2::text is null or t.project_id = $2) and ${NOT_EXPIRED}`,
      values: [id, projectId],
    });
    if (!row) return null;
    const { storageKey, ...file } = row;
    return { ...file, bytes: Number(row.bytes), read: (range) => storage.get(storageKey, range) };
  }

  return {
    ...createPurge({ db, storage, logger }),
    uploads: createUploads({ db, store }),
    create: (projectId, file, stream, more) => store.put(projectId, file, stream, more),
    open: (projectId, id) => open(id, projectId),
    openLinked: (id) => open(id, null),

    async delete(projectId, id) {
      const [gone] = await db.query<{ key: string }>({
        name: 'file-delete',
        text: deleteFiles(`select t.id from file t where t.id = $1 and t.project_id = $2 and ${NOT_EXPIRED}`),
        values: [id, projectId],
      });
      if (!gone) throw new NotFoundError('file', id, ['input', 'fileId']);
      try {
        await removeBytes(db, storage, gone.key);
      } catch (error) {
        logger.warn({ err: error, fileId: id }, 'bytes of a deleted file could not be removed; they are removed later');
      }
    },

    close: () => store.close(),
  };
}
