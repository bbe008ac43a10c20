/**
 * What the log holds. A body is a stored fact: its own object is as of that moment (JSON: times are ISO strings). The
 * rows' shapes belong to the rooms that write them; the log only carries them.
 */
export type EventBody =
  | { type: 'RunStatusChanged'; run: unknown }
  | { type: 'RunStepCreated'; step: unknown }
  | { type: 'RunStepDelta'; stepId: string; toolCalls: ToolCallDelta[] }
  | { type: 'RunStepFinished'; step: unknown }
  | { type: 'MessageCreated'; message: unknown }
  | { type: 'MessageDelta'; messageId: string; content: ContentDelta[] }
  | { type: 'MessageFinished'; message: unknown }
  | { type: 'MessageDeleted'; messageId: string }
  | { type: 'ThreadDeleted'; threadId: string };

/** `offset`: UTF-16 position in the part's value at which `value` stands. */
export type ContentDelta =
  | { type: 'text'; index: number; offset: number; value: string; annotations: unknown[] }
  | { type: 'refusal'; index: number; offset: number; value: string }
  | { type: 'imageFile'; index: number; fileId: string };

/**
 * `offset`: UTF-16 position in the text that is extended: the call's arguments, the code, or its last logs. `name` comes
 * with a function call's first delta. `ended` is a hosted call as it ended, in place of all that was known of it.
 */
export type ToolCallDelta =
  | { type: 'function'; index: number; id: string; name: string | null; offset: number; arguments: string }
  | {
      type: 'codeInterpreter';
      index: number;
      id: string;
      offset: number;
      input: string | null;
      logs: string | null;
      imageFileId: string | null;
      ended: unknown;
    }
  | { type: 'fileSearch'; index: number; id: string; ended: unknown };

export interface StoredEvent {
  threadId: string;
  /** Place in the thread's log: 1, 2, 3 … without a gap. */
  number: number;
  /** The run it belongs to; null for what callers did to the thread. */
  runId: string | null;
  at: Date;
  body: EventBody;
}

/** An event that has no place in the log yet. */
export type NewEvent = Pick<StoredEvent, 'runId' | 'body'>;

export const inRun = (runId: string, bodies: readonly EventBody[]): NewEvent[] =>
  bodies.map((body) => ({ runId, body }));

/** What callers do to a thread belongs to none of its runs. */
export const byCaller = (bodies: readonly EventBody[]): NewEvent[] => bodies.map((body) => ({ runId: null, body }));

/** Ids in a log are of our own minting, so the part behind the prefix is enough, and short on the wire. */
export function cursorOf(threadId: string, number: number): string {
  return `${threadId.slice(threadId.indexOf('_') + 1)}.${number}`;
}

/** The number a cursor of this thread stands for, or null when it is none of this thread's. */
export function numberOf(threadId: string, cursor: string): number | null {
  const dot = cursor.lastIndexOf('.');
  if (dot < 0 || cursor.slice(0, dot) !== threadId.slice(threadId.indexOf('_') + 1)) return null;
  const digits = cursor.slice(dot + 1);
  return /^(0|[1-9][0-9]{0,9})$/.test(digits) ? Number(digits) : null;
}

/** Characters of text beyond which a joined delta is not extended: no event is too large to be sent in one piece. */
export const MOST_TEXT = 65_536;

/** Characters of text that a delta brings; null of any other event. */
export function lengthOf(body: EventBody): number | null {
  if (body.type === 'MessageDelta') return body.content.reduce((sum, part) => sum + ('value' in part ? part.value.length : 0), 0);
  if (body.type !== 'RunStepDelta') return null;
  return body.toolCalls.reduce((sum, call) => {
    if (call.type === 'function') return sum + call.arguments.length;
    return call.type === 'codeInterpreter' ? sum + (call.input?.length ?? 0) + (call.logs?.length ?? 0) : sum;
  }, 0);
}

/**
 * Joins a delta to one that waits to be written, when both go on with the same text; the number of parts a reader sees
 * is not part of what is promised, their sum is. Returns false when they must stay apart.
 */
export function merge(waiting: EventBody, next: EventBody): boolean {
  if (waiting.type === 'MessageDelta' && next.type === 'MessageDelta' && waiting.messageId === next.messageId) {
    for (const part of next.content) {
      const before = waiting.content.at(-1);
      if (!before || !extendPart(before, part)) waiting.content.push(part);
    }
    return true;
  }
  if (waiting.type === 'RunStepDelta' && next.type === 'RunStepDelta' && waiting.stepId === next.stepId) {
    for (const call of next.toolCalls) {
      const before = waiting.toolCalls.at(-1);
      if (!before || !extendCall(before, call)) waiting.toolCalls.push(call);
    }
    return true;
  }
  return false;
}

/** Whether the second delta went on with the text of the first, and is part of it now. */
function extendPart(before: ContentDelta, part: ContentDelta): boolean {
  if (before.type === 'imageFile' || part.type === 'imageFile') return false;
  if (before.index !== part.index || before.type !== part.type) return false;
  if (before.offset + before.value.length !== part.offset) return false;
  before.value += part.value;
  if (before.type === 'text' && part.type === 'text') before.annotations.push(...part.annotations);
  return true;
}

/** The same of a tool call. */
function extendCall(before: ToolCallDelta, call: ToolCallDelta): boolean {
  if (before.index !== call.index) return false;
  if (before.type === 'function' && call.type === 'function') {
    if (before.offset + before.arguments.length !== call.offset) return false;
    before.arguments += call.arguments;
    return true;
  }
  if (before.type !== 'codeInterpreter' || call.type !== 'codeInterpreter') return false;
  for (const text of ['input', 'logs'] as const) {
    const [value, more] = [before[text], call[text]];
    if (value === null || more === null || before.offset + value.length !== call.offset) continue;
    before[text] = value + more;
    return true;
  }
  return false;
}

/**
 * The payload as it is stored: JSON, but for what nearly all events are, one piece of text for one part of a message,
 * whose frame would be ten times its text: `t <message id> <index> <offset> <text>`.
 */
export function encodeBody(body: EventBody): string {
  if (body.type === 'MessageDelta' && body.content.length === 1) {
    const part = body.content[0]!;
    if (part.type === 'text' && part.annotations.length === 0) {
      return `t ${body.messageId} ${part.index} ${part.offset} ${part.value}`;
    }
  }
  return JSON.stringify(body);
}

export function decodeBody(payload: string): EventBody {
  if (!payload.startsWith('t ')) return JSON.parse(payload) as EventBody;
  const [, messageId, index, offset, value] = /^t (\S+) (\d+) (\d+) ([^]*)$/.exec(payload)!;
  const content = [
    { type: 'text' as const, index: Number(index), offset: Number(offset), value: value!, annotations: [] },
  ];
  return { type: 'MessageDelta', messageId: messageId!, content };
}
