import { cursorOf } from '../../src/events/event.ts';
import type { FilledProject } from './project.ts';

/**
 * What a stranger tries, for every field of the roots: arguments (of a mutation: its input) made of a project's own
 * ids. With their own they are good; the test puts another project's in their places, one by one and all together.
 * A new root field needs a line here, and a new place for an id needs an id of a project.
 */
export type Tries = Record<string, (project: FilledProject) => object[]>;

export const everyId = (project: FilledProject): string[] => [
  project.projectId,
  project.keyId,
  project.assistantId,
  project.threadId,
  project.messageId,
  project.runId,
  project.stepId,
  project.fileId,
  project.storeId,
  project.storeFileId,
  project.batchId,
  ...project.waiting.flatMap(({ threadId, runId, callIds }) => [threadId, runId, ...callIds]),
];

export const QUERIES: Tries = {
  node: ({ assistantId, threadId, messageId, runId, stepId, fileId, storeId, storeFileId, batchId }) =>
    [assistantId, threadId, messageId, runId, stepId, fileId, storeId, storeFileId, batchId].map((id) => ({ id })),
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
  vectorStore: ({ storeId }) => [{ id: storeId }],
  vectorStores: () => [{}],
};

const resources = ({ fileId, storeId }: FilledProject) => ({
  codeInterpreter: { fileIds: [fileId] },
  fileSearch: { vectorStoreIds: [storeId] },
});
/** A store that is made along with what it is for. */
const newStore = ({ fileId }: FilledProject) => ({ fileSearch: { vectorStores: [{ fileIds: [fileId] }] } });
const message = ({ fileId }: FilledProject) => ({
  content: [{ text: 'x' }, { imageFile: { fileId } }],
  attachments: [{ fileId, tools: ['FILE_SEARCH'] }],
});

/** In an order in which each can be done: what deletes comes last. */
export const MUTATIONS: Tries = {
  createClientToken: ({ threadId, assistantId }) => [
    { threadIds: [threadId], scopes: ['RUN'], assistantIds: [assistantId] },
  ],
  createAssistant: (project) => [
    { model: 'm', toolResources: resources(project) },
    { model: 'm', toolResources: newStore(project) },
  ],
  updateAssistant: (project) => [
    { assistantId: project.assistantId, name: 'changed', toolResources: resources(project) },
  ],
  createThread: (project) => [
    { messages: [message(project)], toolResources: resources(project) },
    { toolResources: newStore(project) },
  ],
  updateThread: (project) => [
    { threadId: project.threadId, title: 'changed', toolResources: resources(project) },
  ],
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
    { assistantId: project.assistantId, thread: { toolResources: newStore(project) } },
  ],
  createVectorStore: ({ fileId }) => [{ name: 'x', fileIds: [fileId] }],
  updateVectorStore: ({ storeId }) => [{ vectorStoreId: storeId, name: 'changed' }],
  addVectorStoreFiles: ({ storeId, fileId }) => [{ vectorStoreId: storeId, files: [{ fileId }] }],
  updateVectorStoreFile: ({ storeFileId }) => [{ vectorStoreFileId: storeFileId, attributes: { changed: 'yes' } }],
  cancelVectorStoreFileBatch: ({ batchId }) => [{ vectorStoreFileBatchId: batchId }],
  removeVectorStoreFile: ({ storeFileId }) => [{ vectorStoreFileId: storeFileId }],
  deleteVectorStore: ({ storeId }) => [{ vectorStoreId: storeId }],
  uploadFile: () => [{ file: new File(['x'], 'x.txt') }],
  createUpload: () => [{ filename: 'x.txt' }],
  deleteFile: ({ fileId }) => [{ fileId }],
  deleteThread: ({ threadId }) => [{ threadId }],
  deleteAssistant: ({ assistantId }) => [{ assistantId }],
  createProject: () => [{ name: 'x' }],
  createApiKey: ({ projectId }) => [{ name: 'x', projectId }],
  revokeApiKey: ({ keyId }) => [{ apiKeyId: keyId }],
};

/** Inputs that are refused with whatever ids. */
export const REFUSED: Tries = {
  updateAssistant: (project) => [{ assistantId: project.assistantId, toolResources: newStore(project) }],
  updateThread: (project) => [{ threadId: project.threadId, toolResources: newStore(project) }],
};

/** Mutations that a key without the scope ADMIN is refused whatever it names. */
export const ADMIN_ONLY = ['createProject', 'createApiKey', 'revokeApiKey'];

export const SUBSCRIPTIONS: Tries = {
  runEvents: ({ runId, threadId }) => [{ runId }, { runId, after: cursorOf(threadId, 1) }],
  threadEvents: ({ threadId }) => [{ threadId }, { threadId, after: cursorOf(threadId, 1) }],
  vectorStoreEvents: ({ storeId }) => [{ vectorStoreId: storeId }],
  threads: ({ word }) => [{}, { filter: { search: word } }, { filter: { metadata: { word } } }],
};

/** Subscriptions that name nothing and begin with nothing: what has to move before they say anything, as a mutation. */
export const STIRRED: Record<string, (project: FilledProject) => string> = {
  threads: ({ threadId, word }) =>
    `mutation { updateThread(input: { threadId: "${threadId}", title: "${word} moved" }) { thread { id } } }`,
};

/**
 * Where another project's id is refused as something other than NOT_FOUND: a call is looked for in its run alone, and a
 * change makes no vector stores, whatever files they would hold.
 */
export const OTHER_CODES: Record<string, string> = {
  'ToolOutputInput.toolCallId': 'INVALID_INPUT',
  'CreateVectorStoreInput.fileIds': 'INVALID_INPUT',
  'UpdateAssistantInput.assistantId': 'INVALID_INPUT',
  'UpdateThreadInput.threadId': 'INVALID_INPUT',
};

/** What a client token needs for each field of the roots; null = it is not for client tokens. */
export const CLIENTS: Record<'query' | 'mutation' | 'subscription', Record<string, 'READ' | 'RUN' | null>> = {
  query: {
    node: 'READ',
    nodes: 'READ',
    thread: 'READ',
    threads: 'READ',
    run: 'READ',
    runs: 'READ',
    viewer: null,
    models: null,
    assistant: null,
    assistants: null,
    file: null,
    files: null,
    vectorStore: null,
    vectorStores: null,
  },
  mutation: {
    startRun: 'RUN',
    cancelRun: 'RUN',
    submitToolOutputs: 'RUN',
    createClientToken: null,
    createAssistant: null,
    updateAssistant: null,
    createThread: null,
    updateThread: null,
    createMessage: null,
    updateMessage: null,
    updateRun: null,
    deleteMessage: null,
    createVectorStore: null,
    updateVectorStore: null,
    addVectorStoreFiles: null,
    updateVectorStoreFile: null,
    cancelVectorStoreFileBatch: null,
    removeVectorStoreFile: null,
    deleteVectorStore: null,
    uploadFile: null,
    createUpload: null,
    deleteFile: null,
    deleteThread: null,
    deleteAssistant: null,
    createProject: null,
    createApiKey: null,
    revokeApiKey: null,
  },
  subscription: { runEvents: 'READ', threadEvents: 'READ', threads: 'READ', vectorStoreEvents: null },
};
