import type { ConversationEvent, ConversationMessage, ConversationStep } from '../../src/client/fold.ts';

// Events and what they speak of, as a server would send them, with nothing in them but what a test says.

export type Of<Type extends ConversationEvent['__typename']> = Extract<ConversationEvent, { __typename: Type }>;
export type Run = Of<'RunStatusChanged'>['run'];
export type ContentDelta = Of<'MessageDelta'>['content'][number];
export type CallDelta = Of<'RunStepDelta'>['toolCalls'][number];

export const AT = '2026-11-23T00:00:00.000Z';
let place = 0;
export const next = () => ({ cursor: `t.${++place}`, at: AT });

export const run = (id: string, fields: Partial<Run> = {}): Run => ({
  id,
  assistantId: 'asst_1',
  status: 'IN_PROGRESS',
  model: 'a-model',
  attempt: 1,
  requiredAction: null,
  lastError: null,
  incompleteDetails: null,
  usage: null,
  createdAt: AT,
  startedAt: null,
  expiresAt: null,
  completedAt: null,
  cancelledAt: null,
  failedAt: null,
  ...fields,
});

export const message = (id: string, text = '', fields: Partial<ConversationMessage> = {}): ConversationMessage => ({
  id,
  runId: 'run_1',
  role: 'ASSISTANT',
  status: 'IN_PROGRESS',
  text,
  content: text === '' ? [] : [{ __typename: 'TextContent', value: text, annotations: [] }],
  attachments: [],
  incompleteDetails: null,
  metadata: {},
  createdAt: AT,
  completedAt: null,
  incompleteAt: null,
  ...fields,
});

export const step = (id: string, fields: Partial<ConversationStep> = {}): ConversationStep => ({
  id,
  runId: 'run_1',
  type: 'TOOL_CALLS',
  status: 'IN_PROGRESS',
  droppedMessages: 0,
  details: { __typename: 'ToolCallsDetails', toolCalls: [] },
  lastError: null,
  usage: null,
  createdAt: AT,
  completedAt: null,
  cancelledAt: null,
  failedAt: null,
  expiredAt: null,
  ...fields,
});

export const status = (fields: Run): ConversationEvent => ({
  __typename: 'RunStatusChanged',
  ...next(),
  status: fields.status,
  run: fields,
});
export const created = (of: ConversationMessage): ConversationEvent => ({
  __typename: 'MessageCreated',
  ...next(),
  message: of,
});
export const finished = (of: ConversationMessage): ConversationEvent => ({
  __typename: 'MessageFinished',
  ...next(),
  message: of,
});
export const delta = (messageId: string, ...content: ContentDelta[]): ConversationEvent => ({
  __typename: 'MessageDelta',
  ...next(),
  messageId,
  content,
});
export const stepCreated = (of: ConversationStep): ConversationEvent => ({
  __typename: 'RunStepCreated',
  ...next(),
  step: of,
});
export const stepDelta = (stepId: string, ...toolCalls: CallDelta[]): ConversationEvent => ({
  __typename: 'RunStepDelta',
  ...next(),
  stepId,
  toolCalls,
});
export const text = (offset: number, value: string, index = 0): ContentDelta => ({
  __typename: 'TextDelta',
  index,
  offset,
  value,
  annotations: [],
});
