import { File, fileById } from '../../files/schema.ts';
import { builder } from '../../graphql/builder.ts';
import { connectionOf, pageArgs, pageCost } from '../../graphql/connection.ts';
import { present, RequestError } from '../../graphql/errors.ts';
import { type Batch, byId, type List } from '../../graphql/load.ts';
import { defineNode } from '../../graphql/node.ts';
import { readTexts, TEXT_AT_ONCE, type TextRange } from '../extracted-text.ts';
import {
  FILE_COUNTS,
  type FileCounts as Counts,
  STORE_VIEW,
  storeIsThere,
  type StoreView,
  VECTOR_STORE_FILE_ERRORS,
  VECTOR_STORE_FILE_STATUSES,
  type VectorStoreFile as FileRow,
  type VectorStoreFileBatch as BatchRow,
  type VectorStoreFileError as FileError,
  type VectorStoreFileStatus as FileStatus,
  type VectorStoreStatus as StoreStatus,
} from '../vector-store.ts';
import type { VectorStores } from '../vector-stores.ts';

declare module '../../graphql/context.ts' {
  interface Rooms {
    vectorStores: VectorStores;
  }
}

export const vectorStoreById = byId<StoreView>('VectorStore', STORE_VIEW);
const projectStores: List<StoreView> = {
  name: 'vector-stores',
  table: 'VectorStore',
  parent: 'projectId',
  key: 'id',
  keyType: 'text',
  ...STORE_VIEW,
};

const OF_A_STORE = `exists (select from vector_store s where s.id = t.vector_store_id and ${storeIsThere('s')})`;
const fileReading = {
  except: ['turn', 'failures', 'lost', 'retryAt', 'indexedEpoch', 'owner', 'epoch', 'leaseUntil', 'chunks'],
  where: OF_A_STORE,
};
export const vectorStoreFileById = byId<FileRow>('VectorStoreFile', fileReading);
const listed = { table: 'VectorStoreFile', key: 'id', keyType: 'text', ...fileReading } as const;
const storeFiles: List<FileRow> = { name: 'vector-store-files', parent: 'vectorStoreId', ...listed };
const batchFiles: List<FileRow> = { name: 'vector-store-batch-files', parent: 'batchId', ...listed };
export const vectorStoreFileBatchById = byId<BatchRow>('VectorStoreFileBatch', { where: OF_A_STORE });

const countsBy = (name: string, column: string): Batch<string, Counts> => ({
  name,
  clients: false,
  async read(q, projectId, ids) {
    const rows = await q.query<{ id: string; counts: Counts }>({
      name,
      text: `select f.${column} as id, ${FILE_COUNTS('f')} as counts from vector_store_file f
where f.${column} = any($1) and f.project_id = $2 group by 1`,
      values: [ids, projectId],
    });
    const found = new Map(rows.map(({ id, counts }) => [id, counts]));
    return ids.map((id) => found.get(id) ?? { inProgress: 0, completed: 0, failed: 0, cancelled: 0, total: 0 });
  },
});
export const countsOfStore = countsBy('vector-store-counts', 'vector_store_id');
const countsOfBatch = countsBy('vector-store-batch-counts', 'batch_id');
const texts: Batch<TextRange, string | null> = { name: 'extracted-texts', clients: false, read: readTexts };

const enumOf = <Value extends string>(name: string, description: string, values: Record<Value, string>) =>
  builder.enumType(name, {
    description,
    values: Object.fromEntries(
      Object.entries<string>(values).map(([value, says]) => [value, { description: says }]),
    ) as Record<Value, { description: string }>,
  });

const VectorStoreStatus = enumOf<StoreStatus>('VectorStoreStatus', 'How far a vector store is.', {
  IN_PROGRESS: 'Files are being read in; those that are can be found already.',
  COMPLETED: 'Nothing is being read in. Files may have failed: `fileCounts` says so.',
  EXPIRED: 'Its time is over: nothing is found in it any more, and nothing can be added. Its list of files is left.',
});

const STATUSES: Record<FileStatus, string> = {
  IN_PROGRESS: 'It waits to be read in, or is being read.',
  COMPLETED: 'It can be found.',
  FAILED: '`lastError` says why it cannot be read in.',
  CANCELLED: 'Its batch was cancelled, or its store deleted, before it was read in.',
};
export const VectorStoreFileStatus = enumOf<FileStatus>(
  'VectorStoreFileStatus',
  'How far a file of a vector store is, or a batch of files.',
  Object.fromEntries(VECTOR_STORE_FILE_STATUSES.map((status) => [status, STATUSES[status]])) as typeof STATUSES,
);

const ERRORS: Record<FileError['code'], string> = {
  UNSUPPORTED_FILE: 'No text can be read out of files of this kind.',
  INVALID_FILE: 'The file is damaged, or is not what its name says.',
  ENCRYPTED: 'The file is protected by a password.',
  NO_TEXT: 'There is no text in it: a scan needs to be recognised first.',
  TOO_LARGE: 'It holds more than can be read.',
  TIMEOUT: 'Reading it takes too long.',
  OUT_OF_MEMORY: 'Reading it takes too much memory.',
  SERVER_ERROR: 'This server, or the model server that makes the vectors, has failed.',
};
const VectorStoreFileErrorCode = enumOf<FileError['code']>(
  'VectorStoreFileErrorCode',
  'Why a file cannot be read in. More may come: treat unknown codes as INVALID_FILE.',
  Object.fromEntries(VECTOR_STORE_FILE_ERRORS.map((code) => [code, ERRORS[code]])) as typeof ERRORS,
);

const VectorStoreFileError = builder.objectRef<FileError>('VectorStoreFileError').implement({
  description: 'Why a file cannot be read in.',
  fields: (t) => ({
    code: t.field({ type: VectorStoreFileErrorCode, description: 'The kind of reason.', resolve: ({ code }) => code }),
    message: t.exposeString('message', { description: 'What is wrong and what to do, for people.' }),
  }),
});

const FileCounts = builder.objectRef<Counts>('FileCounts').implement({
  description: 'How many files are how far.',
  fields: (t) => ({
    inProgress: t.exposeInt('inProgress', { description: 'Files that are being read in.' }),
    completed: t.exposeInt('completed', { description: 'Files that can be found.' }),
    failed: t.exposeInt('failed', { description: 'Files that cannot be read in.' }),
    cancelled: t.exposeInt('cancelled', { description: 'Files whose reading was cancelled.' }),
    total: t.exposeInt('total', { description: 'All files.' }),
  }),
});

const ChunkingStrategy = builder.objectRef<FileRow['chunking']>('ChunkingStrategy').implement({
  description: 'How a text is cut into the passages that are found.',
  fields: (t) => ({
    maxChunkSizeTokens: t.exposeInt('maxChunkSizeTokens', { description: 'Tokens of one passage, at most.' }),
    chunkOverlapTokens: t.exposeInt('chunkOverlapTokens', {
      description: 'Tokens that a passage repeats of the one before, about.',
    }),
  }),
});

export const VectorStore = builder.objectRef<StoreView>('VectorStore').implement({
  description: 'Files that can be searched.',
  interfaces: [builder.nodeInterfaceRef()],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Global id, `vs_…`.' }),
    name: t.exposeString('name', { nullable: true, description: 'For people, up to 256 characters.' }),
    status: t.field({
      type: VectorStoreStatus,
      description: 'How far it is.',
      resolve: async ({ id, expired }, _args, { load }): Promise<StoreStatus> => {
        if (expired) return 'EXPIRED';
        return (await load.one(countsOfStore, id)).inProgress > 0 ? 'IN_PROGRESS' : 'COMPLETED';
      },
    }),
    fileCounts: t.field({
      type: FileCounts,
      description: 'How many of its files are how far.',
      resolve: ({ id }, _args, { load }) => load.one(countsOfStore, id),
    }),
    usageBytes: t.field({
      type: 'BigInt',
      description: 'Bytes of its passages and their vectors.',
      resolve: ({ usageBytes }) => Number(usageBytes),
    }),
    embeddingModel: t.exposeString('embedder', {
      nullable: true,
      description:
        'What its vectors are made with, settled by its first file; null before. `hash-768` is built in and compares spelling, not meaning.',
    }),
    metadata: t.expose('metadata', { type: 'JSON', description: 'Up to 16 pairs of text.' }),
    expiresAfterDays: t.exposeInt('expiresAfterDays', {
      nullable: true,
      description: 'Days after its last use that it expires, 1 to 365; null = never.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    lastActiveAt: t.expose('lastActiveAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last searched or added to, to the minute.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it expires unless it is used before; null = never.',
    }),
  }),
});

export const VectorStoreFile = builder.objectRef<FileRow>('VectorStoreFile').implement({
  description: 'A file in a vector store. When the file is deleted, this goes with it.',
  interfaces: [builder.nodeInterfaceRef()],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Global id, `vsf_…`: not that of the file.' }),
    vectorStore: t.field({
      type: VectorStore,
      description: 'The store it is in.',
      resolve: async ({ vectorStoreId }, _args, { load }) =>
        present(await load.one(vectorStoreById, vectorStoreId), vectorStoreId),
    }),
    file: t.field({
      type: File,
      nullable: true,
      description: 'The file, null when it has expired.',
      resolve: ({ fileId }, _args, { load }) => load.one(fileById, fileId),
    }),
    fileId: t.exposeID('fileId', { description: 'Id of the file.' }),
    status: t.field({ type: VectorStoreFileStatus, description: 'How far it is.', resolve: ({ status }) => status }),
    lastError: t.field({
      type: VectorStoreFileError,
      nullable: true,
      description: 'Why it cannot be read in, when FAILED.',
      resolve: ({ lastError }) => lastError,
    }),
    attributes: t.expose('attributes', {
      type: 'JSON',
      description: 'What searches can filter by: up to 16 texts, numbers and booleans.',
    }),
    chunkingStrategy: t.field({
      type: ChunkingStrategy,
      description: 'How its text is cut.',
      resolve: ({ chunking }) => chunking,
    }),
    usageBytes: t.field({
      type: 'BigInt',
      description: 'Bytes of its passages and their vectors.',
      resolve: ({ usageBytes }) => Number(usageBytes),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was added, or added once more to be read again.' }),
    extractedText: t.string({
      nullable: true,
      description: `The text that was read out of it, which locations of passages and quotes are places in; null unless COMPLETED. At most ${TEXT_AT_ONCE} UTF-16 units at once.`,
      complexity: 20_000,
      args: {
        startIndex: t.arg.int({ description: 'UTF-16 index to begin at. Default 0.' }),
        endIndex: t.arg.int({ description: 'UTF-16 index to end before. Default: the end, as far as one answer goes.' }),
      },
      resolve: ({ id }, { startIndex, endIndex }, { load }) => {
        const start = startIndex ?? 0;
        if (start < 0 || (endIndex != null && endIndex < start))
          throw new RequestError('INVALID_INPUT', '`startIndex` must be 0 or more, and `endIndex` not before it.');
        return load.one(texts, { id, start, end: endIndex ?? null });
      },
    }),
  }),
});

const VectorStoreFileConnection = connectionOf('VectorStoreFile', VectorStoreFile);

builder.objectField(VectorStore, 'files', (t) =>
  t.field({
    type: VectorStoreFileConnection,
    description: 'Its files, newest first.',
    complexity: pageCost,
    args: { ...pageArgs(t.arg), status: t.arg({ type: VectorStoreFileStatus, description: 'Only those that are so far.' }) },
    resolve: ({ id }, { status, ...page }, { load }) => load.page(storeFiles, id, page, byStatus(status)),
  }),
);

const byStatus = (status: FileStatus | null | undefined) =>
  status ? { name: 'status', text: 't.status = $5', values: [status] } : undefined;

export const VectorStoreFileBatch = builder.objectRef<BatchRow>('VectorStoreFileBatch').implement({
  description: 'Files that were added to a vector store together.',
  interfaces: [builder.nodeInterfaceRef()],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Global id, `vsfb_…`.' }),
    vectorStore: t.field({
      type: VectorStore,
      description: 'The store they were added to.',
      resolve: async ({ vectorStoreId }, _args, { load }) =>
        present(await load.one(vectorStoreById, vectorStoreId), vectorStoreId),
    }),
    status: t.field({
      type: VectorStoreFileStatus,
      description:
        'IN_PROGRESS while any of its files is, then CANCELLED if it was cancelled, else COMPLETED: `fileCounts` says how many failed.',
      resolve: async ({ id, cancelledAt }, _args, { load }): Promise<FileStatus> => {
        if ((await load.one(countsOfBatch, id)).inProgress > 0) return 'IN_PROGRESS';
        return cancelledAt ? 'CANCELLED' : 'COMPLETED';
      },
    }),
    fileCounts: t.field({
      type: FileCounts,
      description: 'How many of its files are how far. A file that was added again since counts with the later batch.',
      resolve: ({ id }, _args, { load }) => load.one(countsOfBatch, id),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When they were added.' }),
    files: t.field({
      type: VectorStoreFileConnection,
      description: 'Its files, newest first.',
      complexity: pageCost,
      args: { ...pageArgs(t.arg), status: t.arg({ type: VectorStoreFileStatus, description: 'Only those that are so far.' }) },
      resolve: ({ id }, { status, ...page }, { load }) => load.page(batchFiles, id, page, byStatus(status)),
    }),
  }),
});

defineNode('VectorStore', vectorStoreById);
defineNode('VectorStoreFile', vectorStoreFileById);
defineNode('VectorStoreFileBatch', vectorStoreFileBatchById);

builder.queryField('vectorStore', (t) =>
  t.field({
    type: VectorStore,
    nullable: true,
    description: 'One vector store, or null when there is none with this id.',
    args: { id: t.arg.id({ required: true, description: 'Id of the vector store.' }) },
    resolve: (_root, { id }, { load }) => load.one(vectorStoreById, id),
  }),
);

builder.queryField('vectorStores', (t) =>
  t.field({
    type: connectionOf('VectorStore', VectorStore),
    description: "The project's vector stores, newest first.",
    complexity: pageCost,
    args: pageArgs(t.arg),
    resolve: (_root, page, { load, viewer }) => load.page(projectStores, viewer.projectId, page),
  }),
);
