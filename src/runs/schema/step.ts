import { File, namedFile } from '../../files/schema.ts';
import { assertNever } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { connectionOf } from '../../graphql/connection.ts';
import type { Context } from '../../graphql/context.ts';
import { byId, inThread, type List, ofSeen } from '../../graphql/load.ts';
import { defineNode } from '../../graphql/node.ts';
import { Message, messageById } from '../../threads/schema/message.ts';
import type {
  CodeInterpreterCall,
  FileSearchCall,
  ToolCallStatus as CallStatus,
} from '../../tools/tool.ts';
import { Usage } from '../../usage/schema.ts';
import { FileSearchResult, RankingOptions } from '../../vector-stores/schema/search-result.ts';
import { readPartialToolCalls } from '../partial-tool-calls.ts';
import { isHosted } from '../run.ts';
import type {
  FunctionToolCall as FunctionCall,
  RunError as RunErrorValue,
  RunStep as StepRow,
  ToolCall as AnyCall,
} from '../run.ts';

const ERROR_CODES = {
  SERVER_ERROR: 'The model server or Skein failed.',
  RATE_LIMIT_EXCEEDED: 'The model server refuses more for now, or its quota is used up.',
  INVALID_PROMPT: 'The model server does not accept the prompt.',
  INVALID_IMAGE_URL: 'The model server could not fetch or read an image.',
  MODEL_NOT_FOUND: 'The model server does not know the model.',
} as const;

const RunErrorCode = builder.enumType('RunErrorCode', {
  description: 'Why a run or a step failed. More may come: treat unknown codes as SERVER_ERROR.',
  values: Object.fromEntries(
    Object.entries(ERROR_CODES).map(([code, description]) => [code, { description }]),
  ) as Record<keyof typeof ERROR_CODES, { description: string }>,
});

export const RunError = builder.objectRef<RunErrorValue>('RunError').implement({
  description: 'Why a run or a step failed.',
  fields: (t) => ({
    code: t.field({ type: RunErrorCode, description: 'The kind of failure.', resolve: ({ code }) => code }),
    message: t.string({
      description:
        'What happened, for people. For client tokens what the code means: what model servers say is not meant for pages.',
      resolve: ({ code, message }, _args, { viewer }) => (viewer.token ? ERROR_CODES[code] : message),
    }),
  }),
});

const RunStepType = builder.enumType('RunStepType', {
  description: 'What a step did.',
  values: {
    MESSAGE_CREATION: { description: 'It wrote a message.' },
    TOOL_CALLS: { description: 'It called tools.' },
  } as const,
});

const RunStepStatus = builder.enumType('RunStepStatus', {
  description: 'How far a step is.',
  values: {
    IN_PROGRESS: { description: 'It goes on, or waits for tool outputs.' },
    CANCELLED: { description: 'Its run was cancelled.' },
    FAILED: { description: '`lastError` says why.' },
    COMPLETED: { description: 'It is done.' },
    EXPIRED: { description: "Its run's time was over." },
  } as const,
});

const STATUSES: Record<CallStatus, string> = {
  IN_PROGRESS: 'It is being written, runs, or waits for its output.',
  COMPLETED: 'It has its output.',
  FAILED: 'It ended with an error, or its run did.',
  CANCELLED: 'Its run was cancelled.',
  TIMED_OUT: 'It took longer than it may.',
  LIMIT_EXCEEDED: 'It used more memory, disk, processes or output than it may.',
};

const ToolCallStatus = builder.enumType('ToolCallStatus', {
  description: 'How far a tool call is.',
  values: Object.fromEntries(
    Object.entries(STATUSES).map(([status, description]) => [status, { description }]),
  ) as Record<CallStatus, { description: string }>,
});

const CALL_TYPE = {
  function: 'FunctionToolCall',
  codeInterpreter: 'CodeInterpreterToolCall',
  fileSearch: 'FileSearchToolCall',
} as const;

export const ToolCall = builder.interfaceRef<AnyCall>('ToolCall').implement({
  description: 'One use of a tool by the model.',
  resolveType: ({ type }) => CALL_TYPE[type],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Id of the call, `call_…`: what `submitToolOutputs` answers to.' }),
    status: t.field({ type: ToolCallStatus, description: 'How far it is.', resolve: ({ status }) => status }),
  }),
});

export const FunctionToolCall = builder.objectRef<FunctionCall>('FunctionToolCall').implement({
  description: "A call of one of the caller's functions.",
  interfaces: [ToolCall],
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the function.' }),
    arguments: t.exposeString('arguments', {
      description: 'JSON as the model wrote it: it may be broken. Check it before use.',
    }),
    output: t.exposeString('output', { nullable: true, description: 'What the caller submitted; null until then.' }),
  }),
});

const CodeInterpreterLogs = builder.objectRef<{ type: 'logs'; logs: string }>('CodeInterpreterLogs').implement({
  description: 'What code printed.',
  fields: (t) => ({ logs: t.exposeString('logs', { description: 'Output, errors included, in order.' }) }),
});
const CodeInterpreterImage = builder.objectRef<{ type: 'image'; fileId: string }>('CodeInterpreterImage').implement({
  description: 'An image that code made.',
  fields: (t) => ({
    file: t.field({
      type: File,
      nullable: true,
      description: 'The image, null when it was deleted.',
      resolve: ({ fileId }, _args, { load }) => load.one(namedFile, fileId),
    }),
    fileId: t.exposeID('fileId', { description: 'Id of the image.' }),
  }),
});
const CodeInterpreterOutput = builder.unionType('CodeInterpreterOutput', {
  description: 'Something that came out of a code interpreter call.',
  types: [CodeInterpreterLogs, CodeInterpreterImage],
  resolveType: ({ type }) => (type === 'logs' ? CodeInterpreterLogs : CodeInterpreterImage),
});

export const CodeInterpreterToolCall = builder.objectRef<CodeInterpreterCall>('CodeInterpreterToolCall').implement({
  description: 'Python that the model wrote and that ran in the sandbox.',
  interfaces: [ToolCall],
  fields: (t) => ({
    input: t.exposeString('input', { description: 'The code.' }),
    outputs: t.field({
      type: [CodeInterpreterOutput],
      description: 'What came out, in order.',
      resolve: ({ outputs }) => outputs,
    }),
  }),
});

export const FileSearchToolCall = builder.objectRef<FileSearchCall>('FileSearchToolCall').implement({
  description: 'A search of the vector stores.',
  interfaces: [ToolCall],
  fields: (t) => ({
    queries: t.exposeStringList('queries', { description: 'What was searched for.' }),
    results: t.field({
      type: [FileSearchResult],
      description: 'What was found, best first.',
      resolve: ({ results }) => results,
    }),
    rankingOptions: t.field({
      type: RankingOptions,
      nullable: true,
      description: 'How results were ranked.',
      resolve: (call) => call.rankingOptions,
    }),
  }),
});

export const stepById = byId<StepRow>('RunStep', { within: inThread });
const partialToolCalls = ofSeen('partial-tool-calls', readPartialToolCalls);
export const runSteps: List<StepRow> = {
  name: 'steps',
  table: 'RunStep',
  parent: 'runId',
  key: 'position',
  keyType: 'int',
  order: 'ASC',
  within: inThread,
};

const MessageCreationDetails = builder.objectRef<StepRow>('MessageCreationDetails').implement({
  description: 'Which message a step wrote.',
  fields: (t) => ({
    message: t.field({
      type: Message,
      nullable: true,
      description: 'The message, null when it was deleted.',
      resolve: ({ messageId }, _args, { load }) => load.one(messageById, messageId!),
    }),
    messageId: t.id({ description: 'Id of the message.', resolve: ({ messageId }) => messageId! }),
  }),
});

/** Of a step in progress a part is in the log: calls that are being written, and what those that are made bring. */
const callsOf = ({ id, status, toolCalls }: StepRow, { load }: Context) =>
  toolCalls && (status !== 'IN_PROGRESS' || toolCalls.every((call) => !isRunning(call)))
    ? toolCalls
    : load.one(partialToolCalls, id);

const isRunning = (call: AnyCall) => isHosted(call) && call.status === 'IN_PROGRESS';

const ToolCallsDetails = builder.objectRef<StepRow>('ToolCallsDetails').implement({
  description: 'Which tools a step called.',
  fields: (t) => ({
    toolCalls: t.field({
      type: [ToolCall],
      description: "The calls of one model turn, in the model's order.",
      resolve: (step, _args, context) => callsOf(step, context),
    }),
  }),
});

const RunStepDetails = builder.unionType('RunStepDetails', {
  description: 'What a step did.',
  types: [MessageCreationDetails, ToolCallsDetails],
  resolveType: ({ type }) => {
    switch (type) {
      case 'MESSAGE_CREATION':
        return MessageCreationDetails;
      case 'TOOL_CALLS':
        return ToolCallsDetails;
      default:
        return assertNever(type);
    }
  },
});

export const RunStep = builder.objectRef<StepRow>('RunStep').implement({
  description: 'One thing that a run did: wrote a message, or called tools.',
  interfaces: [builder.nodeInterfaceRef()],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Global id, `step_…`.' }),
    type: t.field({ type: RunStepType, description: 'What it did.', resolve: ({ type }) => type }),
    status: t.field({ type: RunStepStatus, description: 'How far it is.', resolve: ({ status }) => status }),
    details: t.field({ type: RunStepDetails, description: 'The message or the calls.', resolve: (step) => step }),
    usage: t.field({
      type: Usage,
      nullable: true,
      description:
        "Tokens of the model call that made it; of a turn's several steps, the last one has them. Null while in progress.",
      resolve: ({ usage }) => usage,
    }),
    lastError: t.field({
      type: RunError,
      nullable: true,
      description: 'Why it failed, when FAILED.',
      resolve: ({ lastError }) => lastError,
    }),
    droppedMessages: t.exposeInt('droppedMessages', {
      description: "How many messages of the thread truncation left out of this turn's prompt.",
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was begun.' }),
    completedAt: t.expose('completedAt', { type: 'DateTime', nullable: true, description: 'When it was done.' }),
    cancelledAt: t.expose('cancelledAt', { type: 'DateTime', nullable: true, description: 'When it was cancelled.' }),
    failedAt: t.expose('failedAt', { type: 'DateTime', nullable: true, description: 'When it failed.' }),
    expiredAt: t.expose('expiredAt', {
      type: 'DateTime',
      nullable: true,
      description: "When its run's time was over.",
    }),
  }),
});

export const RunStepConnection = connectionOf('RunStep', RunStep);
defineNode('RunStep', stepById);
