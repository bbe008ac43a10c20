import type { RunEvent, ThreadEvent } from './watch.ts';

type Event = RunEvent | ThreadEvent;
type Delta = Extract<Event, { __typename: 'MessageDelta' | 'RunStepDelta' }>;

/**
 * Events whose deltas are as few as they can be. Into how many a text is cut is not promised, and a reader who comes
 * late gets fewer: the text, and the place and time of its last piece, are the same for everyone.
 */
export function joined<E extends Event>(events: readonly E[]): E[] {
  const all: E[] = [];
  for (const event of events) {
    const before = all.at(-1);
    const one = before && isDelta(before) && isDelta(event) ? join(before, event) : null;
    if (one) all[all.length - 1] = one as E;
    else all.push((isDelta(event) ? (join(empty(event), event) ?? event) : event) as E);
  }
  return all;
}

const isDelta = (event: Event): event is Delta =>
  event.__typename === 'MessageDelta' || event.__typename === 'RunStepDelta';

const empty = (event: Delta): Delta =>
  event.__typename === 'MessageDelta' ? { ...event, content: [] } : { ...event, toolCalls: [] };

/** Null when they extend different things. */
function join(before: Delta, next: Delta): Delta | null {
  if (before.__typename === 'MessageDelta' && next.__typename === 'MessageDelta') {
    if (before.messageId !== next.messageId) return null;
    return { ...next, content: sum([...before.content, ...next.content], 'value') };
  }
  if (before.__typename === 'RunStepDelta' && next.__typename === 'RunStepDelta') {
    if (before.stepId !== next.stepId) return null;
    return { ...next, toolCalls: sum([...before.toolCalls, ...next.toolCalls], 'arguments') };
  }
  return null;
}

interface Piece {
  __typename: string;
  index: number;
  offset?: number | null;
}

/** Pieces that go on with the text in front of them are one with it. */
function sum<P extends Piece>(pieces: P[], field: string): P[] {
  const whole: P[] = [];
  for (const piece of pieces) {
    const before = whole.at(-1) as (P & Record<string, unknown>) | undefined;
    const [text, more] = [before?.[field], (piece as P & Record<string, unknown>)[field]];
    const goesOn =
      typeof text === 'string' &&
      typeof more === 'string' &&
      before!.__typename === piece.__typename &&
      before!.index === piece.index &&
      before!.offset! + text.length === piece.offset;
    if (goesOn) whole[whole.length - 1] = { ...before!, [field]: text + more };
    else whole.push(piece);
  }
  return whole;
}
