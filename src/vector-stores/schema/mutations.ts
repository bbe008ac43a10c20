import { z } from 'zod';
import { NotFoundError, type Path } from '../../errors.ts';
import { fileById } from '../../files/schema.ts';
import { builder } from '../../graphql/builder.ts';
import type { Context } from '../../graphql/context.ts';
import { createMutation, deleteMutation, mutation } from '../../graphql/mutation.ts';
import { metadata, metadataChange, number, optional, text, unchanged } from '../../graphql/validation.ts';
import { type ChunkingStrategy, DEFAULT_CHUNKING } from '../chunk.ts';
import {
  FILES_PER_BATCH,
  FILES_PER_CREATE,
  FILES_PER_STORE,
  type NewStoreFile,
  type NewVectorStore,
} from '../vector-store.ts';
import { attributesChecked } from './attribute-filter.ts';
import {
  VectorStore,
  vectorStoreById,
  VectorStoreFile,
  VectorStoreFileBatch,
  vectorStoreFileBatchById,
  vectorStoreFileById,
} from './vector-store.ts';

const LEAST_TOKENS = 100;
const MOST_TOKENS = 4096;

const ChunkingStrategyInput = builder.inputType('ChunkingStrategyInput', {
  description: `How texts are cut into passages. Default: ${DEFAULT_CHUNKING.maxChunkSizeTokens} tokens, overlapping by ${DEFAULT_CHUNKING.chunkOverlapTokens}.`,
  fields: (t) => ({
    maxChunkSizeTokens: t.int({ description: `Tokens of one passage, ${LEAST_TOKENS} to ${MOST_TOKENS}. Default ${DEFAULT_CHUNKING.maxChunkSizeTokens}.` }),
    chunkOverlapTokens: t.int({
      description: `Tokens that a passage repeats of the one before: 0 to half of its size. Default ${DEFAULT_CHUNKING.chunkOverlapTokens}, or half.`,
    }),
  }),
});

const chunkingChecked = z
  .object({
    maxChunkSizeTokens: number('chunk size', LEAST_TOKENS, MOST_TOKENS).nullish(),
    chunkOverlapTokens: z.number().nullish(),
  })
  .nullish()
  .transform((given, context): ChunkingStrategy => {
    const max = given?.maxChunkSizeTokens ?? DEFAULT_CHUNKING.maxChunkSizeTokens;
    const most = Math.floor(max / 2);
    const overlap = given?.chunkOverlapTokens ?? Math.min(DEFAULT_CHUNKING.chunkOverlapTokens, most);
    if (overlap < 0 || overlap > most) {
      const message = `The chunk overlap must be 0 to half of the chunk size: 0 to ${most}.`;
      context.addIssue({ code: 'custom', path: ['chunkOverlapTokens'], message });
      return z.NEVER;
    }
    return { maxChunkSizeTokens: max, chunkOverlapTokens: overlap };
  });

const id = text('id', 100);
const days = optional(number('number of days', 1, 365));

/** Refuses a file that is given twice, at its second place. */
const noneTwice = (ids: readonly string[], context: z.core.$RefinementCtx, path: (i: number) => PropertyKey[]) => {
  ids.forEach((fileId, i) => {
    if (ids.indexOf(fileId) < i)
      context.addIssue({ code: 'custom', path: path(i), message: `The file '${fileId.slice(0, 100)}' is given twice.` });
  });
};

/** What makes a store, also where it is made with what it is for. */
export const newStoreChecked = z
  .object({
    name: optional(text('name', 256)),
    fileIds: z
      .array(id)
      .max(FILES_PER_CREATE, `At most ${FILES_PER_CREATE} files are allowed; add more with addVectorStoreFiles.`)
      .superRefine((ids, context) => noneTwice(ids, context, (i) => [i]))
      .nullish(),
    expiresAfterDays: days,
    chunkingStrategy: chunkingChecked,
    metadata,
  })
  .transform(({ name, fileIds, expiresAfterDays, chunkingStrategy: chunking, metadata: pairs }): NewVectorStore => ({
    name,
    metadata: pairs,
    expiresAfterDays,
    files: (fileIds ?? []).map((fileId) => ({ fileId, attributes: {}, chunking })),
  }));

/** Refuses files that the caller cannot see. */
export async function checkStoreFiles({ load }: Context, files: readonly NewStoreFile[], path: (i: number) => Path) {
  const found = await Promise.all(files.map(({ fileId }) => load.one(fileById, fileId)));
  const missing = found.indexOf(null);
  if (missing >= 0) throw new NotFoundError('file', files[missing]!.fileId, path(missing));
}

const result = { name: 'vectorStore', type: VectorStore };

export const CreateVectorStoreInput = createMutation('createVectorStore', {
  noun: 'VectorStore',
  description: 'Makes a vector store, and begins to read in the files that are given.',
  fields: (t) => ({
    name: t.string({ description: 'For people, up to 256 characters.' }),
    fileIds: t.idList({ description: `Ids of files to read in, up to ${FILES_PER_CREATE}.` }),
    expiresAfterDays: t.int({
      description: 'Days after its last use that it expires, 1 to 365; never when left out, 7 when it is made with a thread.',
    }),
    chunkingStrategy: t.field({ type: ChunkingStrategyInput, description: 'How the texts of these files are cut.' }),
    metadata: t.field({ type: 'JSON', description: 'Up to 16 pairs of text.' }),
  }),
  validate: newStoreChecked,
  result: { ...result, description: 'The new vector store.' },
  find: ({ load }, storeId) => load.one(vectorStoreById, storeId),
  async resolve(input: NewVectorStore, context, storeId) {
    await checkStoreFiles(context, input.files, (i) => ['input', 'fileIds', i]);
    await context.rooms.vectorStores.create(context.viewer.projectId, storeId, input);
  },
});

mutation('updateVectorStore', {
  description: 'Changes a vector store: what is given replaces what was there, what is left out stays.',
  fields: (t) => ({
    vectorStoreId: t.id({ required: true, description: 'Id of the vector store.' }),
    name: t.string({ description: 'For people, up to 256 characters; null removes it.' }),
    expiresAfterDays: t.int({ description: 'Days after its last use that it expires, 1 to 365; null = never.' }),
    metadata: t.field({ type: 'JSON', description: 'Up to 16 pairs of text; replaces all that was there.' }),
  }),
  validate: z.object({
    vectorStoreId: id,
    name: unchanged(optional(text('name', 256))),
    expiresAfterDays: unchanged(days),
    metadata: metadataChange,
  }),
  result: { ...result, description: 'The vector store as it is now.' },
  async resolve({ vectorStoreId, ...change }, { rooms, viewer, load }) {
    await rooms.vectorStores.update(viewer.projectId, vectorStoreId, change);
    return (await load.one(vectorStoreById, vectorStoreId))!;
  },
});

deleteMutation('deleteVectorStore', {
  description: 'Deletes a vector store with what was read into it. The files themselves stay, and so do ids that name it.',
  fields: (t) => ({ vectorStoreId: t.id({ required: true, description: 'Id of the vector store.' }) }),
  validate: z.object({ vectorStoreId: id }),
  async resolve({ vectorStoreId }, { rooms, viewer }) {
    await rooms.vectorStores.delete(viewer.projectId, vectorStoreId);
    return vectorStoreId;
  },
});

const VectorStoreFileInput = builder.inputType('VectorStoreFileInput', {
  description: 'A file to read into a vector store.',
  fields: (t) => ({
    fileId: t.id({ required: true, description: 'Id of the file.' }),
    attributes: t.field({
      type: 'JSON',
      description:
        'What searches can filter by: up to 16 pairs, keys of 1 to 64 characters; texts of up to 512 characters, numbers, booleans.',
    }),
    chunkingStrategy: t.field({ type: ChunkingStrategyInput, description: 'How its text is cut.' }),
  }),
});

createMutation('addVectorStoreFiles', {
  noun: 'VectorStoreFileBatch',
  description:
    'Adds files to a vector store, and begins to read them in. A file that is there already takes the new attributes; it is read again when it had failed or was cancelled, or is to be cut in another way.',
  fields: (t) => ({
    vectorStoreId: t.id({ required: true, description: 'Id of the vector store.' }),
    files: t.field({
      type: [VectorStoreFileInput],
      required: true,
      description: `The files, 1 to ${FILES_PER_BATCH}, none twice. A store holds up to ${FILES_PER_STORE}.`,
    }),
  }),
  validate: z.object({
    vectorStoreId: id,
    files: z
      .array(
        z
          .object({ fileId: id, attributes: attributesChecked, chunkingStrategy: chunkingChecked })
          .transform(({ chunkingStrategy: chunking, ...file }): NewStoreFile => ({ ...file, chunking })),
      )
      .min(1, 'At least one file is needed.')
      .max(FILES_PER_BATCH, `At most ${FILES_PER_BATCH} files are allowed at once.`)
      .superRefine((files, context) =>
        noneTwice(
          files.map(({ fileId }) => fileId),
          context,
          (i) => [i, 'fileId'],
        ),
      ),
  }),
  result: { name: 'batch', type: VectorStoreFileBatch, description: 'The files as they were added together.' },
  find: ({ load }, batchId) => load.one(vectorStoreFileBatchById, batchId),
  async resolve({ vectorStoreId, files }, context, batchId) {
    await checkStoreFiles(context, files, (i) => ['input', 'files', i, 'fileId']);
    await context.rooms.vectorStores.addFiles(context.viewer.projectId, vectorStoreId, batchId, files);
  },
});

mutation('cancelVectorStoreFileBatch', {
  description: 'Stops the reading of those files of a batch that are not done. Files that are done stay.',
  fields: (t) => ({ vectorStoreFileBatchId: t.id({ required: true, description: 'Id of the batch.' }) }),
  validate: z.object({ vectorStoreFileBatchId: id }),
  result: { name: 'batch', type: VectorStoreFileBatch, description: 'The batch as it is now.' },
  async resolve({ vectorStoreFileBatchId }, { rooms, viewer, load }) {
    await rooms.vectorStores.cancelBatch(viewer.projectId, vectorStoreFileBatchId);
    return (await load.one(vectorStoreFileBatchById, vectorStoreFileBatchId))!;
  },
});

mutation('updateVectorStoreFile', {
  description: "Changes the attributes of a file in a vector store. Searches that begin from then on go by the new ones.",
  fields: (t) => ({
    vectorStoreFileId: t.id({ required: true, description: 'Id of the file in its store, `vsf_…`.' }),
    attributes: t.field({
      type: 'JSON',
      description: 'Up to 16 pairs; replaces all that was there, null empties it. Left out, nothing changes.',
    }),
  }),
  validate: z.object({ vectorStoreFileId: id, attributes: unchanged(attributesChecked) }),
  result: { name: 'vectorStoreFile', type: VectorStoreFile, description: 'The file in its store as it is now.' },
  async resolve({ vectorStoreFileId, attributes }, { rooms, viewer, load }) {
    await rooms.vectorStores.updateFile(viewer.projectId, vectorStoreFileId, attributes);
    return (await load.one(vectorStoreFileById, vectorStoreFileId))!;
  },
});

deleteMutation('removeVectorStoreFile', {
  description: 'Takes a file out of a vector store, also while it is being read in. The file itself stays.',
  fields: (t) => ({
    vectorStoreFileId: t.id({ required: true, description: 'Id of the file in its store, `vsf_…`.' }),
  }),
  validate: z.object({ vectorStoreFileId: id }),
  async resolve({ vectorStoreFileId }, { rooms, viewer }) {
    await rooms.vectorStores.removeFile(viewer.projectId, vectorStoreFileId);
    return vectorStoreFileId;
  },
});
