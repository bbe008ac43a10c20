import { cursorOf } from '../../src/events/event.ts';
import type { FilledProject } from './project.ts';

/**
 * What a stranger tries, for every field of the roots: arguments (of a mutation: its input) made of a project's own
 * ids. With their own they are good; the test puts another project's in their places, one by one and all together.
 * A new root field needs a line here, and a new place for an id needs an id of a project.
 */
export type Tries = Record<string, (project: FilledProject) => object[]>;

const everyId = (project: FilledProject): string[] => [
  project.projectId,
  project.keyId,
  project.assistantId,
  project.threadId,
  project.messageId,
  project.runId,
  project.stepId,
  project.fileId,
  ...project.waiting.flatMap(({ threadId, runId, callIds }) => [threadId, runId, ...callIds]),
];

export const QUERIES: Tries = {
  node: ({ assistantId, threadId, messageId, runId, stepId, fileId }) =>
    [assistantId, threadId, messageId, runId, stepId, fileId].map((id) => ({ id })),
  nodes: (project) => [{ ids: everyId(project) }],
  viewer: () => [{}],
  models: () => [{}],
  assistant: ({ assistantId }) => [{ id: assistantId }],
  assistants: ({ word }) => [{}, { search: word }],
  thread: ({ threadId, waiting }) => [{ id: threadId }, { id: waiting[0]!.threadId }],
  threads: ({ word }) => [{}, { filter: { search: word } }, { filter: { metadata: { word } } }],
  run: ({ runId, waiting }) => [{ id: runId }, { id: waiting[0]!.runId }],
  runs: ({ assistantId, threadId }) => [
    {},
    { filter: { assistantId } },
    { filter: { threadId } },
    { filter: { status: ['REQUIRES_ACTION'] } },
  ],
  file: ({ fileId }) => [{ id: fileId }],
  files: () => [{}, { purpose: 'VISION' }],
};

const resources = ({ fileId }: FilledProject) => ({ codeInterpreter: { fileIds: [fileId] } });
/** There is no vector store yet that could be named with success. */
const stores = ({ fileId }: FilledProject) => ({ fileSearch: { vectorStoreIds: [fileId.replace('file', 'vs')] } });
const message = ({ fileId }: FilledProject) => ({
  content: [{ text: 'x' }, { imageFile: { fileId } }],
  attachments: [{ fileId, tools: ['FILE_SEARCH'] }],
});

/** In an order in which each can be done: what deletes comes last. */
export const MUTATIONS: Tries = {
  createAssistant: (project) => [{ model: 'm', toolResources: resources(project) }],
  updateAssistant: (project) => [
    { assistantId: project.assistantId, name: 'changed', toolResources: resources(project) },
  ],
  createThread: (project) => [{ messages: [message(project)], toolResources: resources(project) }],
  updateThread: (project) => [{ threadId: project.threadId, title: 'changed', toolResources: resources(project) }],
  createMessage: (project) => [{ threadId: project.threadId, ...message(project) }],
  updateMessage: ({ messageId }) => [{ messageId, metadata: { changed: 'yes' } }],
  updateRun: ({ runId }) => [{ runId, metadata: { changed: 'yes' } }],
  submitToolOutputs: ({ waiting }) =>
    waiting.slice(0, 1).map(({ runId, callIds }) => ({
      runId,
      toolOutputs: callIds.map((toolCallId) => ({ toolCallId, output: 'sunny' })),
    })),
  cancelRun: ({ waiting }) => [{ runId: waiting[1]!.runId }],
  deleteMessage: ({ messageId }) => [{ messageId }],
  startRun: (project) => [
    {
      assistantId: project.assistantId,
      thread: { messages: [message(project)], toolResources: resources(project) },
      additionalMessages: [message(project)],
    },
    { assistantId: project.assistantId, threadId: project.threadId },
  ],
  deleteThread: ({ threadId }) => [{ threadId }],
  deleteAssistant: ({ assistantId }) => [{ assistantId }],
  createProject: () => [{ name: 'x' }],
  createApiKey: ({ projectId }) => [{ name: 'x', projectId }],
  revokeApiKey: ({ keyId }) => [{ apiKeyId: keyId }],
};

/** Inputs that are refused with whatever ids: there is nothing yet that they could name. */
export const REFUSED: Tries = {
  createAssistant: (project) => [{ model: 'm', toolResources: stores(project) }],
  updateAssistant: ({ assistantId, ...project }) => [
    { assistantId, toolResources: stores({ assistantId, ...project }) },
  ],
  createThread: (project) => [{ toolResources: stores(project) }],
  updateThread: (project) => [{ threadId: project.threadId, toolResources: stores(project) }],
  startRun: (project) => [{ assistantId: project.assistantId, thread: { toolResources: stores(project) } }],
};

/** Mutations that a key without the scope ADMIN is refused whatever it names. */
export const ADMIN_ONLY = ['createProject', 'createApiKey', 'revokeApiKey'];

export const SUBSCRIPTIONS: Tries = {
  runEvents: ({ runId, threadId }) => [{ runId }, { runId, after: cursorOf(threadId, 1) }],
  threadEvents: ({ threadId }) => [{ threadId }, { threadId, after: cursorOf(threadId, 1) }],
};

/** Where another project's id is refused as something other than NOT_FOUND: a call is looked for in its run alone. */
export const OTHER_CODES: Record<string, string> = { 'ToolOutputInput.toolCallId': 'INVALID_INPUT' };
