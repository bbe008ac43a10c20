import { type Assistant, readAssistant } from '../assistants/assistants.ts';
import type { Db, Tx } from '../db/db.ts';
import { violatedKey } from '../db/db.ts';
import { NotFoundError, ThreadBusyError, UserError, WrongRunStatusError } from '../errors.ts';
import { byCaller, inRun } from '../events/event.ts';
import { type EventLog, LOG_PLACE } from '../events/log.ts';
import { mintId } from '../ids.ts';
import type { NewMessage } from '../threads/message.ts';
import type { ThreadList } from '../threads/thread-list.ts';
import {
  eraseThread,
  holdThread,
  insertMessages,
  insertThread,
  type LockedThread,
  lockThread,
  type NewThread,
} from '../threads/threads.ts';
import { addUsage, NO_USAGE } from '../usage/usage.ts';
import type { Hands, Leases } from '../work/leases.ts';
import type { Wake } from '../work/wake.ts';
import { bornHeld, type HeldRun } from './held-run.ts';
import { LINE_LIMIT, type Line } from './line.ts';
import {
  type ClaimedRun,
  insertRun,
  preferWorker,
  readSteps,
  RUN_COLUMNS,
  saveRun,
  saveStep,
  saveTakenOut,
} from './rows.ts';
import { moved, threadOf, visibleStatus, type Run, type RunConfig, type RunStep } from './run.ts';
import { endStep, settle, type Outcome, type Unfinished } from './settle.ts';
import { checkOutputs, sameOutputs } from './tool-outputs.ts';
import { isFinal } from './status.ts';

export interface StartRun {
  assistantId: string;
  /** An existing thread, or a new one. */
  thread: { id: string } | { create: NewThread };
  additionalMessages: NewMessage[];
  /** The assistant's settings with the run's own in their place. */
  configure(assistant: Assistant): RunConfig;
  metadata: Record<string, string>;
  /** What to do when the thread has an active run. */
  ifBusy: IfBusy;
}

/**
 * REJECT refuses. ENQUEUE stands the run in line. INTERRUPT cancels the active run and stands the new one first in line.
 */
export type IfBusy = 'REJECT' | 'ENQUEUE' | 'INTERRUPT';

/** A run with the number of the last event of its thread's log that it reflects. */
export type StoredRun = Run & { logEnd: number };

/** What callers do with runs. What the worker does with one it holds is in held-run.ts. */
export interface Runs {
  /** The run as it was begun, or came to stand in line: all that the log tells of it stands behind its `logEnd`. */
  start(projectId: string, id: string, input: StartRun): Promise<StoredRun>;
  update(projectId: string, id: string, metadata: Record<string, string> | undefined): Promise<void>;
  cancel(projectId: string, id: string): Promise<void>;
  /** The run as it goes back to the queue; null when these outputs are stored already. */
  submitToolOutputs(
    projectId: string,
    id: string,
    outputs: { toolCallId: string; output: string }[],
  ): Promise<StoredRun | null>;
  /** Deletes a thread; its active run ends with it. */
  deleteThread(projectId: string, id: string): Promise<void>;
  /** Ends runs that nobody holds and whose time is over. Returns how many. */
  expireOverdue(): Promise<number>;
}

interface RunsOptions {
  db: Db;
  log: EventLog;
  leases: Leases<ClaimedRun>;
  wake: Wake;
  line: Line;
  list: ThreadList;
  /** The worker of this process: a run that it has room for is its from birth. */
  hands: Hands<HeldRun>;
  expiresAfterMs: number;
}

export function createRuns({ db, log, leases, wake, line, list, hands, expiresAfterMs }: RunsOptions): Runs {
  /** Locks a run with its thread, in this order, and hands both to `work`. */
  function locked<T>(
    projectId: string,
    id: string,
    work: (tx: Tx, run: LockedRun, thread: LockedThread) => T | Promise<T>,
  ): Promise<T> {
    return retried(async () => {
      const [found] = await db.query<{ threadId: string }>({
        name: 'run-thread',
        text: 'select thread_id as "threadId" from run where id = $1 and project_id = $2',
        values: [id, projectId],
      });
      if (!found) throw new NotFoundError('run', id, ['input', 'runId']);
      return db.tx(async (tx) => {
        const thread = await lockThread(tx, projectId, found.threadId).catch((error: unknown) => {
          throw error instanceof NotFoundError ? new NotFoundError('run', id, ['input', 'runId']) : error;
        });
        const run = await lockRun(tx, id);
        if (!run) throw new NotFoundError('run', id, ['input', 'runId']);
        return work(tx, run, thread);
      });
    });
  }

  async function end(tx: Tx, run: LockedRun, after: number, outcome: Outcome): Promise<void> {
    const steps = await readSteps(tx, run.id);
    const usage = steps.reduce((sum, step) => (step.usage ? addUsage(sum, step.usage) : sum), NO_USAGE);
    leases.seize(tx, run.id);
    const events = await settle(tx, line, after + 1, withoutLease(run), waiting(steps), outcome, usage, null);
    log.append(tx, threadOf(run), after, events);
  }

  /** Ends a run that nobody executes, or asks whoever does to stop. */
  async function stop(tx: Tx, run: LockedRun, lastEvent: number): Promise<void> {
    if (isWaiting(run)) return end(tx, run, lastEvent, { status: 'CANCELLED' });
    tx.write({
      name: 'run-ask-to-stop',
      text: 'update run set cancel_requested_at = coalesce(cancel_requested_at, now()) where id = $1',
      values: [run.id],
    });
    tx.afterCommit(() => {
      if (run.owner === null) wake.wake('work');
      else wake.wake('stop', run.id);
      // It is CANCELLING from now on, and the log does not tell of it before its owner does.
      list.moved(run.projectId, run.threadId);
    });
  }

  /** Takes a run out of the line. The log tells of it at once where nobody holds the thread, else its holder does. */
  async function takeOutOfLine(tx: Tx, run: LockedRun, thread: LockedThread): Promise<void> {
    const cancelled = moved(moved(run, 'CANCELLING'), 'CANCELLED', { cancelledAt: new Date() });
    saveTakenOut(tx, cancelled);
    tx.afterCommit(() => list.moved(run.projectId, run.threadId));
    const holder = await lockRun(tx, thread.activeRunId!);
    if (holder && !isWaiting(holder)) return tx.afterCommit(() => wake.wake('line', holder.id));
    const events = line.tell(tx, await line.read(tx, thread.id), thread.lastEvent + 1);
    log.append(tx, thread, thread.lastEvent, events);
  }

  /** Stores a new run with its messages, begun when it is born `claimed`. */
  async function insertNew(
    tx: Tx,
    projectId: string,
    id: string,
    input: StartRun,
    claimed: boolean,
  ): Promise<{ run: StoredRun; held: HeldRun | null; waits: boolean }> {
    const { thread: where } = input;
    const [locked, assistant] = await Promise.all([
      'id' in where ? lockThread(tx, projectId, where.id) : null,
      readAssistant(tx, projectId, input.assistantId),
    ]);
    if (!assistant) throw new NotFoundError('assistant', input.assistantId, ['input', 'assistantId']);
    const config = input.configure(assistant);
    const thread = 'id' in where ? locked! : await insertThread(tx, log, projectId, mintId('Thread'), where.create);
    const run = newRun(id, thread, input.assistantId);
    const usesCode = config.tools.some(({ type }) => type === 'codeInterpreter');
    const isOurs = !usesCode || thread.codeWorker === null || thread.codeWorker === leases.owner;
    if (thread.activeRunId) {
      await standInLine(tx, run, config, input, thread, thread.activeRunId);
      // Its turn may come before the answer is made, which must stand before all that the log tells of it.
      return { run: { ...run, logEnd: thread.lastEvent }, held: null, waits: true };
    }
    const messages = insertMessages(tx, thread, input.additionalMessages);
    const now = run.createdAt;
    run.firstEvent = thread.lastEvent + messages.length + 1;
    run.expiresAt = new Date(now.getTime() + expiresAfterMs);
    const begun = claimed && isOurs ? moved(run, 'IN_PROGRESS', { startedAt: now }) : null;
    insertRun(tx, begun ?? run, config, input.metadata, begun && leases);
    if (!begun && thread.codeWorker !== null) preferWorker(tx, id);
    holdThread(tx, thread.id, id);
    const statuses = (begun ? [run, begun] : [run]).map((each) => ({ type: 'RunStatusChanged' as const, run: each }));
    const logEnd = log.append(tx, thread, thread.lastEvent, [...byCaller(messages), ...inRun(id, statuses)]);
    const place = { logEnd, lastPosition: thread.lastPosition };
    const held = begun && bornHeld({ db, log, leases, line }, begun, config, place);
    return { run: { ...run, logEnd: run.firstEvent }, held, waits: false };
  }

  async function standInLine(
    tx: Tx,
    run: Run,
    config: RunConfig,
    { ifBusy, additionalMessages, metadata }: StartRun,
    thread: LockedThread,
    activeRunId: string,
  ): Promise<void> {
    const path = ['input', 'threadId'];
    if (ifBusy === 'REJECT') {
      throw new ThreadBusyError(`Thread ${thread.id} already has an active run ${activeRunId}.`, activeRunId, path);
    }
    const standing = await line.read(tx, thread.id);
    if (standing.length >= LINE_LIMIT) {
      const message = `${LINE_LIMIT} runs already wait for thread ${thread.id}, which is as many as may.`;
      throw new UserError('QUOTA_EXCEEDED', message, path);
    }
    const first = (standing[0]?.line ?? 1) - 1;
    const last = (standing.at(-1)?.line ?? -1) + 1;
    const place = { line: ifBusy === 'INTERRUPT' ? first : last, pendingMessages: additionalMessages };
    insertRun(tx, run, config, metadata, null, place);
    tx.afterCommit(() => list.moved(run.projectId, run.threadId));
    if (ifBusy !== 'INTERRUPT') return;
    const active = await lockRun(tx, activeRunId);
    if (active) await stop(tx, active, thread.lastEvent);
  }

  return {
    async start(projectId, id, input) {
      // A run that its own process can take up needs no worker to look for it.
      const place = hands.reserve();
      const insert = () => db.tx((tx) => insertNew(tx, projectId, id, input, place !== null));
      const born = await retried(insert).catch((error: unknown) => {
        place?.giveBack();
        throw error;
      });
      if (born.held) place!.take(born.held);
      else place?.giveBack();
      if (!born.held && !born.waits) wake.wake('work');
      return born.run;
    },

    async update(projectId, id, metadata) {
      const rows = await db.query({
        name: 'run-update',
        text: 'update run set metadata = coalesce($3, metadata) where id = $1 and project_id = $2 returning id',
        values: [id, projectId, metadata ? JSON.stringify(metadata) : null],
      });
      if (rows.length === 0) throw new NotFoundError('run', id, ['input', 'runId']);
    },

    cancel: (projectId, id) =>
      locked(projectId, id, async (tx, run, thread) => {
        const status = visibleStatus(run);
        if (status === 'CANCELLING' || status === 'CANCELLED') return;
        if (isFinal(status)) {
          throw new WrongRunStatusError(`Cannot cancel run with status '${status}'.`, status, ['input', 'runId']);
        }
        await (run.line === null ? stop(tx, run, thread.lastEvent) : takeOutOfLine(tx, run, thread));
      }),

    submitToolOutputs: (projectId, id, outputs) =>
      locked(projectId, id, async (tx, run, { lastEvent }) => {
        const steps = await readSteps(tx, id);
        if (steps.some((step) => step.status === 'COMPLETED' && sameOutputs(step, outputs))) return null;
        const step = steps.findLast(({ type }) => type === 'TOOL_CALLS');
        if (run.status === 'REQUIRES_ACTION' && run.expiresAt && run.expiresAt <= new Date()) {
          await end(tx, run, lastEvent, { status: 'EXPIRED' });
          return 'expired' as const;
        }
        const status = visibleStatus(run);
        if (status !== 'REQUIRES_ACTION' || !step || !run.requiredAction) {
          throw new WrongRunStatusError(`Runs in status "${status}" do not accept tool outputs.`, status, [
            'input',
            'runId',
          ]);
        }
        const byId = checkOutputs(run, outputs);
        const done = endStep(
          {
            ...step,
            toolCalls: step.toolCalls!.map((call) =>
              byId.has(call.id) ? { ...call, status: 'COMPLETED', output: byId.get(call.id)! } : call,
            ),
          },
          { status: 'COMPLETED' },
          null,
        );
        saveStep(tx, done);
        const queued = moved(withoutLease(run), 'QUEUED', { requiredAction: null });
        saveRun(tx, queued);
        preferWorker(tx, id);
        const events = inRun(id, [
          { type: 'RunStepFinished', step: done },
          { type: 'RunStatusChanged', run: queued },
        ]);
        const logEnd = log.append(tx, threadOf(run), lastEvent, events);
        tx.afterCommit(() => wake.wake('work'));
        return { ...queued, logEnd };
      }).then((result) => {
        if (result !== 'expired') return result;
        throw new WrongRunStatusError('Runs in status "EXPIRED" do not accept tool outputs.', 'EXPIRED', [
          'input',
          'runId',
        ]);
      }),

    deleteThread: (projectId, id) =>
      retried(() =>
        db.tx(async (tx) => {
          const thread = await lockThread(tx, projectId, id);
          if (thread.activeRunId) tx.afterCommit(() => wake.wake('stop', thread.activeRunId!));
          eraseThread(tx, log, thread);
        }),
      ),

    async expireOverdue() {
      const overdue = await db.query<{ id: string; projectId: string }>({
        name: 'run-overdue',
        text: `select id, project_id as "projectId" from run
where expires_at < now() and owner is null and status in ('QUEUED', 'REQUIRES_ACTION') order by expires_at limit 100`,
        values: [],
      });
      for (const { id, projectId } of overdue) {
        await locked(projectId, id, async (tx, run, { lastEvent }) => {
          if (isWaiting(run)) await end(tx, run, lastEvent, { status: 'EXPIRED' });
        }).catch((error: unknown) => {
          if (!(error instanceof NotFoundError)) throw error; // deleted since
        });
      }
      return overdue.length;
    },
  };
}

type LockedRun = Run & { owner: string | null; line: number | null };

async function lockRun(tx: Tx, id: string): Promise<LockedRun | undefined> {
  const [row] = await tx.query<LockedRun>({
    name: 'run-lock',
    text: `select ${RUN_COLUMNS}, r.owner, r.line from run r where id = $1 for update`,
    values: [id],
  });
  return row;
}

function withoutLease({ owner: _owner, line: _line, ...run }: LockedRun): Run {
  return run;
}

/** A run that has neither its thread nor a place in its log yet. */
const newRun = (id: string, thread: LockedThread, assistantId: string): Run => ({
  id,
  projectId: thread.projectId,
  threadId: thread.id,
  assistantId,
  status: 'QUEUED',
  requiredAction: null,
  lastError: null,
  incompleteReason: null,
  usage: null,
  attempt: 1,
  firstEvent: null,
  lastEvent: null,
  createdAt: new Date(),
  startedAt: null,
  expiresAt: null,
  completedAt: null,
  cancelledAt: null,
  failedAt: null,
  cancelRequestedAt: null,
});

/** Nobody holds it and nothing is half written: whoever has its thread locked may end it. */
const isWaiting = (run: LockedRun): boolean =>
  run.owner === null && (run.status === 'QUEUED' || run.status === 'REQUIRES_ACTION');

/** What a run that waits for its caller has open: its calls, and no message. */
function waiting(steps: RunStep[]): Unfinished {
  const step = steps.findLast(({ status }) => status === 'IN_PROGRESS');
  return { message: null, toolCalls: step?.type === 'TOOL_CALLS' ? { step, calls: step.toolCalls ?? [] } : null };
}

/**
 * A transaction whose place in the log was taken by the run's owner in the same moment is done again: the caller has
 * not held the thread alone then, and sees the newer state at its next try.
 */
async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (violatedKey(error) !== LOG_PLACE || tries === 50) throw error;
    }
  }
}
