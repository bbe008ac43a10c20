import { z } from 'zod';
import {
  NO_RESOURCES,
  ToolResourcesInput,
  ToolResourcesRef,
  toolResourcesChange,
  toolResourcesChecked,
} from '../../assistants/schema/settings.ts';
import { cursorOf } from '../../events/event.ts';
import { builder } from '../../graphql/builder.ts';
import { connectionOf, pageArgs, pageCost } from '../../graphql/connection.ts';
import { present } from '../../graphql/errors.ts';
import { byId, type Filter, type List, type Within } from '../../graphql/load.ts';
import { createMutation, deleteMutation, mutation } from '../../graphql/mutation.ts';
import { defineNode } from '../../graphql/node.ts';
import { metadata, metadataChange, optional, text, unchanged } from '../../graphql/validation.ts';
import { filterValues, THREAD_VIEW, type ThreadFilter as Wanted, threadFits, type ThreadView } from '../thread-list.ts';
import type { NewThread, Threads } from '../threads.ts';
import {
  Message,
  MessageConnection,
  messageById,
  messageChecked,
  messageFields,
  MessageInput,
  NewMessageChecked,
  threadMessages,
} from './message.ts';
import { checkReferences, type Naming, wakeReaders } from './references.ts';

declare module '../../graphql/context.ts' {
  interface Rooms {
    threads: Threads;
  }
}

const within: Within = (threadIds) => `t.id = any(${threadIds})`;
export const threadById = byId<ThreadView>('Thread', { ...THREAD_VIEW, within });
const projectThreads: List<ThreadView> = {
  name: 'threads',
  table: 'Thread',
  parent: 'projectId',
  key: 'id',
  keyType: 'text',
  ...THREAD_VIEW,
  within,
};

export const Thread = builder.objectRef<ThreadView>('Thread').implement({
  description: 'A conversation.',
  interfaces: [builder.nodeInterfaceRef()],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Global id, `thread_…`.' }),
    title: t.exposeString('title', { nullable: true, description: 'For people, up to 256 characters.' }),
    metadata: t.expose('metadata', { type: 'JSON', description: 'Up to 16 pairs of text.' }),
    toolResources: t.field({
      type: ToolResourcesRef,
      description: "What the hosted tools work on in this thread, beside the assistant's.",
      resolve: ({ toolResources }) => toolResources,
    }),
    messages: t.field({
      type: MessageConnection,
      description: 'What has been said, newest first.',
      complexity: pageCost,
      args: pageArgs(t.arg),
      resolve: ({ id }, page, { load }) => load.page(threadMessages, id, page),
    }),
    cursor: t.string({
      description:
        "The position in the thread's log that this answer reflects: what `threadEvents(after:)` goes on from.",
      resolve: ({ id, lastEvent }) => cursorOf(id, lastEvent),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When it was last changed, or given to a run or taken from one.',
    }),
  }),
});

export const ThreadConnection = connectionOf('Thread', Thread);
defineNode('Thread', threadById);

builder.objectField(Message, 'thread', (t) =>
  t.field({
    type: Thread,
    description: 'The thread it stands in.',
    resolve: async ({ threadId }, _args, { load }) => present(await load.one(threadById, threadId), threadId),
  }),
);

export const ThreadFilter = builder.inputType('ThreadFilter', {
  description: 'Narrows a list of threads; all given fields must fit.',
  fields: (t) => ({
    search: t.string({ description: 'Text in the title, in any case; up to 256 characters.' }),
    metadata: t.field({ type: 'JSON', description: 'Pairs that the metadata must hold.' }),
  }),
});

export const filterChecked = z
  .object({
    search: optional(text('search text', 256)),
    metadata: metadata.nullish().transform((pairs) => pairs ?? null),
  })
  .transform(({ search, metadata: pairs }): Wanted => ({ search: search || null, metadata: pairs }));

const narrowedTo = (filter: Wanted): Filter => ({
  name: `filter-${filter.search ? 'search' : ''}-${filter.metadata ? 'metadata' : ''}`,
  text: threadFits('$5', '$6'),
  values: filterValues(filter),
});

builder.queryField('thread', (t) =>
  t.field({
    type: Thread,
    nullable: true,
    description: 'One thread, or null when there is none with this id.',
    args: { id: t.arg.id({ required: true, description: 'Id of the thread.' }) },
    resolve: (_root, { id }, { load }) => load.one(threadById, id),
  }),
);

builder.queryField('threads', (t) =>
  t.field({
    type: ThreadConnection,
    description: "The project's threads, newest first.",
    complexity: pageCost,
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: ThreadFilter, validate: filterChecked as never, description: 'Only those that fit.' }),
    },
    resolve: (_root, { filter, ...page }, { load, viewer }) =>
      load.page(
        projectThreads,
        viewer.projectId,
        page,
        filter ? narrowedTo(filter as Wanted) : undefined,
      ),
  }),
);

const title = optional(text('title', 256));
const toolResources = toolResourcesChecked.nullish().transform((resources) => resources ?? NO_RESOURCES);

const newThreadFields = (t: Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]) => ({
  title: t.string({ description: 'For people, up to 256 characters.' }),
  messages: t.field({ type: [MessageInput], description: 'Messages to begin with, up to 100.' }),
  toolResources: t.field({ type: ToolResourcesInput, description: 'What the hosted tools work on in this thread.' }),
  metadata: t.field({ type: 'JSON', description: 'Up to 16 pairs of text.' }),
});

/** Messages that one call may bring. */
export const messagesChecked = z
  .array(NewMessageChecked)
  .max(100, 'At most 100 messages can be added at once.')
  .nullish()
  .transform((messages) => messages ?? []);

export const NewThreadChecked: z.ZodType<NewThread> = z.object({
  title,
  metadata,
  toolResources,
  messages: messagesChecked,
});

export const CreateThreadInput = createMutation('createThread', {
  noun: 'Thread',
  description: 'Makes a thread, with messages if some are given.',
  fields: newThreadFields,
  validate: NewThreadChecked,
  result: { name: 'thread', type: Thread, description: 'The new thread.' },
  find: ({ load }, id) => load.one(threadById, id),
  async resolve(input: NewThread, context, id) {
    const naming: Naming = {
      messages: { list: input.messages, path: ['input', 'messages'] },
      toolResources: { value: input.toolResources, path: ['input', 'toolResources'] },
    };
    await checkReferences(context, naming);
    await context.rooms.threads.create(context.viewer.projectId, id, input);
    wakeReaders(context, naming);
  },
});

mutation('updateThread', {
  description: 'Changes a thread: what is given replaces what was there, what is left out stays. Allowed during a run.',
  fields: (t) => ({
    threadId: t.id({ required: true, description: 'Id of the thread.' }),
    title: t.string({ description: 'For people, up to 256 characters; null removes it.' }),
    toolResources: t.field({ type: ToolResourcesInput, description: 'What the hosted tools work on in this thread.' }),
    metadata: t.field({ type: 'JSON', description: 'Up to 16 pairs of text; replaces all that was there.' }),
  }),
  validate: z.object({
    threadId: text('id', 100),
    title: unchanged(title),
    metadata: metadataChange,
    toolResources: toolResourcesChange,
  }),
  result: { name: 'thread', type: Thread, description: 'The thread as it is now.' },
  async resolve({ threadId, ...change }, context) {
    if (change.toolResources) {
      await checkReferences(context, {
        toolResources: { value: change.toolResources, path: ['input', 'toolResources'] },
      });
    }
    await context.rooms.threads.update(context.viewer.projectId, threadId, change);
    return (await context.load.one(threadById, threadId))!;
  },
});

createMutation('createMessage', {
  noun: 'Message',
  description: 'Adds a message behind the last one of a thread. Refused with THREAD_BUSY while a run is active.',
  fields: (t) => ({ threadId: t.id({ required: true, description: 'Id of the thread.' }), ...messageFields(t) }),
  validate: z.object({ threadId: text('id', 100), ...messageChecked }),
  result: { name: 'message', type: Message, description: 'The new message.' },
  find: ({ load }, id) => load.one(messageById, id),
  async resolve({ threadId, ...message }, context, id) {
    const naming: Naming = { messages: { list: [message], path: ['input'] } };
    await checkReferences(context, naming);
    await context.rooms.threads.createMessage(context.viewer.projectId, threadId, id, message);
    wakeReaders(context, naming);
  },
});

mutation('updateMessage', {
  description: "Changes a message's metadata; its content never changes.",
  fields: (t) => ({
    messageId: t.id({ required: true, description: 'Id of the message.' }),
    metadata: t.field({
      type: 'JSON',
      description: 'Up to 16 pairs of text; replaces all that was there. Left out, nothing changes.',
    }),
  }),
  validate: z.object({ messageId: text('id', 100), metadata: metadataChange }),
  result: { name: 'message', type: Message, description: 'The message as it is now.' },
  async resolve({ messageId, metadata: pairs }, { rooms, viewer, load }) {
    await rooms.threads.updateMessage(viewer.projectId, messageId, pairs);
    return (await load.one(messageById, messageId))!;
  },
});

deleteMutation('deleteMessage', {
  description: 'Deletes a message. Refused with THREAD_BUSY while a run is active.',
  fields: (t) => ({ messageId: t.id({ required: true, description: 'Id of the message.' }) }),
  validate: z.object({ messageId: text('id', 100) }),
  async resolve({ messageId }, { rooms, viewer }) {
    await rooms.threads.deleteMessage(viewer.projectId, messageId);
    return messageId;
  },
});
