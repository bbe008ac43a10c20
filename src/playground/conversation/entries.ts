import type { ConversationMessage, ConversationRun, ConversationStep } from 'skein/client';

/** One thing after the other, as a conversation is read. */
export type Entry =
  | { kind: 'message'; key: string; at: string; message: ConversationMessage; run: ConversationRun | null }
  | { kind: 'calls'; key: string; at: string; step: ConversationStep; run: ConversationRun }
  /** What a run that is not simply done has to say for itself. */
  | { kind: 'run'; key: string; at: string; run: ConversationRun };

/**
 * Messages in thread order. What a run did stands where its steps have it: what it said between what it called; and
 * behind that how it ended, unless it is done or can be seen writing. A run that has said nothing stands where it began.
 */
export function entriesOf(messages: readonly ConversationMessage[], runs: readonly ConversationRun[]): Entry[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const ofRun = Map.groupBy(messages, ({ runId }) => runId);
  const entries: Entry[] = [];
  const told = new Set<string>();
  const silent = runs.filter(({ id }) => !ofRun.has(id));
  let next = 0;
  const tellSilentBefore = (at: string | null) => {
    for (; next < silent.length && (at === null || silent[next]!.createdAt < at); next++) {
      entries.push(...entriesOfRun(silent[next]!, []));
    }
  };
  for (const message of messages) {
    tellSilentBefore(message.createdAt);
    const run = message.runId === null ? undefined : byId.get(message.runId);
    if (!run) {
      entries.push({ kind: 'message', key: message.id, at: message.createdAt, message, run: null });
    } else if (!told.has(run.id)) {
      told.add(run.id);
      entries.push(...entriesOfRun(run, ofRun.get(run.id)!));
    }
  }
  tellSilentBefore(null);
  return entries;
}

function entriesOfRun(run: ConversationRun, messages: readonly ConversationMessage[]): Entry[] {
  const left = new Map(messages.map((message) => [message.id, message]));
  const entries: Entry[] = [];
  const tell = (message: ConversationMessage | undefined) => {
    if (!message || !left.delete(message.id)) return;
    entries.push({ kind: 'message', key: message.id, at: message.createdAt, message, run });
  };
  for (const step of run.steps) {
    const { details } = step;
    if (details.__typename === 'MessageCreationDetails') tell(left.get(details.messageId));
    else if (details.toolCalls.length > 0) {
      entries.push({ kind: 'calls', key: step.id, at: step.createdAt, step, run });
    }
  }
  for (const message of left.values()) tell(message);
  const writes = run.status === 'IN_PROGRESS' && messages.some(({ status, text }) => status === 'IN_PROGRESS' && text !== '');
  if (run.status !== 'COMPLETED' && !writes) entries.push({ kind: 'run', key: run.id, at: run.createdAt, run });
  return entries;
}
