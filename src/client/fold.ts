import type {
  ConversationQuery,
  FollowRunSubscription,
  FollowThreadSubscription,
  MessagePartsFragment,
  RunDetailsQuery,
  RunPartsFragment,
  StepPartsFragment,
} from '../generated/graphql/graphql.ts';
import { applyCallDeltas, applyContentDeltas, textOf } from './deltas.ts';
import { isFinal } from './final.ts';

/** A message of a conversation: of one in progress, what has been written so far. */
export type ConversationMessage = MessagePartsFragment;
/** A step of a run: of one in progress, its tool calls with what has been written of them so far. */
export type ConversationStep = StepPartsFragment;
/** A run with its steps, oldest first. */
export type ConversationRun = RunPartsFragment & { readonly steps: readonly ConversationStep[] };

/** What `FollowRun` and `FollowThread` deliver. */
export type ConversationEvent = FollowRunSubscription['runEvents'] | FollowThreadSubscription['threadEvents'];

/** A thread, or one run of it, as known from queries and events. Never changed in place: `fold` makes new ones. */
export interface Conversation {
  /** Position of the newest event that was folded: what to pass as `after` when a subscription is begun again. */
  readonly cursor: string | null;
  /** Where messages begin that are older than those here: what to pass as `before`; null when there are none. */
  readonly older: string | null;
  /** In thread order. */
  readonly messages: readonly ConversationMessage[];
  /** Oldest first. */
  readonly runs: readonly ConversationRun[];
  /** Whether the thread was deleted; what was known of it is left as it was. */
  readonly deleted: boolean;
  /** Ids of messages that are gone, so that an event which comes twice does not bring them back. */
  readonly dropped: ReadonlySet<string>;
}

type Of<Type extends ConversationEvent['__typename']> = Extract<ConversationEvent, { __typename: Type }>;

/** Nothing yet: where to begin when a subscription begins with a snapshot. */
export function emptyConversation(): Conversation {
  return { cursor: null, older: null, messages: [], runs: [], deleted: false, dropped: new Set() };
}

/**
 * What a query knows, to go on from: pass the result of `Conversation` or `RunDetails`, then follow the thread or the
 * run with the `cursor` of what comes back. Null when the query found nothing.
 */
export function conversationOf(result: ConversationQuery | RunDetailsQuery): Conversation | null {
  if ('run' in result) {
    const { run } = result;
    if (!run) return null;
    const { cursor, instructions: _, steps, messages, ...parts } = run;
    return { ...emptyConversation(), cursor, messages: messages.nodes, runs: [{ ...parts, steps: steps.nodes }] };
  }
  const { thread } = result;
  if (!thread) return null;
  const runs = new Map<string, ConversationRun>();
  const messages = thread.messages.nodes.map(({ run, ...message }): ConversationMessage => {
    if (run) runs.set(run.id, { ...run, steps: run.steps.nodes });
    return message;
  });
  if (thread.activeRun) runs.set(thread.activeRun.id, { ...thread.activeRun, steps: thread.activeRun.steps.nodes });
  const older = olderThan(thread.messages.pageInfo);
  return { ...emptyConversation(), cursor: thread.cursor, older, messages, runs: [...runs.values()] };
}

/**
 * The conversation with a page of older messages before it: the result of `Conversation`, asked for with `older` as
 * `before`. What is known already stays as it is, for it may be ahead of the page.
 */
export function withOlder(state: Conversation, { thread }: ConversationQuery): Conversation {
  // The run that is active now is none of a page's: it is known from events, or comes with the next ones.
  const page = conversationOf({ thread: thread && { ...thread, activeRun: null } });
  if (!page) return { ...state, older: null };
  const known = new Set([...state.messages, ...state.runs].map(({ id }) => id));
  const isNew = ({ id }: { id: string }) => !known.has(id) && !state.dropped.has(id);
  return {
    ...state,
    older: page.older,
    messages: [...page.messages.filter(isNew), ...state.messages],
    runs: [...page.runs.filter(isNew), ...state.runs],
  };
}

const olderThan = (page: { hasPreviousPage: boolean; startCursor: string | null }): string | null =>
  page.hasPreviousPage ? page.startCursor : null;

/**
 * The conversation behind an event. Events go in as they come; one that comes twice, or whose outcome is known already
 * from a query, does no harm. What an event does not touch is the same object as before, so a page can compare by
 * identity.
 */
export function fold(state: Conversation, event: ConversationEvent): Conversation {
  return { ...state, ...changes(state, event), cursor: event.cursor };
}

function changes(state: Conversation, event: ConversationEvent): Partial<Conversation> {
  switch (event.__typename) {
    case 'ThreadSnapshot':
      return replaceAll(event);
    case 'RunSnapshot':
      return replaceRun(state, event);
    case 'RunStatusChanged':
      return changeRun(state, event);
    case 'RunStepCreated':
      return putStep(state, event.step, (known) => known);
    case 'RunStepDelta':
      return extendStep(state, event);
    case 'RunStepFinished':
      return putStep(state, event.step, () => event.step);
    case 'MessageCreated':
      return putMessage(state, event.message, (known) => known);
    case 'MessageDelta':
      return extendMessage(state, event);
    case 'MessageFinished':
      // A worker was lost and its turn is done again: the message counts for nothing.
      if (event.message.incompleteDetails?.reason === 'SUPERSEDED') return dropMessage(state, event.message.id);
      return putMessage(state, event.message, () => event.message);
    case 'MessageDeleted':
      return dropMessage(state, event.messageId);
    case 'ThreadDeleted':
      return { deleted: true };
    default:
      // Of a server that is newer than this client: its cursor counts, and the rest is not for us.
      event satisfies never;
      return {};
  }
}

function replaceAll({ thread }: Of<'ThreadSnapshot'>): Partial<Conversation> {
  return {
    older: olderThan(thread.messages.pageInfo),
    messages: thread.messages.nodes,
    runs: thread.runs.nodes.map(({ steps, ...run }) => ({ ...run, steps: steps.nodes })),
    deleted: false,
    dropped: new Set(),
  };
}

/** Everything of that run, and nothing else. */
function replaceRun(state: Conversation, event: Of<'RunSnapshot'>): Partial<Conversation> {
  const { steps, messages, ...parts } = event.run;
  const run: ConversationRun = { ...parts, steps: steps.nodes };
  const known = state.messages.findIndex(({ runId }) => runId === run.id);
  const others = state.messages.filter(({ runId }) => runId !== run.id);
  return {
    messages: known < 0 ? [...others, ...messages.nodes] : others.toSpliced(known, 0, ...messages.nodes),
    runs: put(state.runs, run, () => run),
  };
}

function changeRun({ runs }: Conversation, { run }: Of<'RunStatusChanged'>): Partial<Conversation> {
  return {
    runs: put(runs, { ...run, steps: [] }, (known) => {
      // A query may have been ahead of the log: what is final has no way back.
      if (isFinal(known.status) && !isFinal(run.status)) return known;
      return { ...run, steps: known.steps };
    }),
  };
}

function putStep(
  { runs }: Conversation,
  step: ConversationStep,
  change: (known: ConversationStep) => ConversationStep,
): Partial<Conversation> {
  const at = runs.findLastIndex(({ id }) => id === step.runId);
  if (at < 0) return {};
  const run = runs[at]!;
  const steps = put(run.steps, step, change);
  return steps === run.steps ? {} : { runs: runs.with(at, { ...run, steps }) };
}

function extendStep({ runs }: Conversation, { stepId, toolCalls: deltas }: Of<'RunStepDelta'>): Partial<Conversation> {
  for (let at = runs.length - 1; at >= 0; at--) {
    const run = runs[at]!;
    const place = run.steps.findLastIndex(({ id }) => id === stepId);
    if (place < 0) continue;
    const step = run.steps[place]!;
    if (step.status !== 'IN_PROGRESS' || step.details.__typename !== 'ToolCallsDetails') return {};
    const details = { ...step.details, toolCalls: applyCallDeltas(step.details.toolCalls, deltas) };
    return { runs: runs.with(at, { ...run, steps: run.steps.with(place, { ...step, details }) }) };
  }
  return {};
}

function putMessage(
  state: Conversation,
  message: ConversationMessage,
  change: (known: ConversationMessage) => ConversationMessage,
): Partial<Conversation> {
  return state.dropped.has(message.id) ? {} : { messages: put(state.messages, message, change) };
}

function extendMessage({ messages }: Conversation, event: Of<'MessageDelta'>): Partial<Conversation> {
  const { messageId, content: deltas } = event;
  const at = messages.findLastIndex(({ id }) => id === messageId);
  const message = messages[at];
  if (message?.status !== 'IN_PROGRESS') return {};
  const content = applyContentDeltas(message.content, deltas);
  return { messages: messages.with(at, { ...message, content, text: textOf(content) }) };
}

function dropMessage({ messages, dropped }: Conversation, id: string): Partial<Conversation> {
  return { messages: messages.filter((message) => message.id !== id), dropped: new Set(dropped).add(id) };
}

/** Puts an object behind the others, or a changed one where it is. */
function put<Item extends { readonly id: string }>(
  items: readonly Item[],
  item: Item,
  change: (known: Item) => Item,
): readonly Item[] {
  const at = items.findLastIndex(({ id }) => id === item.id);
  if (at < 0) return [...items, item];
  const known = items[at]!;
  const next = change(known);
  return next === known ? items : items.with(at, next);
}
