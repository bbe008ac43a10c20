import { z } from 'zod';
import { builder } from '../graphql/builder.ts';
import { connectionOf, pageArgs, pageCost } from '../graphql/connection.ts';
import { byId, type List, ofSeen } from '../graphql/load.ts';
import { createMutation, deleteMutation } from '../graphql/mutation.ts';
import { defineNode } from '../graphql/node.ts';
import { optional, text } from '../graphql/validation.ts';
import { type File as FileRow, FILE_PURPOSES, type FilePurpose as Purpose, NOT_EXPIRED } from './file.ts';
import { cleanFilename, FILENAME_MAX } from './filename.ts';
import type { Files } from './files.ts';
import type { Link, Links } from './links.ts';

declare module '../graphql/context.ts' {
  interface Rooms {
    files: Files;
    links: Links;
  }
}

const EXCEPT = ['storageKey'];
export const fileById = byId<FileRow>('File', { except: EXCEPT, where: NOT_EXPIRED });
/** A file that something in a thread names: who may see that may see the file. */
export const namedFile = ofSeen('named-files', (q, projectId, ids: readonly string[]) =>
  fileById.read(q, projectId, ids, null),
);

const PURPOSES: Record<Purpose, string> = {
  ASSISTANTS: 'For the tools of assistants.',
  ASSISTANTS_OUTPUT: 'Made by a tool of an assistant; cannot be uploaded.',
  VISION: 'An image for the model to look at: PNG, JPEG, GIF or WebP.',
  USER_DATA: 'Anything else of the caller.',
};

const FilePurpose = builder.enumType('FilePurpose', {
  description: 'What a file is for.',
  values: Object.fromEntries(FILE_PURPOSES.map((purpose) => [purpose, { description: PURPOSES[purpose] }])) as Record<
    Purpose,
    { description: string }
  >,
});

export const File = builder.objectRef<FileRow>('File').implement({
  description: 'Stored bytes.',
  interfaces: [builder.nodeInterfaceRef()],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Global id of the file, `file_…`.' }),
    filename: t.exposeString('filename', { description: 'Name it was given, for people: never a path.' }),
    bytes: t.field({ type: 'BigInt', description: 'Size in bytes.', resolve: ({ bytes }) => Number(bytes) }),
    contentType: t.exposeString('contentType', {
      description: 'MIME type by its bytes; what its sender claimed is kept where they do not speak against it.',
    }),
    sha256: t.exposeString('sha256', { description: 'SHA-256 of the bytes, in hexadecimal.' }),
    purpose: t.field({ type: FilePurpose, description: 'What it is for.', resolve: ({ purpose }) => purpose }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was stored.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it will be deleted; null = never.',
    }),
    url: t.string({
      description:
        'A link to its bytes, for GET and HEAD, with ranges. Whoever has it needs no key. Good for a short time, an ' +
        'hour unless the server is set up otherwise, and as long as the file is there; one that a client token was given is not good for longer than that. Ask for a ' +
        'new one each time.',
      resolve: ({ id }, _args, { rooms, origin, viewer }) =>
        rooms.links.toFile(origin, id, viewer.token?.expiresAt).url,
    }),
  }),
});

defineNode('File', fileById);

const FileConnection = connectionOf('File', File);
const projectFiles: List<FileRow> = {
  name: 'files',
  table: 'File',
  parent: 'projectId',
  key: 'id',
  keyType: 'text',
  except: EXCEPT,
  where: NOT_EXPIRED,
};

builder.queryField('file', (t) =>
  t.field({
    type: File,
    nullable: true,
    description: 'One file, or null when there is none with this id.',
    args: { id: t.arg.id({ required: true, description: 'Id of the file.' }) },
    resolve: (_root, { id }, { load }) => load.one(fileById, id),
  }),
);

builder.queryField('files', (t) =>
  t.field({
    type: FileConnection,
    description: "The project's files, newest first.",
    complexity: pageCost,
    args: { ...pageArgs(t.arg), purpose: t.arg({ type: FilePurpose, description: 'Only those for this.' }) },
    resolve: (_root, { purpose, ...page }, { load, viewer }) =>
      load.page(
        projectFiles,
        viewer.projectId,
        page,
        purpose ? { name: 'purpose', text: 't.purpose = $5', values: [purpose] } : undefined,
      ),
  }),
);

/** Seconds: one hour to thirty days. */
const EXPIRES_MIN = 3600;
const EXPIRES_MAX = 2_592_000;

const filename = z.string().transform((given, context): string => {
  const name = cleanFilename(given);
  if (name !== null && name.length <= FILENAME_MAX) return name;
  context.addIssue(
    name === null
      ? 'The filename has nothing that could be shown: it is 1 to 255 characters, without its path.'
      : `The filename is too long: ${name.length} characters, at most ${FILENAME_MAX} are allowed.`,
  );
  return z.NEVER;
});

const purpose = z
  .enum(FILE_PURPOSES)
  .refine((value) => value !== 'ASSISTANTS_OUTPUT', 'Files for ASSISTANTS_OUTPUT are made by tools, not uploaded.');

const expiresAfterSeconds = optional(
  z
    .number()
    .refine(
      (value) => value >= EXPIRES_MIN && value <= EXPIRES_MAX,
      `A file expires after ${EXPIRES_MIN} to ${EXPIRES_MAX} seconds: one hour to thirty days.`,
    ),
);

const EXPIRES = `Seconds until it is deleted, ${EXPIRES_MIN} to ${EXPIRES_MAX}; never when left out.`;

createMutation('uploadFile', {
  noun: 'File',
  description:
    'Stores a file that comes with the request (multipart/form-data, by the GraphQL multipart request specification). ' +
    'The whole request is at most `viewer.limits.requestBytes`: larger files go through `createUpload`.',
  fields: (t) => ({
    file: t.field({ type: 'Upload', required: true, description: 'The file: a part of the form, with its name.' }),
    purpose: t.field({
      type: FilePurpose,
      required: true,
      defaultValue: 'ASSISTANTS',
      description: 'What it is for; not ASSISTANTS_OUTPUT.',
    }),
    expiresAfterSeconds: t.int({ description: EXPIRES }),
  }),
  validate: z.object({
    file: z.custom<globalThis.File>().transform((file, context) => {
      const named = filename.safeParse(file.name);
      if (named.success) return { file, filename: named.data };
      for (const { message } of named.error.issues) context.addIssue(message);
      return z.NEVER;
    }),
    purpose,
    expiresAfterSeconds,
  }),
  result: { name: 'file', type: File, description: 'The stored file.' },
  find: ({ load }, id) => load.one(fileById, id),
  resolve: ({ file: { file, filename: name }, ...input }, { rooms, viewer }, id) =>
    rooms.files.create(viewer.projectId, { ...input, filename: name, contentType: file.type }, bytesOf(file), { id }),
});

/** In one piece: the request that it came with is in memory already, within its limit. */
async function* bytesOf(file: Blob): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(await file.arrayBuffer());
}

interface Announced {
  id: string;
  link: Link;
}

createMutation('createUpload', {
  noun: 'Upload',
  description:
    'Announces a file of any size up to `viewer.limits.fileBytes`, and answers with a link to PUT its bytes to, as ' +
    'they are, without a key. The PUT is answered with 201 and the file as JSON: its `id`, `filename`, `bytes`, ' +
    '`contentType`, `sha256`, `purpose`, `createdAt` and `expiresAt`. An upload that breaks off leaves nothing and may ' +
    'be begun again; a link that has made a file is used up (409, which names the file).',
  fields: (t) => ({
    filename: t.string({
      required: true,
      description: 'Name for people, 1 to 255 characters; of a path, its last step is kept.',
    }),
    purpose: t.field({
      type: FilePurpose,
      required: true,
      defaultValue: 'ASSISTANTS',
      description: 'What it is for; not ASSISTANTS_OUTPUT.',
    }),
    contentType: t.string({
      description: 'What its sender takes it for, up to 255 characters; kept where the bytes do not speak against it.',
    }),
    bytes: t.field({ type: 'BigInt', description: 'Its size in bytes, if known: any other is refused.' }),
    sha256: t.string({ description: 'SHA-256 of its bytes in hexadecimal, if known: any other is refused.' }),
    expiresAfterSeconds: t.int({ description: EXPIRES }),
  }),
  validate: z.object({
    filename,
    purpose,
    contentType: optional(text('content type', 255)),
    bytes: optional(z.number().min(0, 'A file has 0 bytes or more.')),
    sha256: optional(
      z
        .string()
        .regex(/^[0-9a-f]{64}$/i, 'A SHA-256 is 64 hexadecimal digits.')
        .transform((digits) => digits.toLowerCase()),
    ),
    expiresAfterSeconds,
  }),
  result: {
    name: 'upload',
    fields: {
      uploadUrl: {
        type: 'String',
        description: 'Where to PUT the bytes, once.',
        resolve: ({ link }: Announced) => link.url,
      },
      expiresAt: {
        type: 'DateTime',
        description: 'Until when the PUT must have begun.',
        resolve: ({ link }: Announced) => link.expiresAt,
      },
    },
  },
  async find({ rooms, viewer, origin }, id): Promise<Announced | null> {
    const upload = await rooms.files.uploads.find(viewer.projectId, id);
    return upload && { id, link: rooms.links.toUpload(origin, id) };
  },
  resolve: (input, { rooms, viewer }, id) => rooms.files.uploads.create(viewer.projectId, id, input),
});

deleteMutation('deleteFile', {
  description: 'Deletes a file. Links to it end at once; what refers to it keeps its id, and shows null for the file.',
  fields: (t) => ({ fileId: t.id({ required: true, description: 'Id of the file.' }) }),
  validate: z.object({ fileId: text('id', 100) }),
  async resolve({ fileId }, { rooms, viewer }) {
    await rooms.files.delete(viewer.projectId, fileId);
    return fileId;
  },
});
