import { type EventBody, lengthOf, merge, MOST_TEXT, type StoredEvent } from './event.ts';

/**
 * Joins deltas of one message or step that follow each other, for a reader who gets them at once. The joined event has
 * the place of its last. Events are shared by readers: what is changed here is a copy.
 */
export function condense(events: StoredEvent[]): StoredEvent[] {
  const condensed: StoredEvent[] = [];
  let text = 0;
  let copied = false;
  for (const event of events) {
    const before = condensed.at(-1);
    const more = lengthOf(event.body);
    if (before && more !== null && text + more <= MOST_TEXT && targetOf(before.body) === targetOf(event.body)) {
      const body = copied ? before.body : copyOf(before.body);
      if (merge(body, copyOf(event.body))) {
        condensed[condensed.length - 1] = { ...event, body };
        copied = true;
        text += more;
        continue;
      }
    }
    condensed.push(event);
    copied = false;
    text = more ?? MOST_TEXT;
  }
  return condensed;
}

/** What a delta extends; null of any other event. */
function targetOf(body: EventBody): string | null {
  if (body.type === 'MessageDelta') return body.messageId;
  return body.type === 'RunStepDelta' ? body.stepId : null;
}

/** As deep as `merge` changes it. */
function copyOf(body: EventBody): EventBody {
  if (body.type === 'MessageDelta') {
    const content = body.content.map((part) =>
      part.type === 'text' ? { ...part, annotations: [...part.annotations] } : { ...part },
    );
    return { ...body, content };
  }
  return body.type === 'RunStepDelta' ? { ...body, toolCalls: body.toolCalls.map((call) => ({ ...call })) } : body;
}
