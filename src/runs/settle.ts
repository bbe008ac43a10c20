import type { Tx } from '../db/db.ts';
import { assertNever } from '../errors.ts';
import { type EventBody, inRun, type NewEvent } from '../events/event.ts';
import { finished, type ContentPart, type Message, type MessageIncompleteReason } from '../threads/message.ts';
import { finishMessage, lockHeldThread } from '../threads/threads.ts';
import type { ToolCallStatus } from '../tools/tool.ts';
import type { Usage } from '../usage/usage.ts';
import type { Line } from './line.ts';
import { moved, type Run, type RunError, type RunIncompleteReason } from './run.ts';
import type { RunStep, RunStepStatus, ToolCall } from './run.ts';
import { saveRun, saveStep } from './rows.ts';

/** How a run ends. */
export type Outcome =
  | { status: 'COMPLETED' }
  | { status: 'INCOMPLETE'; reason: RunIncompleteReason }
  | { status: 'FAILED'; error: RunError; message?: MessageIncompleteReason }
  | { status: 'CANCELLED' }
  | { status: 'EXPIRED' };

/** What a run has under its hands: at most one message, and the steps that are not finished. */
export interface Unfinished {
  message: { row: Message; content: ContentPart[]; step: RunStep } | null;
  toolCalls: { calls: ToolCall[]; step: RunStep } | null;
}

/**
 * Ends a run in a transaction whose caller holds it: closes what is open, innermost first, writes the run's end, gives
 * the lease back and the thread to the run that is next in line, all before the run's last event can be seen. `usage`
 * is what the run took in all, `turnUsage` what its last model call did. `next` is the number of the first event of the
 * answer.
 */
export async function settle(
  tx: Tx,
  line: Line,
  next: number,
  run: Run,
  unfinished: Unfinished,
  outcome: Outcome,
  usage: Usage,
  turnUsage: Usage | null,
): Promise<NewEvent[]> {
  // The thread first: everybody locks in this order. Behind the lock nobody can join the line any more.
  lockHeldThread(tx, run.threadId);
  const waiting = line.read(tx, run.threadId);
  const bodies: EventBody[] = [];
  let current = run;
  if (outcome.status === 'CANCELLED' && run.status !== 'CANCELLING') {
    current = moved(run, 'CANCELLING', { requiredAction: null });
    bodies.push({ type: 'RunStatusChanged', run: current });
  }
  bodies.push(...close(tx, unfinished, outcome, turnUsage));
  const now = new Date();
  const end = moved(current, outcome.status, {
    requiredAction: null,
    usage,
    expiresAt: null,
    lastEvent: next + bodies.length,
    lastError: outcome.status === 'FAILED' ? outcome.error : null,
    incompleteReason: outcome.status === 'INCOMPLETE' ? outcome.reason : null,
    completedAt: outcome.status === 'COMPLETED' ? now : null,
    cancelledAt: outcome.status === 'CANCELLED' ? now : null,
    failedAt: outcome.status === 'FAILED' ? now : null,
  });
  saveRun(tx, end);
  bodies.push({ type: 'RunStatusChanged', run: end });
  const events = inRun(run.id, bodies);
  return [...events, ...line.handOver(tx, run.threadId, await waiting, next + events.length)];
}

/** Closes what is open and returns the events that tell of it, the message before its step. */
export function close(tx: Tx, open: Unfinished, outcome: Outcome, turnUsage: Usage | null): EventBody[] {
  const events: EventBody[] = [];
  if (open.message) {
    const message = finished(open.message.row, open.message.content, messageReason(outcome));
    const step = endStep(open.message.step, outcome, open.toolCalls ? null : turnUsage);
    finishMessage(tx, message);
    saveStep(tx, step);
    events.push({ type: 'MessageFinished', message }, { type: 'RunStepFinished', step });
  }
  if (open.toolCalls) {
    const { calls } = open.toolCalls;
    const toolCalls = calls.map((call) =>
      call.status === 'IN_PROGRESS' ? { ...call, status: callStatus(outcome) } : call,
    );
    const step = endStep({ ...open.toolCalls.step, toolCalls }, outcome, turnUsage);
    saveStep(tx, step);
    events.push({ type: 'RunStepFinished', step });
  }
  return events;
}

export function endStep(step: RunStep, outcome: Outcome, usage: Usage | null): RunStep {
  const now = new Date();
  const status = stepStatus(outcome);
  return {
    ...step,
    status,
    usage: step.usage ?? usage,
    lastError: outcome.status === 'FAILED' ? outcome.error : null,
    completedAt: status === 'COMPLETED' ? now : null,
    cancelledAt: status === 'CANCELLED' ? now : null,
    failedAt: status === 'FAILED' ? now : null,
    expiredAt: status === 'EXPIRED' ? now : null,
  };
}

/** A step knows no INCOMPLETE: one that ran out of tokens has nothing to report as an error. */
function stepStatus(outcome: Outcome): RunStepStatus {
  switch (outcome.status) {
    case 'COMPLETED':
    case 'INCOMPLETE':
      return 'COMPLETED';
    case 'FAILED':
    case 'CANCELLED':
    case 'EXPIRED':
      return outcome.status;
    default:
      return assertNever(outcome);
  }
}

function messageReason(outcome: Outcome): MessageIncompleteReason | null {
  switch (outcome.status) {
    case 'COMPLETED':
      return null;
    case 'INCOMPLETE':
      return 'MAX_TOKENS';
    case 'FAILED':
      return outcome.message ?? 'RUN_FAILED';
    case 'CANCELLED':
      return 'RUN_CANCELLED';
    case 'EXPIRED':
      return 'RUN_EXPIRED';
    default:
      return assertNever(outcome);
  }
}

const callStatus = (outcome: Outcome): ToolCallStatus => (outcome.status === 'CANCELLED' ? 'CANCELLED' : 'FAILED');
