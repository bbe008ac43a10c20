import { builder } from '../graphql/builder.ts';
import { connectionOf, pageArgs, pageCost } from '../graphql/connection.ts';
import { byId, type List } from '../graphql/load.ts';
import { defineNode } from '../graphql/node.ts';
import { FILE_PURPOSES, type File as FileRow } from './file.ts';

export const fileById = byId<FileRow>('File');

const PURPOSES: Record<(typeof FILE_PURPOSES)[number], string> = {
  ASSISTANTS: 'For the tools of assistants.',
  ASSISTANTS_OUTPUT: 'Made by a tool of an assistant.',
  VISION: 'An image for the model to look at.',
  USER_DATA: 'Anything else of the caller.',
};

const FilePurpose = builder.enumType('FilePurpose', {
  description: 'What a file is for.',
  values: Object.fromEntries(FILE_PURPOSES.map((purpose) => [purpose, { description: PURPOSES[purpose] }])) as Record<
    (typeof FILE_PURPOSES)[number],
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
    contentType: t.exposeString('contentType', { description: 'MIME type, sniffed from the bytes.' }),
    sha256: t.exposeString('sha256', { description: 'SHA-256 of the bytes, in hexadecimal.' }),
    purpose: t.field({ type: FilePurpose, description: 'What it is for.', resolve: ({ purpose }) => purpose }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was stored.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it will be deleted; null = never.',
    }),
  }),
});

defineNode('File', fileById);

const FileConnection = connectionOf('File', File);
const projectFiles: List<FileRow> = { name: 'files', table: 'File', parent: 'projectId', key: 'id', keyType: 'text' };

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
