import { z } from 'zod';
import { Assistant, namedAssistant } from '../../assistants/schema/assistant.ts';
import { ReasoningEffort, ResponseFormatRef, Tool } from '../../assistants/schema/settings.ts';
import { cursorOf } from '../../events/event.ts';
import { builder } from '../../graphql/builder.ts';
import { connectionOf, pageArgs, pageCost } from '../../graphql/connection.ts';
import type { Context } from '../../graphql/context.ts';
import { present } from '../../graphql/errors.ts';
import { byId, type Filter, inThread, type List, ofSeen } from '../../graphql/load.ts';
import { defineNode } from '../../graphql/node.ts';
import { text } from '../../graphql/validation.ts';
import { Message, MessageConnection, runMessages } from '../../threads/schema/message.ts';
import { Thread, threadById } from '../../threads/schema/thread.ts';
import { Usage } from '../../usage/schema.ts';
import {
  type Run as RunRow,
  type RunConfig,
  type RunIncompleteReason as IncompleteReason,
  type ToolChoice as ToolChoiceValue,
  type TruncationStrategy as TruncationValue,
  visibleStatus,
} from '../run.ts';
import type { StoredRun } from '../runs.ts';
import { KEPT } from '../rows.ts';
import { readSettings } from '../run-settings.ts';
import { RUN_STATUSES, type RunStatus as Status } from '../status.ts';
import { readUsages } from '../usages.ts';
import { FunctionToolCall, RunError, RunStep, RunStepConnection, runSteps } from './step.ts';

const STATUSES: Record<Status, string> = {
  QUEUED: 'It waits for a worker.',
  IN_PROGRESS: 'A worker is at it.',
  REQUIRES_ACTION: 'It waits for the outputs of `requiredAction.toolCalls`.',
  CANCELLING: 'It was asked to stop.',
  CANCELLED: 'It was stopped. Final.',
  FAILED: '`lastError` says why. Final.',
  COMPLETED: 'It is done. Final.',
  INCOMPLETE: 'It ran out of tokens: `incompleteDetails` says which. Final.',
  EXPIRED: 'Its time was over. Final.',
};

export const RunStatus = builder.enumType('RunStatus', {
  description: 'How far a run is.',
  values: Object.fromEntries(RUN_STATUSES.map((status) => [status, { description: STATUSES[status] }])) as Record<
    Status,
    { description: string }
  >,
});

const RunIncompleteReason = builder.enumType('RunIncompleteReason', {
  description: 'Which budget a run has used up.',
  values: {
    MAX_COMPLETION_TOKENS: { description: "`maxCompletionTokens`, or the model's own limit." },
    MAX_PROMPT_TOKENS: { description: "`maxPromptTokens`, or the model's context." },
  } as const,
});

const RunIncompleteDetails = builder.objectRef<{ reason: IncompleteReason }>('RunIncompleteDetails').implement({
  description: 'Why a run is INCOMPLETE.',
  fields: (t) => ({
    reason: t.field({ type: RunIncompleteReason, description: 'The reason.', resolve: ({ reason }) => reason }),
  }),
});

const RequiredAction = builder.objectRef<NonNullable<RunRow['requiredAction']>>('RequiredAction').implement({
  description: 'What a run waits for.',
  fields: (t) => ({
    toolCalls: t.field({
      type: [FunctionToolCall],
      description: 'Calls whose outputs must be submitted, all at once.',
      resolve: ({ toolCalls }) => toolCalls,
    }),
  }),
});

export const TruncationType = builder.enumType('TruncationType', {
  description: 'How a thread is cut to fit a prompt.',
  values: {
    AUTO: { description: 'Messages in the middle are left out until it fits.' },
    LAST_MESSAGES: { description: 'Only the newest messages enter.' },
  } as const,
});

const TruncationStrategy = builder.objectRef<TruncationValue>('TruncationStrategy').implement({
  description: 'How a thread is cut to fit a prompt.',
  fields: (t) => ({
    type: t.field({ type: TruncationType, description: 'The strategy.', resolve: ({ type }) => type }),
    lastMessages: t.int({
      nullable: true,
      description: 'How many messages enter, with LAST_MESSAGES only.',
      resolve: (strategy) => (strategy.type === 'LAST_MESSAGES' ? strategy.lastMessages : null),
    }),
  }),
});

export const ToolChoiceMode = builder.enumType('ToolChoiceMode', {
  description: 'Whether the first model call must use a tool; later calls of a run choose freely.',
  values: {
    NONE: { description: 'No tool, in no call of the run.' },
    AUTO: { description: 'The model chooses.' },
    REQUIRED: { description: 'At least one tool.' },
    CODE_INTERPRETER: { description: 'The code interpreter.' },
    FILE_SEARCH: { description: 'File search.' },
    FUNCTION: { description: 'The function that is named.' },
  } as const,
});

const ToolChoice = builder.objectRef<ToolChoiceValue>('ToolChoice').implement({
  description: 'Whether the first model call must use a tool.',
  fields: (t) => ({
    mode: t.field({ type: ToolChoiceMode, description: 'What it must do.', resolve: ({ type }) => type }),
    functionName: t.string({
      nullable: true,
      description: 'Name of the function, with FUNCTION only.',
      resolve: (choice) => (choice.type === 'FUNCTION' ? choice.name : null),
    }),
  }),
});

/** A run and the number of the last event that its row reflects are read with one statement. */
export type RunView = StoredRun;

const reading = {
  except: ['config', 'metadata', ...KEPT],
  extra: '(select coalesce(max(number), 0)::int from event where thread_id = t.thread_id) as "logEnd"',
  within: inThread,
};
export const runById = byId<RunView>('Run', reading);
const inOrder = { table: 'Run', key: 'id', keyType: 'text', ...reading } as const;
export const projectRuns: List<RunView> = { name: 'runs', parent: 'projectId', ...inOrder };
export const threadRuns: List<RunView> = { name: 'thread-runs', parent: 'threadId', ...inOrder };
const assistantRuns: List<RunView> = { name: 'assistant-runs', parent: 'assistantId', ...inOrder };
const settings = ofSeen('run-settings', readSettings);
const usages = ofSeen('thread-usages', readUsages);

export const Run = builder.objectRef<RunView>('Run');

/** What a run was started with is read apart from the run, and only when somebody asks. */
const setting =
  <Key extends keyof RunConfig>(key: Key) =>
  async ({ id }: RunView, _args: object, { load }: Context): Promise<RunConfig[Key]> =>
    present(await load.one(settings, id), id).config[key];

Run.implement({
  description: 'One answer of an assistant in a thread: from being asked for to its end.',
  interfaces: [builder.nodeInterfaceRef()],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Global id, `run_…`.' }),
    thread: t.field({
      type: Thread,
      description: 'The thread it answers in.',
      resolve: async ({ threadId }, _args, { load }) => present(await load.one(threadById, threadId), threadId),
    }),
    assistant: t.field({
      type: Assistant,
      nullable: true,
      description: 'The assistant that answers, null when it was deleted.',
      resolve: ({ assistantId }, _args, { load }) => load.one(namedAssistant, assistantId),
    }),
    assistantId: t.exposeID('assistantId', { description: 'Id of the assistant.' }),
    status: t.field({ type: RunStatus, description: 'How far it is.', resolve: visibleStatus }),
    requiredAction: t.field({
      type: RequiredAction,
      nullable: true,
      description: 'What it waits for, in REQUIRES_ACTION only.',
      resolve: ({ requiredAction }) => requiredAction,
    }),
    lastError: t.field({
      type: RunError,
      nullable: true,
      description: 'Why it failed, when FAILED.',
      resolve: ({ lastError }) => lastError,
    }),
    incompleteDetails: t.field({
      type: RunIncompleteDetails,
      nullable: true,
      description: 'Why it is INCOMPLETE.',
      resolve: ({ incompleteReason }) => incompleteReason && { reason: incompleteReason },
    }),
    model: t.string({
      description: 'The model that answers.',
      resolve: setting('model'),
    }),
    instructions: t.string({
      nullable: true,
      description:
        "System message: the assistant's or the run's own instructions, with additional ones behind. Null when there are none, and for client tokens.",
      resolve: async (run, _args, context) =>
        context.viewer.token ? null : (await setting('instructions')(run, {}, context)) || null,
    }),
    tools: t.field({
      type: [Tool],
      description: 'What the model may use.',
      resolve: setting('tools'),
    }),
    metadata: t.field({
      type: 'JSON',
      description: 'Up to 16 pairs of text.',
      resolve: async ({ id }, _args, { load }) => (await load.one(settings, id))?.metadata ?? {},
    }),
    usage: t.field({
      type: Usage,
      nullable: true,
      description: 'Tokens of all its steps; null until it is final.',
      resolve: ({ usage }) => usage,
    }),
    temperature: t.float({
      nullable: true,
      description: "0 to 2; null = the model server's default.",
      resolve: setting('temperature'),
    }),
    topP: t.float({
      nullable: true,
      description: "0 to 1; null = the model server's default.",
      resolve: setting('topP'),
    }),
    reasoningEffort: t.field({
      type: ReasoningEffort,
      nullable: true,
      description: "For reasoning models; null = the model server's default.",
      resolve: (run, _args, context) => setting('reasoningEffort')(run, {}, context) as Promise<never>,
    }),
    maxPromptTokens: t.int({
      nullable: true,
      description: 'Prompt tokens of all its model calls together; null = no limit.',
      resolve: setting('maxPromptTokens'),
    }),
    maxCompletionTokens: t.int({
      nullable: true,
      description: 'Completion tokens of all its model calls together; null = no limit.',
      resolve: setting('maxCompletionTokens'),
    }),
    truncationStrategy: t.field({
      type: TruncationStrategy,
      description: 'How the thread is cut to fit.',
      resolve: setting('truncationStrategy'),
    }),
    toolChoice: t.field({
      type: ToolChoice,
      description: 'Whether the first model call must use a tool.',
      resolve: setting('toolChoice'),
    }),
    parallelToolCalls: t.boolean({
      description: 'Whether one turn may call several functions.',
      resolve: setting('parallelToolCalls'),
    }),
    responseFormat: t.field({
      type: ResponseFormatRef,
      description: 'What answers must be.',
      resolve: setting('responseFormat'),
    }),
    attempt: t.exposeInt('attempt', {
      description:
        '1, plus one each time a worker was lost with it. A resume after tool outputs or a graceful hand-back does not count.',
    }),
    steps: t.field({
      type: RunStepConnection,
      description: 'What it did, oldest first.',
      complexity: pageCost,
      args: pageArgs(t.arg, 'ASC'),
      resolve: ({ id }, page, { load }) => load.page(runSteps, id, page),
    }),
    messages: t.field({
      type: MessageConnection,
      description: 'What it wrote, oldest first.',
      complexity: pageCost,
      args: pageArgs(t.arg, 'ASC'),
      resolve: ({ id }, page, { load }) => load.page(runMessages, id, page),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    startedAt: t.expose('startedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When a worker last began with it.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When its time will be over; null once it is final.',
    }),
    completedAt: t.expose('completedAt', { type: 'DateTime', nullable: true, description: 'When it was done.' }),
    cancelledAt: t.expose('cancelledAt', { type: 'DateTime', nullable: true, description: 'When it was stopped.' }),
    failedAt: t.expose('failedAt', { type: 'DateTime', nullable: true, description: 'When it failed.' }),
    cursor: t.string({
      description: "The position in its thread's log that this answer reflects: what `runEvents(after:)` goes on from.",
      resolve: ({ threadId, logEnd }) => cursorOf(threadId, logEnd),
    }),
  }),
});

export const RunConnection = connectionOf('Run', Run);
defineNode('Run', runById);

builder.objectField(Thread, 'runs', (t) =>
  t.field({
    type: RunConnection,
    description: 'Its runs, newest first.',
    complexity: pageCost,
    args: pageArgs(t.arg),
    resolve: ({ id }, page, { load }) => load.page(threadRuns, id, page),
  }),
);

builder.objectField(Assistant, 'runs', (t) =>
  t.field({
    type: RunConnection,
    description: 'Its runs in all threads, newest first.',
    complexity: pageCost,
    args: pageArgs(t.arg),
    resolve: ({ id }, page, { load }) => load.page(assistantRuns, id, page),
  }),
);

builder.objectFields(Thread, (t) => ({
  activeRun: t.field({
    type: Run,
    nullable: true,
    description: 'The run that holds the thread, if any.',
    resolve: ({ activeRunId }, _args, { load }) => (activeRunId ? load.one(runById, activeRunId) : null),
  }),
  usage: t.field({
    type: Usage,
    description: 'Tokens of its runs that are final and have not been removed because they were old.',
    resolve: ({ id }, _args, { load }) => load.one(usages, id),
  }),
}));

builder.objectField(RunStep, 'runId', (t) => t.exposeID('runId', { description: 'Id of the run that made it.' }));
builder.objectField(Message, 'runId', (t) =>
  t.exposeID('runId', { nullable: true, description: 'Id of the run that wrote it; null for messages of callers.' }),
);

builder.objectField(RunStep, 'run', (t) =>
  t.field({
    type: Run,
    description: 'The run that made it.',
    resolve: async ({ runId }, _args, { load }) => present(await load.one(runById, runId), runId),
  }),
);

builder.objectField(Message, 'run', (t) =>
  t.field({
    type: Run,
    nullable: true,
    description: 'The run that wrote it; null for messages of callers, and once the run has been removed because it was old.',
    resolve: ({ runId }, _args, { load }) => (runId ? load.one(runById, runId) : null),
  }),
);

builder.queryField('run', (t) =>
  t.field({
    type: Run,
    nullable: true,
    description: 'One run, or null when there is none with this id.',
    args: { id: t.arg.id({ required: true, description: 'Id of the run.' }) },
    resolve: (_root, { id }, { load }) => load.one(runById, id),
  }),
);

const RunFilter = builder.inputType('RunFilter', {
  description: 'Narrows a list of runs; all given fields must fit.',
  fields: (t) => ({
    status: t.field({ type: [RunStatus], description: 'Any of these.' }),
    assistantId: t.id({ description: "One assistant's." }),
    threadId: t.id({ description: "One thread's." }),
  }),
});

const RunFilterChecked = z.object({
  status: z.array(z.enum(RUN_STATUSES)).nullish(),
  assistantId: text('id', 100).nullish(),
  threadId: text('id', 100).nullish(),
});

function runFilter({ status, assistantId, threadId }: typeof RunFilter.$inferInput): Filter {
  const visible = `case when t.status = 'IN_PROGRESS' and t.cancel_requested_at is not null then 'CANCELLING' else t.status end`;
  return {
    name: 'filter',
    text: `($5::text[] is null or ${visible} = any($5)) and ($6::text is null or t.assistant_id = $6) and ($7::text is null or t.thread_id = $7)`,
    values: [status ?? null, assistantId ?? null, threadId ?? null],
  };
}

builder.queryField('runs', (t) =>
  t.field({
    type: RunConnection,
    description: "The project's runs, newest first.",
    complexity: pageCost,
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: RunFilter, validate: RunFilterChecked as never, description: 'Only those that fit.' }),
    },
    resolve: (_root, { filter, ...page }, { load, viewer }) =>
      load.page(projectRuns, viewer.projectId, page, filter ? runFilter(filter) : undefined),
  }),
);
