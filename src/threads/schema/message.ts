import { z } from 'zod';
import { Assistant, namedAssistant } from '../../assistants/schema/assistant.ts';
import { File, namedFile } from '../../files/schema.ts';
import { builder } from '../../graphql/builder.ts';
import { connectionOf } from '../../graphql/connection.ts';
import type { Context } from '../../graphql/context.ts';
import { byId, inThread, type List, ofSeen } from '../../graphql/load.ts';
import { defineNode } from '../../graphql/node.ts';
import { metadata, text } from '../../graphql/validation.ts';
import { readPartialContents } from '../partial-content.ts';
import {
  type Annotation as AnnotationValue,
  type Attachment as AttachmentValue,
  type ContentPart,
  type ImageDetail as ImageDetailValue,
  type Message as MessageRow,
  type MessageIncompleteReason as Reason,
  type NewMessage,
  textOf,
} from '../message.ts';
import { GONE, readSource, sourceField } from '../../vector-stores/schema/citation-source.ts';
import { SourceLocation } from '../../vector-stores/schema/search-result.ts';

export const MessageRole = builder.enumType('MessageRole', {
  description: 'Who speaks.',
  values: {
    USER: { description: 'The caller.' },
    ASSISTANT: { description: 'The model, or history that the caller brings.' },
  } as const,
});

const MessageStatus = builder.enumType('MessageStatus', {
  description: 'How far a message is.',
  values: {
    IN_PROGRESS: { description: 'A run is writing it.' },
    COMPLETED: { description: 'It is whole.' },
    INCOMPLETE: { description: 'It was cut off: `incompleteDetails` says why.' },
  } as const,
});

const REASONS: Record<Reason, string> = {
  CONTENT_FILTER: "The model server's content filter stopped it.",
  MAX_TOKENS: 'The run ran out of completion tokens.',
  RUN_CANCELLED: 'The run was cancelled.',
  RUN_EXPIRED: "The run's time was over.",
  RUN_FAILED: 'The run failed.',
  SUPERSEDED: 'The worker that wrote it was lost and the turn was done again: in no connection and no prompt.',
};

const MessageIncompleteReason = builder.enumType('MessageIncompleteReason', {
  description: 'Why a message was cut off.',
  values: Object.fromEntries(
    Object.entries(REASONS).map(([reason, description]) => [reason, { description }]),
  ) as Record<Reason, { description: string }>,
});

const MessageIncompleteDetails = builder.objectRef<{ reason: Reason }>('MessageIncompleteDetails').implement({
  description: 'Why a message was cut off.',
  fields: (t) => ({
    reason: t.field({ type: MessageIncompleteReason, description: 'The reason.', resolve: ({ reason }) => reason }),
  }),
});

export const Annotation = builder.interfaceRef<AnnotationValue>('Annotation').implement({
  description: 'Something said about a stretch of a text.',
  resolveType: ({ type }) => (type === 'fileCitation' ? 'FileCitation' : 'FilePath'),
  fields: (t) => ({
    text: t.exposeString('text', { description: 'The stretch as it stands in the text.' }),
    startIndex: t.exposeInt('startIndex', {
      description: "UTF-16 index into the part's value of the first character.",
    }),
    endIndex: t.exposeInt('endIndex', { description: "UTF-16 index into the part's value behind the last character." }),
  }),
});

const fileOf = { nullable: true, description: 'The file, null when it was deleted.' } as const;

builder.objectRef<AnnotationValue & { type: 'fileCitation' }>('FileCitation').implement({
  description: 'Where a statement was found.',
  interfaces: [Annotation],
  fields: (t) => ({
    file: t.field({ type: File, ...fileOf, resolve: ({ fileId }, _args, { load }) => load.one(namedFile, fileId) }),
    fileId: t.exposeID('fileId', { description: 'Id of the file.' }),
    quote: t.exposeString('quote', { description: 'The exact words of the source.' }),
    location: t.field({
      type: SourceLocation,
      nullable: true,
      description: 'Where the quote stands.',
      resolve: (citation) => citation.location,
    }),
    source: t.field({
      ...sourceField(t.arg),
      description: `The quote with the words around it, for a reader who wants to see it in its place; ${GONE}`,
      resolve: (citation, around, { load }) => readSource(load, citation, around),
    }),
    score: t.exposeFloat('score', { description: 'How well the source fitted what was searched for, 0 to 1.' }),
  }),
});

builder.objectRef<AnnotationValue & { type: 'filePath' }>('FilePath').implement({
  description: 'A link to a file that a tool has made.',
  interfaces: [Annotation],
  fields: (t) => ({
    file: t.field({ type: File, ...fileOf, resolve: ({ fileId }, _args, { load }) => load.one(namedFile, fileId) }),
    fileId: t.exposeID('fileId', { description: 'Id of the file.' }),
  }),
});

const ImageDetail = builder.enumType('ImageDetail', {
  description: 'How closely the model looks at an image.',
  values: {
    AUTO: { description: "The model server's choice." },
    LOW: { description: 'At 512 × 512 pixels, for few tokens.' },
    HIGH: { description: 'At full resolution.' },
  } as const,
});

type Part<Type extends ContentPart['type']> = ContentPart & { type: Type };

const TextContent = builder.objectRef<Part<'text'>>('TextContent').implement({
  description: 'Text with what is said about its stretches.',
  fields: (t) => ({
    value: t.exposeString('value', { description: 'The text.' }),
    annotations: t.field({
      type: [Annotation],
      description: 'In the order of their places.',
      resolve: ({ annotations }) => annotations,
    }),
  }),
});

const RefusalContent = builder.objectRef<Part<'refusal'>>('RefusalContent').implement({
  description: 'Words with which the model refuses.',
  fields: (t) => ({ value: t.exposeString('value', { description: 'The words.' }) }),
});

const ImageFileContent = builder.objectRef<Part<'imageFile'>>('ImageFileContent').implement({
  description: 'An image that is stored here.',
  fields: (t) => ({
    file: t.field({ type: File, ...fileOf, resolve: ({ fileId }, _args, { load }) => load.one(namedFile, fileId) }),
    fileId: t.exposeID('fileId', { description: 'Id of the file.' }),
    detail: t.field({
      type: ImageDetail,
      description: 'How closely the model looks.',
      resolve: ({ detail }) => detail,
    }),
  }),
});

const ImageUrlContent = builder.objectRef<Part<'imageUrl'>>('ImageUrlContent').implement({
  description: 'An image elsewhere, fetched by the model server.',
  fields: (t) => ({
    url: t.exposeString('url', { description: 'Where it is.' }),
    detail: t.field({
      type: ImageDetail,
      description: 'How closely the model looks.',
      resolve: ({ detail }) => detail,
    }),
  }),
});

const MessageContent = builder.unionType('MessageContent', {
  description: 'One part of what a message says.',
  types: [TextContent, ImageFileContent, ImageUrlContent, RefusalContent],
  resolveType: ({ type }) => CONTENT_TYPE[type],
});
const CONTENT_TYPE = {
  text: 'TextContent',
  refusal: 'RefusalContent',
  imageFile: 'ImageFileContent',
  imageUrl: 'ImageUrlContent',
} as const;

const AttachmentTool = builder.enumType('AttachmentTool', {
  description: 'A hosted tool that works on an attachment.',
  values: {
    CODE_INTERPRETER: { description: 'Finds it under /mnt/data.' },
    FILE_SEARCH: { description: 'Searches it.' },
  } as const,
});

const Attachment = builder.objectRef<AttachmentValue>('Attachment').implement({
  description: "A file that came with a message, for the thread's tools.",
  fields: (t) => ({
    file: t.field({ type: File, ...fileOf, resolve: ({ fileId }, _args, { load }) => load.one(namedFile, fileId) }),
    fileId: t.exposeID('fileId', { description: 'Id of the file.' }),
    tools: t.field({ type: [AttachmentTool], description: 'The tools it is for.', resolve: ({ tools }) => tools }),
  }),
});

/** While a message is being written its row knows nothing of its content: that is in the log. */
const written = {
  except: ['content'],
  extra: `case when t.status = 'IN_PROGRESS' then null else t.content end as "content"`,
  within: inThread,
};
export const messageById = byId<MessageRow>('Message', written);
const partialContents = ofSeen('partial-contents', readPartialContents);

const NOT_SUPERSEDED = "t.incomplete_reason is distinct from 'SUPERSEDED'";
const inOrder = { table: 'Message', key: 'position', keyType: 'int', where: NOT_SUPERSEDED, ...written } as const;
export const threadMessages: List<MessageRow> = { name: 'messages', parent: 'threadId', ...inOrder };
export const runMessages: List<MessageRow> = { name: 'run-messages', parent: 'runId', order: 'ASC', ...inOrder };

const contentOf = ({ id, content }: MessageRow, { load }: Context): ContentPart[] | Promise<ContentPart[]> =>
  content ?? load.one(partialContents, id);

export const Message = builder.objectRef<MessageRow>('Message').implement({
  description: 'Something that was said in a thread. Its content never changes once it is final.',
  interfaces: [builder.nodeInterfaceRef()],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Global id, `msg_…`.' }),
    role: t.field({ type: MessageRole, description: 'Who speaks.', resolve: ({ role }) => role }),
    status: t.field({ type: MessageStatus, description: 'How far it is.', resolve: ({ status }) => status }),
    content: t.field({
      type: [MessageContent],
      description: 'What it says; of a message in progress, what has been written so far.',
      resolve: (message, _args, context) => contentOf(message, context),
    }),
    text: t.string({
      description: 'Its text parts joined without a separator: what most pages show.',
      resolve: (message, _args, context) => {
        const content = contentOf(message, context);
        return content instanceof Promise ? content.then(textOf) : textOf(content);
      },
    }),
    attachments: t.field({
      type: [Attachment],
      description: 'Files that came with it, up to 10.',
      resolve: ({ attachments }) => attachments,
    }),
    assistant: t.field({
      type: Assistant,
      nullable: true,
      description: 'The assistant whose run wrote it; null for messages of callers, and when it was deleted.',
      resolve: ({ assistantId }, _args, { load }) => (assistantId ? load.one(namedAssistant, assistantId) : null),
    }),
    incompleteDetails: t.field({
      type: MessageIncompleteDetails,
      nullable: true,
      description: 'Why it was cut off, when INCOMPLETE.',
      resolve: ({ incompleteReason }) => incompleteReason && { reason: incompleteReason },
    }),
    metadata: t.expose('metadata', { type: 'JSON', description: 'Up to 16 pairs of text.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was begun.' }),
    completedAt: t.expose('completedAt', { type: 'DateTime', nullable: true, description: 'When it was whole.' }),
    incompleteAt: t.expose('incompleteAt', { type: 'DateTime', nullable: true, description: 'When it was cut off.' }),
  }),
});

export const MessageConnection = connectionOf('Message', Message);
defineNode('Message', messageById);

const ImageFileInput = builder.inputType('ImageFileInput', {
  description: 'An image that is stored here.',
  fields: (t) => ({
    fileId: t.id({ required: true, description: 'Id of the file.' }),
    detail: t.field({ type: ImageDetail, description: 'How closely the model looks. Default AUTO.' }),
  }),
});

const ImageUrlInput = builder.inputType('ImageUrlInput', {
  description: 'An image elsewhere.',
  fields: (t) => ({
    url: t.string({
      required: true,
      description: 'An http, https or data URL of a jpeg, png, gif or webp image, up to 2 000 000 characters.',
    }),
    detail: t.field({ type: ImageDetail, description: 'How closely the model looks. Default AUTO.' }),
  }),
});

const MessageContentInput = builder.inputType('MessageContentInput', {
  description: 'One part of a message; exactly one of the fields.',
  isOneOf: true,
  fields: (t) => ({
    text: t.string({ description: 'Text, 1 to 256 000 characters.' }),
    imageFile: t.field({ type: ImageFileInput, description: 'An image that is stored here.' }),
    imageUrl: t.field({ type: ImageUrlInput, description: 'An image elsewhere.' }),
  }),
});

const AttachmentInput = builder.inputType('AttachmentInput', {
  description: "A file for the thread's tools.",
  fields: (t) => ({
    fileId: t.id({ required: true, description: 'Id of the file.' }),
    tools: t.field({ type: [AttachmentTool], required: true, description: 'The tools it is for, at least one.' }),
  }),
});

/** Fields of every input that brings a message. */
export const messageFields = (t: Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]) => ({
  role: t.field({
    type: MessageRole,
    required: true,
    defaultValue: 'USER' as const,
    description: 'Who speaks. ASSISTANT seeds history.',
  }),
  content: t.field({ type: [MessageContentInput], required: true, description: 'What it says: 1 to 100 parts.' }),
  attachments: t.field({ type: [AttachmentInput], description: "Files for the thread's tools, up to 10." }),
  metadata: t.field({ type: 'JSON', description: 'Up to 16 pairs of text.' }),
});

export const MessageInput = builder.inputType('MessageInput', {
  description: 'A message to add to a thread.',
  fields: messageFields,
});

const detail = z
  .enum(['AUTO', 'LOW', 'HIGH'])
  .nullish()
  .transform((value): ImageDetailValue => value ?? 'AUTO');

const ContentChecked = z
  .object({
    text: text('text', 256_000, 1).nullish(),
    imageFile: z.object({ fileId: text('id', 100), detail }).nullish(),
    imageUrl: z
      .object({
        url: text('URL', 2_000_000, 1).regex(
          /^(https?:\/\/[^\s]+|data:image\/(jpeg|png|gif|webp);base64,[A-Za-z0-9+/=]+)$/,
          'The URL must be http, https, or a base64 data URL of a jpeg, png, gif or webp image.',
        ),
        detail,
      })
      .nullish(),
  })
  .transform((part, context): ContentPart => {
    if (part.text != null) return { type: 'text', value: part.text, annotations: [] };
    if (part.imageFile) return { type: 'imageFile', ...part.imageFile };
    if (part.imageUrl) return { type: 'imageUrl', ...part.imageUrl };
    context.addIssue('A part of a message is a text, an image file or an image URL.');
    return z.NEVER;
  });

export const messageChecked = {
  role: z.enum(['USER', 'ASSISTANT']),
  content: z
    .array(ContentChecked)
    .min(1, 'A message has at least one part.')
    .max(100, 'A message has at most 100 parts.'),
  attachments: z
    .array(
      z.object({
        fileId: text('id', 100),
        tools: z.array(z.enum(['CODE_INTERPRETER', 'FILE_SEARCH'])).min(1, 'An attachment is for at least one tool.'),
      }),
    )
    .max(10, 'A message has at most 10 attachments.')
    .nullish()
    .transform((attachments) => attachments ?? []),
  metadata,
};

export const NewMessageChecked: z.ZodType<NewMessage> = z.object(messageChecked);
