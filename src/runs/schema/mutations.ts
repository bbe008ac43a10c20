import { z } from 'zod';
import type { Assistant } from '../../assistants/assistants.ts';
import { checkTools } from '../../assistants/schema/references.ts';
import {
  ReasoningEffort,
  ResponseFormatInput,
  responseFormatChecked,
  settingsChecked,
  ToolInput,
  toolsChecked,
} from '../../assistants/schema/settings.ts';
import type { ToolSetting } from '../../assistants/settings.ts';
import { InvalidInputError, NotFoundError, type UserError as UserErrorValue } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import type { Context } from '../../graphql/context.ts';
import { createMutation, deleteMutation, mutation } from '../../graphql/mutation.ts';
import { UserError } from '../../graphql/user-error.ts';
import { metadata, metadataChange, optional, text } from '../../graphql/validation.ts';
import { MessageInput } from '../../threads/schema/message.ts';
import { checkReferences, type Naming, wakeReaders } from '../../threads/schema/references.ts';
import { CreateThreadInput, messagesChecked, NewThreadChecked } from '../../threads/schema/thread.ts';
import type { RunConfig, ToolChoice, TruncationStrategy } from '../run.ts';
import type { Runs, StartRun } from '../runs.ts';
import { Run, runById, RunStatus, ToolChoiceMode, TruncationType } from './run.ts';

declare module '../../graphql/context.ts' {
  interface Rooms {
    runs: Runs;
  }
}

builder.objectRef<UserErrorValue & { activeRunId: string }>('ThreadBusyError').implement({
  description: 'The thread has an active run. Wait for it, cancel it, or answer it.',
  interfaces: [UserError],
  fields: (t) => ({
    activeRun: t.field({
      type: Run,
      description: 'The run that holds the thread.',
      resolve: async ({ activeRunId }, _args, { load }) => (await load.one(runById, activeRunId))!,
    }),
  }),
});

builder.objectRef<UserErrorValue & { status: string }>('WrongRunStatusError').implement({
  description: "The run's status does not allow it.",
  interfaces: [UserError],
  fields: (t) => ({
    status: t.field({ type: RunStatus, description: 'The status it has.', resolve: ({ status }) => status as never }),
  }),
});

const TruncationStrategyInput = builder.inputType('TruncationStrategyInput', {
  description: 'How the thread is cut to fit a prompt.',
  fields: (t) => ({
    type: t.field({ type: TruncationType, required: true, description: 'The strategy.' }),
    lastMessages: t.int({ description: 'How many messages enter, at least 1; with LAST_MESSAGES, and only there.' }),
  }),
});

const ToolChoiceInput = builder.inputType('ToolChoiceInput', {
  description: 'Whether the first model call must use a tool; exactly one of the fields.',
  isOneOf: true,
  fields: (t) => ({
    mode: t.field({ type: ToolChoiceMode, description: 'Anything but FUNCTION.' }),
    functionName: t.string({ description: "This function, which must be among the run's tools." }),
  }),
});

const IfBusy = builder.enumType('IfBusy', {
  description: 'What to do when the thread already has an active run.',
  values: {
    REJECT: { description: 'Refuse with THREAD_BUSY.' },
    ENQUEUE: {
      description:
        'Stand in line, QUEUED, up to 100 runs (more: QUOTA_EXCEEDED). The additional messages are kept with the run and enter the thread with it, in the transaction that ends the run before it; its time counts from then. Cancelling it takes it out of the line.',
    },
    INTERRUPT: {
      description:
        'Cancel the active run, whose partial message stays as INCOMPLETE, and stand first in line. What was written is in the thread before the new run begins.',
    },
  } as const,
});

const runId = (t: Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]) =>
  t.id({ required: true, description: 'Id of the run.' });

const budget = (what: string) => optional(z.number().min(256, `The ${what} must be at least 256.`));

const truncationChecked = z
  .object({
    type: z.enum(['AUTO', 'LAST_MESSAGES']),
    lastMessages: z.number().min(1, 'At least one message must enter: lastMessages must be 1 or more.').nullish(),
  })
  .transform(({ type, lastMessages }, context): TruncationStrategy => {
    if (type === 'AUTO' && lastMessages == null) return { type };
    if (type === 'LAST_MESSAGES' && lastMessages != null) return { type, lastMessages };
    context.addIssue({
      code: 'custom',
      path: ['lastMessages'],
      message: 'A number of lastMessages goes with LAST_MESSAGES, and only there.',
    });
    return z.NEVER;
  });

const toolChoiceChecked = z
  .object({
    mode: z.enum(['NONE', 'AUTO', 'REQUIRED', 'CODE_INTERPRETER', 'FILE_SEARCH', 'FUNCTION']).nullish(),
    functionName: text('function name', 64).nullish(),
  })
  .transform(({ mode, functionName }, context): ToolChoice => {
    if (functionName != null) return { type: 'FUNCTION', name: functionName };
    if (mode && mode !== 'FUNCTION') return { type: mode };
    context.addIssue({ code: 'custom', path: ['mode'], message: 'A function is chosen by functionName.' });
    return z.NEVER;
  });

const StartRunChecked = z.object({
  assistantId: text('id', 100),
  threadId: optional(text('id', 100)),
  thread: NewThreadChecked.nullish(),
  additionalMessages: messagesChecked,
  model: optional(text('model', 256, 1)),
  instructions: optional(text('instructions', 256_000)),
  additionalInstructions: optional(text('additional instructions', 256_000)),
  tools: optional(toolsChecked),
  metadata,
  ...settingsChecked,
  maxPromptTokens: budget('maxPromptTokens'),
  maxCompletionTokens: budget('maxCompletionTokens'),
  truncationStrategy: truncationChecked.nullish().transform((strategy) => strategy ?? { type: 'AUTO' as const }),
  toolChoice: toolChoiceChecked.nullish().transform((choice) => choice ?? { type: 'AUTO' as const }),
  parallelToolCalls: z
    .boolean()
    .nullish()
    .transform((parallel) => parallel ?? true),
  responseFormat: optional(responseFormatChecked),
  ifBusy: z.enum(['REJECT', 'ENQUEUE', 'INTERRUPT']),
});

createMutation('startRun', {
  noun: 'Run',
  description:
    'Starts a run: the assistant answers in a thread. The run keeps what it was started with. While the thread has an active run, `ifBusy` says what becomes of it; nothing of a refused input is stored.',
  fields: (t) => ({
    assistantId: t.id({ required: true, description: 'Who answers.' }),
    threadId: t.id({ description: 'Where. Either this or `thread`.' }),
    thread: t.field({ type: CreateThreadInput, description: 'A new thread to answer in. Either this or `threadId`.' }),
    additionalMessages: t.field({
      type: [MessageInput],
      description: 'Messages that are added to the thread first, up to 100.',
    }),
    model: t.string({ description: "In place of the assistant's." }),
    instructions: t.string({ description: "In place of the assistant's, up to 256 000 characters." }),
    additionalInstructions: t.string({ description: 'Behind the instructions, up to 256 000 characters.' }),
    tools: t.field({ type: [ToolInput], description: "In place of the assistant's, up to 128." }),
    metadata: t.field({ type: 'JSON', description: 'Up to 16 pairs of text.' }),
    temperature: t.float({ description: "0 to 2, in place of the assistant's." }),
    topP: t.float({ description: "0 to 1, in place of the assistant's." }),
    reasoningEffort: t.field({ type: ReasoningEffort, description: "In place of the assistant's." }),
    maxPromptTokens: t.int({
      description: 'Prompt tokens of all its model calls together, at least 256. Best effort.',
    }),
    maxCompletionTokens: t.int({
      description: 'Completion tokens of all its model calls together, at least 256. Best effort.',
    }),
    truncationStrategy: t.field({
      type: TruncationStrategyInput,
      description: 'How the thread is cut to fit. Default AUTO.',
    }),
    toolChoice: t.field({
      type: ToolChoiceInput,
      description: 'Whether the first model call must use a tool. Default AUTO.',
    }),
    parallelToolCalls: t.boolean({ description: 'Whether one turn may call several functions. Default true.' }),
    responseFormat: t.field({ type: ResponseFormatInput, description: "In place of the assistant's." }),
    ifBusy: t.field({
      type: IfBusy,
      required: true,
      defaultValue: 'REJECT',
      description: 'What to do when the thread already has an active run.',
    }),
  }),
  validate: StartRunChecked,
  result: { name: 'run', type: Run, description: 'The run, QUEUED.' },
  find: ({ load }, id) => load.one(runById, id),
  threadOf: ({ threadId }) => threadId,
  async resolve(input, context, id) {
    checkForClient(input, context);
    const run = await context.rooms.runs.start(context.viewer.projectId, id, await checked(input, context));
    for (const naming of namingsOf(input)) wakeReaders(context, naming);
    return run;
  },
});

type StartRunInput = z.output<typeof StartRunChecked>;

const namingsOf = ({ additionalMessages, thread }: StartRunInput): Naming[] => [
  { messages: { list: additionalMessages, path: ['input', 'additionalMessages'] } },
  ...(thread
    ? [
        {
          messages: { list: thread.messages, path: ['input', 'thread', 'messages'] },
          toolResources: { value: thread.toolResources, path: ['input', 'thread', 'toolResources'] },
        },
      ]
    : []),
];

async function checked(input: StartRunInput, context: Context): Promise<StartRun> {
  const { assistantId, threadId, thread, additionalMessages, metadata, ifBusy } = input;
  if ((threadId === null) === (thread == null)) {
    throw new InvalidInputError('Give `threadId` or `thread`, one of them.', ['input', 'threadId']);
  }
  if (input.tools) checkTools(context, input.tools, ['input', 'tools']);
  await Promise.all(namingsOf(input).map((naming) => checkReferences(context, naming)));
  const where = thread ? { create: thread } : { id: threadId! };
  return {
    assistantId,
    thread: where,
    additionalMessages,
    configure: (assistant) => configOf(input, assistant),
    metadata,
    ifBusy,
  };
}

/** What the types of the input do not say of a page: it speaks for nobody but its user, and sends the model nowhere. */
function checkForClient({ assistantId, additionalMessages }: StartRunInput, { viewer: { token } }: Context): void {
  if (!token) return;
  if (token.assistantIds && !token.assistantIds.includes(assistantId))
    throw new NotFoundError('assistant', assistantId, ['input', 'assistantId']);
  additionalMessages.forEach(({ role, content }, i) => {
    const path = ['input', 'additionalMessages', i];
    if (role !== 'USER')
      throw new InvalidInputError('With a client token messages are of the role USER.', [...path, 'role']);
    content.forEach((part, j) => {
      if (part.type === 'imageUrl' && !part.url.startsWith('data:'))
        throw new InvalidInputError('With a client token an image comes with its data URL.', [
          ...path,
          ...['content', j, 'imageUrl', 'url'],
        ]);
    });
  });
}

/** The assistant's settings with the run's own in their place: what the run is started with. */
function configOf(input: StartRunInput, assistant: Assistant): RunConfig {
  const config: RunConfig = {
    model: input.model ?? assistant.model,
    instructions: [input.instructions ?? assistant.instructions, input.additionalInstructions]
      .filter(Boolean)
      .join('\n\n'),
    tools: input.tools ?? assistant.tools,
    temperature: input.temperature ?? assistant.temperature,
    topP: input.topP ?? assistant.topP,
    reasoningEffort: input.reasoningEffort ?? assistant.reasoningEffort,
    maxPromptTokens: input.maxPromptTokens,
    maxCompletionTokens: input.maxCompletionTokens,
    truncationStrategy: input.truncationStrategy,
    toolChoice: input.toolChoice,
    parallelToolCalls: input.parallelToolCalls,
    responseFormat: input.responseFormat ?? assistant.responseFormat,
  };
  checkToolChoice(config.toolChoice, config.tools);
  return config;
}

function checkToolChoice(choice: ToolChoice, tools: ToolSetting[]): void {
  const has = (fits: (tool: ToolSetting) => boolean) => tools.some(fits);
  const path = ['input', 'toolChoice'];
  switch (choice.type) {
    case 'FUNCTION':
      if (!has((tool) => tool.type === 'function' && tool.name === choice.name)) {
        throw new InvalidInputError(`The run has no function '${choice.name}' to choose.`, [...path, 'functionName']);
      }
      return;
    case 'CODE_INTERPRETER':
    case 'FILE_SEARCH': {
      const type = choice.type === 'FILE_SEARCH' ? 'fileSearch' : 'codeInterpreter';
      if (!has((tool) => tool.type === type))
        throw new InvalidInputError(`The run has no tool ${type} to choose.`, [...path, 'mode']);
      return;
    }
    case 'REQUIRED':
      if (tools.length === 0)
        throw new InvalidInputError('The run has no tool that it could be required to use.', [...path, 'mode']);
      return;
    case 'NONE':
    case 'AUTO':
  }
}

/** Rooms look for a run in the whole project: what a page may not see is not there before they do. */
const mustBeSeen = async (context: Context, id: string): Promise<void> => {
  if (context.viewer.token) await runNow(context, id);
};

const runNow = async ({ load }: Context, id: string) => {
  const run = await load.one(runById, id);
  if (!run) throw new NotFoundError('run', id, ['input', 'runId']);
  return run;
};

mutation('updateRun', {
  description: "Changes a run's metadata, in any status.",
  fields: (t) => ({
    runId: runId(t),
    metadata: t.field({
      type: 'JSON',
      description: 'Up to 16 pairs of text; replaces all that was there. Left out, nothing changes.',
    }),
  }),
  validate: z.object({ runId: text('id', 100), metadata: metadataChange }),
  result: { name: 'run', type: Run, description: 'The run as it is now.' },
  async resolve(input, context) {
    await context.rooms.runs.update(context.viewer.projectId, input.runId, input.metadata);
    return runNow(context, input.runId);
  },
});

mutation('cancelRun', {
  description:
    'Asks a run to stop. A run that waits is CANCELLED at once, one that is executed is CANCELLING until its worker has stopped; what it has written stays. Does nothing to a run that is CANCELLING or CANCELLED; any other final status is WRONG_RUN_STATUS.',
  fields: (t) => ({ runId: runId(t) }),
  validate: z.object({ runId: text('id', 100) }),
  result: { name: 'run', type: Run, description: 'The run as it is now.' },
  async resolve(input, context) {
    await mustBeSeen(context, input.runId);
    await context.rooms.runs.cancel(context.viewer.projectId, input.runId);
    return runNow(context, input.runId);
  },
});

const ToolOutputInput = builder.inputType('ToolOutputInput', {
  description: 'The output of one call.',
  fields: (t) => ({
    toolCallId: t.id({ required: true, description: 'Id of the call.' }),
    output: t.string({
      required: true,
      description: 'What the function gave, as text. May be empty. Failures are told as text as well.',
    }),
  }),
});

mutation('submitToolOutputs', {
  description:
    'Answers a run in REQUIRES_ACTION: all outputs at once, in any order, together less than 512 kB. The run goes back to QUEUED. Submitting the very outputs that are stored already does nothing.',
  fields: (t) => ({
    runId: runId(t),
    toolOutputs: t.field({
      type: [ToolOutputInput],
      required: true,
      description: 'One output for each call of `requiredAction.toolCalls`.',
    }),
  }),
  validate: z.object({
    runId: text('id', 100),
    toolOutputs: z
      .array(z.object({ toolCallId: text('id', 100), output: text('output', 1_048_576) }))
      .max(128, 'At most 128 outputs.'),
  }),
  result: { name: 'run', type: Run, description: 'The run as it is now.' },
  async resolve(input, context) {
    await mustBeSeen(context, input.runId);
    const queued = await context.rooms.runs.submitToolOutputs(context.viewer.projectId, input.runId, input.toolOutputs);
    return queued ?? runNow(context, input.runId);
  },
});

deleteMutation('deleteThread', {
  description: 'Deletes a thread with its messages and runs. An active run ends with it.',
  fields: (t) => ({ threadId: t.id({ required: true, description: 'Id of the thread.' }) }),
  validate: z.object({ threadId: text('id', 100) }),
  async resolve({ threadId }, { rooms, viewer }) {
    await rooms.runs.deleteThread(viewer.projectId, threadId);
    return threadId;
  },
});
