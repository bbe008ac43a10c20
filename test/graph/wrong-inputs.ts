import { type FilledProject, USED_KEY } from './project.ts';
import { FILES } from './wrong-files.ts';

/** What a refusal is tried on: a project with one of everything, and another whose ids are foreign to it. */
export interface Ground {
  mine: FilledProject;
  foreign: FilledProject;
}

type Code =
  | 'INVALID_INPUT'
  | 'NOT_FOUND'
  | 'THREAD_BUSY'
  | 'WRONG_RUN_STATUS'
  | 'CONFLICT'
  | 'QUOTA_EXCEEDED'
  | 'UNSUPPORTED_FILE';
/** A sentence, the mutation, its input, the code and the path of the user error. */
export type WrongInput = [
  sentence: string,
  mutation: string,
  input: (ground: Ground) => object,
  code: Code,
  path: string,
];

const MISSING_THREAD = 'thread_00000000000000000000000000';
const HALF = '\ud800';
const OTHER_HALF = '\udc00';
const long = (length: number) => 'x'.repeat(length);
const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));
const functions = (...names: string[]) => names.map((name) => ({ function: { name } }));
const texts = (count: number) => Array.from({ length: count }, () => ({ text: 'x' }));

const assistant = (more: object) => () => ({ model: 'm', ...more });
const thread = (more: object) => () => more;
const message =
  (more: object) =>
  ({ mine }: Ground) => ({ threadId: mine.threadId, content: texts(1), ...more });
const content = (...parts: object[]) => message({ content: parts });
const run =
  (more: object) =>
  ({ mine }: Ground) => ({ assistantId: mine.assistantId, threadId: mine.threadId, ...more });
const outputs = (pick: (callIds: string[], ground: Ground) => object[]) => (ground: Ground) => {
  const [{ runId, callIds }] = ground.mine.waiting as [FilledProject['waiting'][number]];
  return { runId, toolOutputs: pick(callIds, ground) };
};
const all = (output: string) => outputs((ids) => ids.map((toolCallId) => ({ toolCallId, output })));

const ASSISTANTS: WrongInput[] = [
  ['an assistant without a model name', 'createAssistant', assistant({ model: '' }), 'INVALID_INPUT', 'input.model'],
  [
    'a model name of 257 characters',
    'createAssistant',
    assistant({ model: long(257) }),
    'INVALID_INPUT',
    'input.model',
  ],
  [
    'an assistant name of 257 characters',
    'createAssistant',
    assistant({ name: long(257) }),
    'INVALID_INPUT',
    'input.name',
  ],
  [
    'a description of 513 characters',
    'createAssistant',
    assistant({ description: long(513) }),
    'INVALID_INPUT',
    'input.description',
  ],
  [
    'instructions of 256001 characters',
    'createAssistant',
    assistant({ instructions: long(256_001) }),
    'INVALID_INPUT',
    'input.instructions',
  ],
  ['a temperature above 2', 'createAssistant', assistant({ temperature: 2.01 }), 'INVALID_INPUT', 'input.temperature'],
  ['a temperature below 0', 'createAssistant', assistant({ temperature: -0.1 }), 'INVALID_INPUT', 'input.temperature'],
  ['a topP above 1', 'createAssistant', assistant({ topP: 1.5 }), 'INVALID_INPUT', 'input.topP'],
  [
    '129 tools',
    'createAssistant',
    assistant({ tools: functions(...Object.keys(pairs(129))) }),
    'INVALID_INPUT',
    'input.tools',
  ],
  [
    'two functions of one name',
    'createAssistant',
    assistant({ tools: functions('f', 'g', 'f') }),
    'INVALID_INPUT',
    'input.tools.2',
  ],
  [
    'a function name with a blank',
    'createAssistant',
    assistant({ tools: functions('get weather') }),
    'INVALID_INPUT',
    'input.tools.0.function.name',
  ],
  [
    'a function name of 65 characters',
    'createAssistant',
    assistant({ tools: functions(long(65)) }),
    'INVALID_INPUT',
    'input.tools.0.function.name',
  ],
  [
    'a function with the name of a hosted tool',
    'createAssistant',
    assistant({ tools: functions('file_search') }),
    'INVALID_INPUT',
    'input.tools.0.function.name',
  ],
  [
    'function parameters that are a list',
    'createAssistant',
    assistant({ tools: [{ function: { name: 'f', parameters: [] } }] }),
    'INVALID_INPUT',
    'input.tools.0.function.parameters',
  ],
  [
    'function parameters with a NUL',
    'createAssistant',
    assistant({ tools: [{ function: { name: 'f', parameters: { a: '\0' } } }] }),
    'INVALID_INPUT',
    'input.tools.0.function.parameters',
  ],
  [
    'function parameters with a low half of a surrogate pair',
    'createAssistant',
    assistant({ tools: [{ function: { name: 'f', parameters: { a: OTHER_HALF } } }] }),
    'INVALID_INPUT',
    'input.tools.0.function.parameters',
  ],
  [
    'function parameters of more than 256 000 characters',
    'createAssistant',
    assistant({ tools: [{ function: { name: 'f', parameters: { a: long(256_000) } } }] }),
    'INVALID_INPUT',
    'input.tools.0.function.parameters',
  ],
  [
    'the code interpreter where there is none',
    'createAssistant',
    assistant({ tools: [{ codeInterpreter: {} }] }),
    'INVALID_INPUT',
    'input.tools.0.codeInterpreter',
  ],
  [
    'JSON_SCHEMA without its schema',
    'createAssistant',
    assistant({ responseFormat: { type: 'JSON_SCHEMA' } }),
    'INVALID_INPUT',
    'input.responseFormat.type',
  ],
  [
    'a format name with a dot',
    'createAssistant',
    assistant({ responseFormat: { jsonSchema: { name: 'a.b' } } }),
    'INVALID_INPUT',
    'input.responseFormat.jsonSchema.name',
  ],
  [
    'a format schema that is a text',
    'createAssistant',
    assistant({ responseFormat: { jsonSchema: { name: 'a', schema: 'x' } } }),
    'INVALID_INPUT',
    'input.responseFormat.jsonSchema.schema',
  ],
  [
    'a foreign file for the code interpreter',
    'createAssistant',
    ({ foreign }) => ({ model: 'm', toolResources: { codeInterpreter: { fileIds: [foreign.fileId] } } }),
    'NOT_FOUND',
    'input.toolResources.codeInterpreter.fileIds.0',
  ],
  [
    '21 files for the code interpreter',
    'createAssistant',
    ({ mine }) => ({
      model: 'm',
      toolResources: { codeInterpreter: { fileIds: Array.from({ length: 21 }, () => mine.fileId) } },
    }),
    'INVALID_INPUT',
    'input.toolResources.codeInterpreter.fileIds',
  ],
  [
    'two vector stores',
    'createAssistant',
    assistant({ toolResources: { fileSearch: { vectorStoreIds: ['vs_a', 'vs_b'] } } }),
    'INVALID_INPUT',
    'input.toolResources.fileSearch.vectorStoreIds',
  ],
  [
    'a vector store that is not there',
    'createAssistant',
    assistant({ toolResources: { fileSearch: { vectorStoreIds: ['vs_a'] } } }),
    'NOT_FOUND',
    'input.toolResources.fileSearch.vectorStoreIds.0',
  ],
  [
    'an update of a foreign assistant',
    'updateAssistant',
    ({ foreign }) => ({ assistantId: foreign.assistantId, name: 'mine' }),
    'NOT_FOUND',
    'input.assistantId',
  ],
  [
    'an update to an empty model name',
    'updateAssistant',
    ({ mine }) => ({ assistantId: mine.assistantId, model: '' }),
    'INVALID_INPUT',
    'input.model',
  ],
  [
    'an update to a foreign file',
    'updateAssistant',
    ({ mine, foreign }) => ({
      assistantId: mine.assistantId,
      toolResources: { codeInterpreter: { fileIds: [foreign.fileId] } },
    }),
    'NOT_FOUND',
    'input.toolResources.codeInterpreter.fileIds.0',
  ],
  [
    'deleting an assistant by a nonsense id',
    'deleteAssistant',
    () => ({ assistantId: 'nonsense' }),
    'NOT_FOUND',
    'input.assistantId',
  ],
];

const METADATA: WrongInput[] = [
  ['17 pairs of metadata', 'createThread', thread({ metadata: pairs(17) }), 'INVALID_INPUT', 'input.metadata'],
  [
    'a metadata key of 65 characters',
    'createThread',
    thread({ metadata: { [long(65)]: 'v' } }),
    'INVALID_INPUT',
    'input.metadata',
  ],
  ['an empty metadata key', 'createThread', thread({ metadata: { '': 'v' } }), 'INVALID_INPUT', 'input.metadata'],
  [
    'a metadata value of 513 characters',
    'createThread',
    thread({ metadata: { k: long(513) } }),
    'INVALID_INPUT',
    'input.metadata',
  ],
  [
    'a metadata value that is a number',
    'createThread',
    thread({ metadata: { k: 1 } }),
    'INVALID_INPUT',
    'input.metadata',
  ],
  ['metadata that is a list', 'createThread', thread({ metadata: ['a'] }), 'INVALID_INPUT', 'input.metadata'],
  ['metadata that is a text', 'createThread', thread({ metadata: 'a' }), 'INVALID_INPUT', 'input.metadata'],
  ['metadata with a NUL', 'createThread', thread({ metadata: { k: 'a\0b' } }), 'INVALID_INPUT', 'input.metadata'],
  [
    'metadata with half a surrogate pair',
    'createThread',
    thread({ metadata: { k: OTHER_HALF } }),
    'INVALID_INPUT',
    'input.metadata',
  ],
  [
    'wrong metadata of an update',
    'updateAssistant',
    ({ mine }) => ({ assistantId: mine.assistantId, metadata: { k: 1 } }),
    'INVALID_INPUT',
    'input.metadata',
  ],
  [
    'wrong metadata of a run',
    'updateRun',
    ({ mine }) => ({ runId: mine.runId, metadata: { k: 1 } }),
    'INVALID_INPUT',
    'input.metadata',
  ],
  [
    'wrong metadata of a message',
    'updateMessage',
    ({ mine }) => ({ messageId: mine.messageId, metadata: { k: 1 } }),
    'INVALID_INPUT',
    'input.metadata',
  ],
];

const THREADS: WrongInput[] = [
  ['a title of 257 characters', 'createThread', thread({ title: long(257) }), 'INVALID_INPUT', 'input.title'],
  ['a title with a NUL', 'createThread', thread({ title: 'a\0b' }), 'INVALID_INPUT', 'input.title'],
  [
    '101 messages at once',
    'createThread',
    thread({ messages: Array.from({ length: 101 }, () => ({ content: texts(1) })) }),
    'INVALID_INPUT',
    'input.messages',
  ],
  [
    'an empty text in the second message',
    'createThread',
    thread({ messages: [{ content: texts(1) }, { content: [{ text: '' }] }] }),
    'INVALID_INPUT',
    'input.messages.1.content.0.text',
  ],
  [
    'a file id with a NUL among the resources',
    'createThread',
    thread({ toolResources: { codeInterpreter: { fileIds: ['file_\0'] } } }),
    'INVALID_INPUT',
    'input.toolResources.codeInterpreter.fileIds.0',
  ],
  [
    'a foreign file in a first message',
    'createThread',
    ({ foreign }) => ({ messages: [{ content: texts(1) }, { content: [{ imageFile: { fileId: foreign.fileId } }] }] }),
    'NOT_FOUND',
    'input.messages.1.content.0.imageFile.fileId',
  ],
  [
    'an update of a thread that is not there',
    'updateThread',
    () => ({ threadId: MISSING_THREAD, title: 'x' }),
    'NOT_FOUND',
    'input.threadId',
  ],
  ['a thread id with a NUL', 'deleteThread', () => ({ threadId: 'thread_\0' }), 'INVALID_INPUT', 'input.threadId'],
  ['a thread id of 101 characters', 'deleteThread', () => ({ threadId: long(101) }), 'INVALID_INPUT', 'input.threadId'],
  [
    'deleting a run as a thread',
    'deleteThread',
    ({ mine }) => ({ threadId: mine.runId }),
    'NOT_FOUND',
    'input.threadId',
  ],
];

const MESSAGES: WrongInput[] = [
  ['a message without a part', 'createMessage', content(), 'INVALID_INPUT', 'input.content'],
  ['a message of 101 parts', 'createMessage', content(...texts(101)), 'INVALID_INPUT', 'input.content'],
  ['a message with an empty text', 'createMessage', content({ text: '' }), 'INVALID_INPUT', 'input.content.0.text'],
  [
    'a text of 256001 characters',
    'createMessage',
    content({ text: long(256_001) }),
    'INVALID_INPUT',
    'input.content.0.text',
  ],
  ['a text with a NUL', 'createMessage', content({ text: 'a\0b' }), 'INVALID_INPUT', 'input.content.0.text'],
  [
    'a text with half a surrogate pair',
    'createMessage',
    content({ text: HALF }),
    'INVALID_INPUT',
    'input.content.0.text',
  ],
  [
    'an image URL that is no URL',
    'createMessage',
    content({ imageUrl: { url: 'cat.png' } }),
    'INVALID_INPUT',
    'input.content.0.imageUrl.url',
  ],
  [
    'a file: URL',
    'createMessage',
    content({ imageUrl: { url: 'file:///etc/passwd' } }),
    'INVALID_INPUT',
    'input.content.0.imageUrl.url',
  ],
  [
    'a javascript: URL',
    'createMessage',
    content({ imageUrl: { url: 'javascript:alert(1)' } }),
    'INVALID_INPUT',
    'input.content.0.imageUrl.url',
  ],
  [
    'a data URL of a page',
    'createMessage',
    content({ imageUrl: { url: 'data:text/html;base64,PGI+' } }),
    'INVALID_INPUT',
    'input.content.0.imageUrl.url',
  ],
  [
    'a foreign image',
    'createMessage',
    (ground) => content({ text: 'x' }, { imageFile: { fileId: ground.foreign.fileId } })(ground),
    'NOT_FOUND',
    'input.content.1.imageFile.fileId',
  ],
  [
    'a foreign attachment',
    'createMessage',
    (ground) => message({ attachments: [{ fileId: ground.foreign.fileId, tools: ['FILE_SEARCH'] }] })(ground),
    'NOT_FOUND',
    'input.attachments.0.fileId',
  ],
  [
    'an attachment for no tool',
    'createMessage',
    (ground) => message({ attachments: [{ fileId: ground.mine.fileId, tools: [] }] })(ground),
    'INVALID_INPUT',
    'input.attachments.0.tools',
  ],
  [
    '11 attachments',
    'createMessage',
    (ground) =>
      message({
        attachments: Array.from({ length: 11 }, () => ({ fileId: ground.mine.fileId, tools: ['FILE_SEARCH'] })),
      })(ground),
    'INVALID_INPUT',
    'input.attachments',
  ],
  [
    'a message in a foreign thread',
    'createMessage',
    ({ foreign }) => ({ threadId: foreign.threadId, content: texts(1) }),
    'NOT_FOUND',
    'input.threadId',
  ],
  [
    'a message in a busy thread',
    'createMessage',
    ({ mine }) => ({ threadId: mine.waiting[0]!.threadId, content: texts(1) }),
    'THREAD_BUSY',
    'input.threadId',
  ],
  [
    'deleting a foreign message',
    'deleteMessage',
    ({ foreign }) => ({ messageId: foreign.messageId }),
    'NOT_FOUND',
    'input.messageId',
  ],
  [
    'an empty idempotency key',
    'createMessage',
    message({ idempotencyKey: '' }),
    'INVALID_INPUT',
    'input.idempotencyKey',
  ],
  [
    'an idempotency key of 256 characters',
    'createMessage',
    message({ idempotencyKey: long(256) }),
    'INVALID_INPUT',
    'input.idempotencyKey',
  ],
  [
    'an idempotency key with a NUL',
    'createMessage',
    message({ idempotencyKey: 'a\0b' }),
    'INVALID_INPUT',
    'input.idempotencyKey',
  ],
  [
    'an idempotency key that was used for something else',
    'createMessage',
    message({ idempotencyKey: USED_KEY }),
    'CONFLICT',
    'input.idempotencyKey',
  ],
  [
    'a refused message under an idempotency key',
    'createMessage',
    message({ content: [], idempotencyKey: 'refused' }),
    'INVALID_INPUT',
    'input.content',
  ],
];

const RUNS: WrongInput[] = [
  [
    'a run by a foreign assistant',
    'startRun',
    (ground) => run({ assistantId: ground.foreign.assistantId })(ground),
    'NOT_FOUND',
    'input.assistantId',
  ],
  [
    'a run in a foreign thread',
    'startRun',
    (ground) => run({ threadId: ground.foreign.threadId })(ground),
    'NOT_FOUND',
    'input.threadId',
  ],
  ['a run with both a thread and an id of one', 'startRun', run({ thread: {} }), 'INVALID_INPUT', 'input.threadId'],
  ['a run without a thread', 'startRun', run({ threadId: undefined }), 'INVALID_INPUT', 'input.threadId'],
  [
    'a run in a busy thread',
    'startRun',
    (ground) => run({ threadId: ground.mine.waiting[0]!.threadId })(ground),
    'THREAD_BUSY',
    'input.threadId',
  ],
  [
    'additional messages in a busy thread',
    'startRun',
    (ground) =>
      run({ threadId: ground.mine.waiting[0]!.threadId, additionalMessages: [{ content: texts(1) }] })(ground),
    'THREAD_BUSY',
    'input.threadId',
  ],
  [
    'a refused run in a new thread',
    'startRun',
    (ground) => ({
      assistantId: ground.foreign.assistantId,
      thread: { messages: [{ content: texts(1) }] },
      idempotencyKey: 'run',
    }),
    'NOT_FOUND',
    'input.assistantId',
  ],
  [
    '101 additional messages',
    'startRun',
    run({ additionalMessages: Array.from({ length: 101 }, () => ({ content: texts(1) })) }),
    'INVALID_INPUT',
    'input.additionalMessages',
  ],
  [
    'a foreign image in an additional message',
    'startRun',
    (ground) => run({ additionalMessages: [{ content: [{ imageFile: { fileId: ground.foreign.fileId } }] }] })(ground),
    'NOT_FOUND',
    'input.additionalMessages.0.content.0.imageFile.fileId',
  ],
  [
    'additional instructions of 256001 characters',
    'startRun',
    run({ additionalInstructions: long(256_001) }),
    'INVALID_INPUT',
    'input.additionalInstructions',
  ],
  [
    'a choice of a function that the run has not',
    'startRun',
    run({ toolChoice: { functionName: 'get_lucky' } }),
    'INVALID_INPUT',
    'input.toolChoice.functionName',
  ],
  [
    'a choice of FUNCTION without its name',
    'startRun',
    run({ toolChoice: { mode: 'FUNCTION' } }),
    'INVALID_INPUT',
    'input.toolChoice.mode',
  ],
  [
    'a choice of file search that the run has not',
    'startRun',
    run({ toolChoice: { mode: 'FILE_SEARCH' } }),
    'INVALID_INPUT',
    'input.toolChoice.mode',
  ],
  [
    'a required tool of a run without tools',
    'startRun',
    run({ tools: [], toolChoice: { mode: 'REQUIRED' } }),
    'INVALID_INPUT',
    'input.toolChoice.mode',
  ],
  ['255 prompt tokens', 'startRun', run({ maxPromptTokens: 255 }), 'INVALID_INPUT', 'input.maxPromptTokens'],
  [
    '255 completion tokens',
    'startRun',
    run({ maxCompletionTokens: 255 }),
    'INVALID_INPUT',
    'input.maxCompletionTokens',
  ],
  [
    'no last messages',
    'startRun',
    run({ truncationStrategy: { type: 'LAST_MESSAGES', lastMessages: 0 } }),
    'INVALID_INPUT',
    'input.truncationStrategy.lastMessages',
  ],
  [
    'LAST_MESSAGES without their number',
    'startRun',
    run({ truncationStrategy: { type: 'LAST_MESSAGES' } }),
    'INVALID_INPUT',
    'input.truncationStrategy.lastMessages',
  ],
  [
    'AUTO with a number of messages',
    'startRun',
    run({ truncationStrategy: { type: 'AUTO', lastMessages: 3 } }),
    'INVALID_INPUT',
    'input.truncationStrategy.lastMessages',
  ],
  ['cancelling a completed run', 'cancelRun', ({ mine }) => ({ runId: mine.runId }), 'WRONG_RUN_STATUS', 'input.runId'],
  [
    'cancelling a foreign run',
    'cancelRun',
    ({ foreign }) => ({ runId: foreign.waiting[0]!.runId }),
    'NOT_FOUND',
    'input.runId',
  ],
  [
    'an update of a foreign run',
    'updateRun',
    ({ foreign }) => ({ runId: foreign.runId, metadata: {} }),
    'NOT_FOUND',
    'input.runId',
  ],
];

const OUTPUTS: WrongInput[] = [
  [
    'outputs for a completed run',
    'submitToolOutputs',
    ({ mine }) => ({ runId: mine.runId, toolOutputs: [] }),
    'WRONG_RUN_STATUS',
    'input.runId',
  ],
  [
    'outputs for a foreign run',
    'submitToolOutputs',
    ({ foreign }) => ({ runId: foreign.waiting[0]!.runId, toolOutputs: [] }),
    'NOT_FOUND',
    'input.runId',
  ],
  ['no outputs', 'submitToolOutputs', outputs(() => []), 'INVALID_INPUT', 'input.toolOutputs'],
  [
    'one output of two',
    'submitToolOutputs',
    outputs(([id]) => [{ toolCallId: id, output: '1' }]),
    'INVALID_INPUT',
    'input.toolOutputs',
  ],
  [
    'one output twice',
    'submitToolOutputs',
    outputs(([id]) => [
      { toolCallId: id, output: '1' },
      { toolCallId: id, output: '1' },
    ]),
    'INVALID_INPUT',
    'input.toolOutputs',
  ],
  [
    'an output too many',
    'submitToolOutputs',
    outputs((ids) => [...ids, 'call_nonsense'].map((toolCallId) => ({ toolCallId, output: '1' }))),
    'INVALID_INPUT',
    'input.toolOutputs',
  ],
  [
    'an output for a foreign call',
    'submitToolOutputs',
    outputs(([id], { foreign }) =>
      [id, foreign.waiting[0]!.callIds[0]].map((toolCallId) => ({ toolCallId, output: '1' })),
    ),
    'INVALID_INPUT',
    'input.toolOutputs',
  ],
  ['outputs of 512 kB together', 'submitToolOutputs', all(long(256 * 1024)), 'INVALID_INPUT', 'input.toolOutputs'],
  [
    'outputs of 512 kB in UTF-8 but not in characters',
    'submitToolOutputs',
    all('ä'.repeat(128 * 1024)),
    'INVALID_INPUT',
    'input.toolOutputs',
  ],
  ['an output with a NUL', 'submitToolOutputs', all('a\0b'), 'INVALID_INPUT', 'input.toolOutputs.0.output'],
];

export const WRONG_INPUTS: WrongInput[] = [
  ...ASSISTANTS,
  ...METADATA,
  ...THREADS,
  ...MESSAGES,
  ...RUNS,
  ...OUTPUTS,
  ...FILES,
];
