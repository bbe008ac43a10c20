import type { Db } from '../db/db.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../errors.ts';
import type { File, FilePurpose, NewFile } from './file.ts';
import type { ByteStream } from './storage.ts';
import type { Store } from './store.ts';

/** An upload that was announced. It is known for two days, longer than an idempotency key that leads to it. */
export interface Upload {
  id: string;
  projectId: string;
  fileId: string | null;
}

export const UPLOAD_KEPT = '48 hours';

/** What came with the bytes, beside them. */
export interface Arriving {
  contentType: string | null;
  /** Bytes, where they were said beforehand. */
  contentLength: number | null;
  signal: AbortSignal;
  /** Called when nothing speaks against the upload any more and its bytes are about to be read. */
  begin(): void;
}

/** A link that was used before: its upload is done. */
export class UsedUploadError extends ConflictError {
  readonly fileId: string;
  constructor(fileId: string) {
    super(`This upload is done: it made ${fileId}. Every file needs an upload of its own.`);
    this.fileId = fileId;
  }
}

export interface Uploads {
  create(projectId: string, id: string, file: NewFile): Promise<void>;
  find(projectId: string, id: string): Promise<Upload | null>;
  /** Stores the bytes of an upload; its link has been checked. */
  receive(id: string, stream: ByteStream, arriving: Arriving): Promise<File>;
}

interface Row extends Upload {
  filename: string;
  purpose: FilePurpose;
  contentType: string | null;
  bytes: string | null;
  sha256: string | null;
  expiresAfterSeconds: number | null;
}

export function createUploads({ db, store }: { db: Db; store: Store }): Uploads {
  async function read(id: string): Promise<Row | null> {
    const [row] = await db.query<Row>({
      name: 'upload-read',
      text: `select id, project_id as "projectId", filename, purpose, content_type as "contentType", bytes::text, sha256,
  expires_after_seconds as "expiresAfterSeconds", file_id as "fileId"
from upload where id = $1 and created_at > now() - interval '${UPLOAD_KEPT}'`,
      values: [id],
    });
    return row ?? null;
  }

  return {
    async create(projectId, id, { filename, purpose, contentType, bytes, sha256, expiresAfterSeconds }) {
      if (bytes != null) await store.checkSize(projectId, bytes, ['input', 'bytes']);
      await db.query({
        name: 'upload-create',
        text: `insert into upload (id, project_id, filename, purpose, content_type, bytes, sha256, expires_after_seconds, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, now())`,
        values: [id, projectId, filename, purpose, contentType, bytes, sha256, expiresAfterSeconds],
      });
    },

    async find(projectId, id) {
      const row = await read(id);
      return row?.projectId === projectId ? row : null;
    },

    async receive(id, stream, { contentType, contentLength, signal, begin }) {
      const upload = await read(id);
      if (!upload) throw new NotFoundError('upload', id);
      if (upload.fileId) throw new UsedUploadError(upload.fileId);
      const bytes = upload.bytes === null ? null : Number(upload.bytes);
      if (bytes !== null && contentLength !== null && bytes !== contentLength) {
        throw new InvalidInputError(`The upload was made for ${bytes} bytes, and ${contentLength} are coming.`);
      }
      await store.checkSize(upload.projectId, contentLength ?? bytes ?? 0);
      begin();
      const wanted = { ...upload, contentType: upload.contentType ?? contentType, bytes };
      return store.put(upload.projectId, wanted, stream, {
        signal,
        async commit(tx, file) {
          const claimed = await tx.query({
            name: 'upload-use',
            text: 'update upload set file_id = $2 where id = $1 and file_id is null returning id',
            values: [id, file.id],
          });
          if (claimed.length > 0) return;
          const [used] = await tx.query<{ fileId: string }>({
            name: 'upload-used-by',
            text: 'select file_id as "fileId" from upload where id = $1',
            values: [id],
          });
          throw used ? new UsedUploadError(used.fileId) : new NotFoundError('upload', id);
        },
      });
    },
  };
}
