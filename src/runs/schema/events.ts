import { assertNever } from '../../errors.ts';
import {
  type ContentDelta as ContentDeltaValue,
  cursorOf,
  type EventBody,
  type StoredEvent,
  type ToolCallDelta as ToolCallDeltaValue,
} from '../../events/event.ts';
import { builder } from '../../graphql/builder.ts';
import type { Annotation as AnnotationValue, Message as MessageRow } from '../../threads/message.ts';
import { Annotation, Message } from '../../threads/schema/message.ts';
import { Thread } from '../../threads/schema/thread.ts';
import type { ThreadView } from '../../threads/thread-list.ts';
import type { Run as RunRow, RunStep as StepRow } from '../run.ts';
import { File, namedFile } from '../../files/schema.ts';
import { Run, RunStatus, type RunView } from './run.ts';
import { CodeInterpreterToolCall, FileSearchToolCall, RunStep } from './step.ts';
import type { CodeInterpreterCall, FileSearchCall } from '../../tools/tool.ts';

/** What a subscription delivers: a stored event, or a snapshot that was read for this subscriber. */
export type Delivered = StoredEvent | RunSnapshotValue | ThreadSnapshotValue;
export interface RunSnapshotValue {
  snapshot: 'run';
  at: Date;
  run: RunView;
}
export interface ThreadSnapshotValue {
  snapshot: 'thread';
  at: Date;
  thread: ThreadView;
}

type Of<Type extends EventBody['type']> = StoredEvent & { body: EventBody & { type: Type } };

function typeName(event: Delivered): string {
  if ('snapshot' in event) return event.snapshot === 'run' ? 'RunSnapshot' : 'ThreadSnapshot';
  const { type } = event.body;
  switch (type) {
    case 'RunStatusChanged':
    case 'RunStepCreated':
    case 'RunStepDelta':
    case 'RunStepFinished':
    case 'MessageCreated':
    case 'MessageDelta':
    case 'MessageFinished':
    case 'MessageDeleted':
    case 'ThreadDeleted':
      return type;
    default:
      return assertNever(type);
  }
}

function cursor(event: Delivered): string {
  if (!('snapshot' in event)) return cursorOf(event.threadId, event.number);
  return event.snapshot === 'run'
    ? cursorOf(event.run.threadId, event.run.logEnd)
    : cursorOf(event.thread.id, event.thread.lastEvent);
}

const CURSOR = "Its position in the thread's log: what `after` goes on from, in `runEvents` and `threadEvents` alike.";

export const RunEvent = builder.interfaceRef<Delivered>('RunEvent').implement({
  description:
    'Something that happened in a run. A stored fact: its own object is as of that moment, also when it is read again; what is reached beyond it is as of now.',
  resolveType: typeName,
  fields: (t) => ({
    cursor: t.string({ description: CURSOR, resolve: cursor }),
    at: t.field({
      type: 'DateTime',
      description: 'When it happened; of a snapshot, when it was read.',
      resolve: ({ at }) => at,
    }),
  }),
});

export const ThreadEvent = builder.interfaceRef<Delivered>('ThreadEvent').implement({
  description: 'Something that happened in a thread: in one of its runs, or by a caller.',
  resolveType: typeName,
  fields: (t) => ({
    cursor: t.string({ description: CURSOR, resolve: cursor }),
    at: t.field({
      type: 'DateTime',
      description: 'When it happened; of a snapshot, when it was read.',
      resolve: ({ at }) => at,
    }),
  }),
});

builder.objectRef<RunSnapshotValue>('RunSnapshot').implement({
  description:
    'A run with its steps and messages, all read at the moment that its cursor stands for. Replaces all that was known of the run.',
  interfaces: [RunEvent],
  fields: (t) => ({ run: t.field({ type: Run, description: 'The run.', resolve: ({ run }) => run }) }),
});

builder.objectRef<ThreadSnapshotValue>('ThreadSnapshot').implement({
  description:
    'A thread with its messages and runs, all read at the moment that its cursor stands for. Replaces all that was known of the thread.',
  interfaces: [ThreadEvent],
  fields: (t) => ({ thread: t.field({ type: Thread, description: 'The thread.', resolve: ({ thread }) => thread }) }),
});

/** An event's run knows where it stands in the log: that is its cursor. */
const runOf = ({ body, number }: Of<'RunStatusChanged'>): RunView => ({ ...(body.run as RunRow), logEnd: number });

builder.objectRef<Of<'RunStatusChanged'>>('RunStatusChanged').implement({
  description: 'A run has another status. The first event of every run is QUEUED, the last one a final status.',
  interfaces: [RunEvent, ThreadEvent],
  fields: (t) => ({
    run: t.field({ type: Run, description: 'The run as it was then.', resolve: runOf }),
    status: t.field({
      type: RunStatus,
      description: 'The status it took.',
      resolve: ({ body }) => (body.run as RunRow).status,
    }),
  }),
});

builder.objectRef<Of<'RunStepCreated'>>('RunStepCreated').implement({
  description: 'A run has begun a step.',
  interfaces: [RunEvent, ThreadEvent],
  fields: (t) => ({
    step: t.field({ type: RunStep, description: 'The step, empty.', resolve: ({ body }) => body.step as StepRow }),
  }),
});

builder.objectRef<Of<'RunStepFinished'>>('RunStepFinished').implement({
  description: 'A step is final. Replaces all that was known of it.',
  interfaces: [RunEvent, ThreadEvent],
  fields: (t) => ({
    step: t.field({ type: RunStep, description: 'The step, final.', resolve: ({ body }) => body.step as StepRow }),
  }),
});

builder.objectRef<Of<'MessageCreated'>>('MessageCreated').implement({
  description: 'A message was begun: empty when a run writes it, whole when a caller has added it.',
  interfaces: [RunEvent, ThreadEvent],
  fields: (t) => ({
    message: t.field({
      type: Message,
      description: 'The message as it was then.',
      resolve: ({ body }) => body.message as MessageRow,
    }),
  }),
});

builder.objectRef<Of<'MessageFinished'>>('MessageFinished').implement({
  description: 'A message is final. Replaces all that was known of it; one that was SUPERSEDED is to be dropped.',
  interfaces: [RunEvent, ThreadEvent],
  fields: (t) => ({
    message: t.field({
      type: Message,
      description: 'The message, final.',
      resolve: ({ body }) => body.message as MessageRow,
    }),
  }),
});

builder.objectRef<Of<'MessageDeleted'>>('MessageDeleted').implement({
  description: 'A caller has deleted a message.',
  interfaces: [ThreadEvent],
  fields: (t) => ({ messageId: t.id({ description: 'Id of the message.', resolve: ({ body }) => body.messageId }) }),
});

builder.objectRef<Of<'ThreadDeleted'>>('ThreadDeleted').implement({
  description: 'The thread was deleted: by a caller, or because nothing had happened in it for as long as this server keeps threads. The last event there is.',
  interfaces: [ThreadEvent],
  fields: (t) => ({ threadId: t.exposeID('threadId', { description: 'Id of the thread.' }) }),
});

type Text = ContentDeltaValue & { type: 'text' };
type Refusal = ContentDeltaValue & { type: 'refusal' };
type ImageFile = ContentDeltaValue & { type: 'imageFile' };

const CONTENT = { text: 'TextDelta', refusal: 'RefusalDelta', imageFile: 'ImageFileDelta' } as const;
const OFFSET = 'UTF-16 position in the whole at which the value stands: value.slice(0, offset) + delta.';
const DELTA_INDEX = 'Place among the parts of the message, from 0.';

const ContentDelta = builder.interfaceRef<ContentDeltaValue>('ContentDelta').implement({
  description: "What was added to one part of a message's content.",
  resolveType: ({ type }) => CONTENT[type],
  fields: (t) => ({ index: t.exposeInt('index', { description: DELTA_INDEX }) }),
});

builder.objectRef<Text>('TextDelta').implement({
  description: 'More text.',
  interfaces: [ContentDelta],
  fields: (t) => ({
    offset: t.exposeInt('offset', { description: OFFSET }),
    value: t.exposeString('value', { description: 'The text that was added.' }),
    annotations: t.field({
      type: [Annotation],
      description: 'Annotations that came with it, each once and whole.',
      resolve: ({ annotations }) => annotations as AnnotationValue[],
    }),
  }),
});

builder.objectRef<Refusal>('RefusalDelta').implement({
  description: 'More of a refusal.',
  interfaces: [ContentDelta],
  fields: (t) => ({
    offset: t.exposeInt('offset', { description: OFFSET }),
    value: t.exposeString('value', { description: 'The words that were added.' }),
  }),
});

builder.objectRef<ImageFile>('ImageFileDelta').implement({
  description: 'An image, sent whole.',
  interfaces: [ContentDelta],
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

builder.objectRef<Of<'MessageDelta'>>('MessageDelta').implement({
  description: 'More of a message. Seen twice, it does no harm: it stands at its offset.',
  interfaces: [RunEvent, ThreadEvent],
  fields: (t) => ({
    messageId: t.id({ description: 'Id of the message.', resolve: ({ body }) => body.messageId }),
    content: t.field({ type: [ContentDelta], description: 'What was added.', resolve: ({ body }) => body.content }),
  }),
});

type DeltaOf<Type extends ToolCallDeltaValue['type']> = ToolCallDeltaValue & { type: Type };

const ENDED = 'The call as it ended, in place of all that was known of it; null while it goes on.';

const CALLS = {
  function: 'FunctionToolCallDelta',
  codeInterpreter: 'CodeInterpreterToolCallDelta',
  fileSearch: 'FileSearchToolCallDelta',
} as const;

const ToolCallDelta = builder.interfaceRef<ToolCallDeltaValue>('ToolCallDelta').implement({
  description: 'What was added to one tool call.',
  resolveType: ({ type }) => CALLS[type],
  fields: (t) => ({
    index: t.exposeInt('index', { description: 'Place among the calls of the step, from 0.' }),
    id: t.exposeID('id', { description: 'Id of the call.' }),
  }),
});

builder.objectRef<DeltaOf<'function'>>('FunctionToolCallDelta').implement({
  description: 'More of a function call.',
  interfaces: [ToolCallDelta],
  fields: (t) => ({
    name: t.exposeString('name', {
      nullable: true,
      description: "The function's name, with the call's first delta only.",
    }),
    offset: t.exposeInt('offset', { description: OFFSET }),
    arguments: t.exposeString('arguments', { nullable: true, description: 'The arguments that were added.' }),
  }),
});

builder.objectRef<DeltaOf<'codeInterpreter'>>('CodeInterpreterToolCallDelta').implement({
  description:
    'More of a code interpreter call: at most one of input, logs, image, ended; none of them when it begins to run. Logs extend the last output if that is logs, else open a new one.',
  interfaces: [ToolCallDelta],
  fields: (t) => ({
    offset: t.exposeInt('offset', { description: OFFSET }),
    input: t.exposeString('input', { nullable: true, description: 'Code that was added.' }),
    logs: t.exposeString('logs', { nullable: true, description: 'Output that was added.' }),
    image: t.field({
      type: File,
      nullable: true,
      description: 'An image that the code made.',
      resolve: ({ imageFileId }, _args, { load }) => (imageFileId ? load.one(namedFile, imageFileId) : null),
    }),
    imageFileId: t.exposeID('imageFileId', { nullable: true, description: 'Id of the image.' }),
    ended: t.field({
      type: CodeInterpreterToolCall,
      nullable: true,
      description: ENDED,
      resolve: ({ ended }) => ended as CodeInterpreterCall | null,
    }),
  }),
});

builder.objectRef<DeltaOf<'fileSearch'>>('FileSearchToolCallDelta').implement({
  description: 'A search is asked for, has begun, or has ended.',
  interfaces: [ToolCallDelta],
  fields: (t) => ({
    ended: t.field({
      type: FileSearchToolCall,
      nullable: true,
      description: ENDED,
      resolve: ({ ended }) => ended as FileSearchCall | null,
    }),
  }),
});

builder.objectRef<Of<'RunStepDelta'>>('RunStepDelta').implement({
  description: 'More of a step.',
  interfaces: [RunEvent, ThreadEvent],
  fields: (t) => ({
    stepId: t.id({ description: 'Id of the step.', resolve: ({ body }) => body.stepId }),
    toolCalls: t.field({
      type: [ToolCallDelta],
      description: 'What was added to its calls.',
      resolve: ({ body }) => body.toolCalls,
    }),
  }),
});
