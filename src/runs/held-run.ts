import { type Db, sqlState, type Tx, UNIQUE_VIOLATION } from '../db/db.ts';
import { type ContentDelta, type EventBody, inRun, type NewEvent, type ToolCallDelta } from '../events/event.ts';
import type { EventLog, Pen } from '../events/log.ts';
import { readEvents } from '../events/tail.ts';
import { mintId } from '../ids.ts';
import { applyDeltas, finished, runsMessage, type ContentPart, type Message } from '../threads/message.ts';
import {
  finishMessage,
  insertMessage,
  type History,
  lockHeldThread,
  readHistory,
  readRunMessages,
} from '../threads/threads.ts';
import { addUsage, NO_USAGE, type Usage } from '../usage/usage.ts';
import type { Claim, Leases } from '../work/leases.ts';
import { insertStep, isAskedToStop, readSteps, saveRun, saveStep, type ClaimedRun } from './rows.ts';
import { type FunctionToolCall, historyLimit, type Run, type RunConfig, type RunStep } from './run.ts';
import { close, endStep, moved, settle, type Outcome, type Unfinished } from './settle.ts';

export type RunClaim = Claim & ClaimedRun;

/**
 * A run in the hands of its worker, and everything the worker may do with it. Each verb is one transaction that
 * writes rows together with the events that tell of them, at the worker's place in the thread's log: a worker that
 * has lost the run fails at its next verb, whatever it was. Deltas go out with the process's group commit.
 */
export interface HeldRun {
  readonly run: Run;
  readonly config: RunConfig;
  /** Steps that are committed, in order. */
  readonly steps: readonly RunStep[];
  /** Aborted when the run is somebody else's, or the database failed. */
  readonly lost: AbortSignal;
  readonly usage: Usage;
  /** The messages of its thread that its truncation strategy looks at, and those that this run has written. */
  history(): Promise<History & { own: Message[] }>;
  /** Opens a message and its step with the first of its text. */
  openMessage(turn: number, droppedMessages: number, content: ContentDelta[]): Promise<void>;
  writeMessage(content: ContentDelta[]): void;
  /** Ends the message because the turn goes on with tool calls. */
  closeMessage(content: ContentPart[]): Promise<void>;
  /** Opens a step for the tool calls of a turn with the first that is known of them. */
  openToolCalls(turn: number, droppedMessages: number, calls: ToolCallDelta[]): Promise<void>;
  writeToolCalls(calls: ToolCallDelta[]): void;
  /** Stores the turn's function calls and leaves the run to its caller: nothing waits in memory. */
  park(calls: FunctionToolCall[], usage: Usage): Promise<void>;
  /** Ends the run; `content` and `calls` are what the open message and step hold. */
  settle(
    outcome: Outcome,
    open: { content: ContentPart[]; calls: FunctionToolCall[] },
    usage: Usage | null,
  ): Promise<void>;
}

interface Deps {
  db: Db;
  log: EventLog;
  leases: Leases<ClaimedRun>;
}

/** Tries of a claim that meets a worker which has lost its lease and does not know it yet. */
const CLAIM_TRIES = 10;

/**
 * Claims runs and begins them, in one transaction: a claim has an event of its own, behind which nothing of an earlier
 * worker's can land. What that one left half written is closed; what it committed is kept. `over` are claimed runs
 * that are only to be ended.
 */
export async function claimRuns(deps: Deps, limit: number): Promise<{ begun: HeldRun[]; over: RunClaim[] }> {
  for (let tries = 1; ; tries++) {
    try {
      return await deps.db.tx(async (tx) => {
        const claims = await deps.leases.claim(tx, limit);
        const begun = await Promise.all(claims.filter((claim) => claim.begun).map((claim) => begin(deps, tx, claim)));
        deps.log.appendAll(
          tx,
          begun.map(({ run, after, events }) => ({ threadId: run.run.threadId, after, events })),
        );
        return { begun: begun.map(({ run }) => run), over: claims.filter((claim) => !claim.begun) };
      });
    } catch (error) {
      // It wrote once more after we had read the end of its log: what stands there now is where we begin.
      if (sqlState(error) !== UNIQUE_VIOLATION || tries === CLAIM_TRIES) throw error;
    }
  }
}

async function begin(
  deps: Deps,
  tx: Tx,
  claim: RunClaim,
): Promise<{ run: HeldRun; after: number; events: NewEvent[] }> {
  const run = runOf(claim);
  // Nobody has had it before its first claim.
  const steps = claim.epoch === 1 ? [] : await readSteps(tx, run.id);
  const undone = undoneSteps(steps);
  const bodies = [...(await supersede(tx, run, undone)), ...abandon(tx, await readUnfinished(tx, run, steps))];
  const events = inRun(run.id, [...bodies, { type: 'RunStatusChanged', run }]);
  const pen = deps.log.pen(run.threadId, run.id, claim.logEnd + events.length);
  const committed = steps.filter((step) => step.status === 'COMPLETED' && !undone.includes(step));
  const held = new RunInHand(deps, pen, run, claim.config, committed, steps.length, claim.lastPosition, usageOf(steps));
  return { run: held, after: claim.logEnd, events };
}

/** A run that is its worker's from its birth, with the events of its transaction that end with `logEnd`. */
export function bornHeld(
  deps: Deps,
  run: Run,
  config: RunConfig,
  place: { logEnd: number; lastPosition: number },
): HeldRun {
  const pen = deps.log.pen(run.threadId, run.id, place.logEnd);
  return new RunInHand(deps, pen, run, config, [], 0, place.lastPosition, NO_USAGE);
}

/** Ends a run that was claimed after it had been asked to stop, or after its time was over. */
export async function endClaimed(deps: Deps, claim: RunClaim): Promise<void> {
  const run = runOf(claim);
  const pen = deps.log.pen(run.threadId, run.id, claim.logEnd);
  await pen.commit(async (tx, next) => {
    const steps = await readSteps(tx, run.id);
    const outcome: Outcome = { status: run.cancelRequestedAt ? 'CANCELLED' : 'EXPIRED' };
    return settle(tx, next, run, await readUnfinished(tx, run, steps), outcome, usageOf(steps), null);
  });
}

const usageOf = (steps: RunStep[]): Usage =>
  steps.reduce((sum, step) => (step.usage ? addUsage(sum, step.usage) : sum), NO_USAGE);

/** The run without what only its claim is about. */
function runOf(claim: RunClaim): Run {
  const { config, logEnd, lastPosition, begun, epoch, takenOver, ...run } = claim;
  return run;
}

const NOTHING: Unfinished = { message: null, toolCalls: null };

/** What a lost worker had open, with as much of it as reached the log. */
async function readUnfinished(tx: Tx, run: Run, steps: RunStep[]): Promise<Unfinished> {
  const open = steps.filter(({ status }) => status === 'IN_PROGRESS');
  if (open.length === 0) return NOTHING;
  const messages = await readRunMessages(tx, run.id);
  let message: Unfinished['message'] = null;
  let toolCalls: Unfinished['toolCalls'] = null;
  for (const step of open) {
    const row = messages.find(({ id }) => id === step.messageId);
    if (step.type === 'TOOL_CALLS') toolCalls = { step, calls: step.toolCalls ?? [] };
    else if (row) message = { step, row, content: await readPartialContent(tx, run, row.id) };
  }
  return { message, toolCalls };
}

/** The committed deltas of a message that is being written, folded. */
async function readPartialContent(tx: Tx, run: Run, messageId: string): Promise<ContentPart[]> {
  const content: ContentPart[] = [];
  for (let after = run.firstEvent; ;) {
    const events = await readEvents(tx, run.threadId, after, 1000);
    for (const { body } of events) {
      if (body.type === 'MessageDelta' && body.messageId === messageId) applyDeltas(content, body.content);
    }
    if (events.length < 1000) return content;
    after = events.at(-1)!.number;
  }
}

/** Closes what a lost worker left open: the turn is done again, so its message counts for nothing. */
function abandon(tx: Tx, open: Unfinished): EventBody[] {
  const error = { code: 'SERVER_ERROR', message: 'The worker was lost; its turn is done again.' } as const;
  const outcome: Outcome = { status: 'FAILED', error, message: 'SUPERSEDED' };
  return close(tx, open, outcome, null);
}

/** What is finished of a turn that is not: a turn counts as a whole, and one of its steps says then what it took. */
function undoneSteps(steps: RunStep[]): RunStep[] {
  const turn = steps.filter((step) => step.turn === steps.at(-1)!.turn && step.status !== 'FAILED');
  return turn.some(({ usage }) => usage !== null) ? [] : turn.filter(({ status }) => status === 'COMPLETED');
}

/** Takes back what a lost worker had said before it began to call tools: it is about to be said again. */
async function supersede(tx: Tx, run: Run, steps: RunStep[]): Promise<EventBody[]> {
  if (steps.length === 0) return [];
  const messages = await readRunMessages(tx, run.id);
  return steps.flatMap((step) => {
    const row = messages.find(({ id }) => id === step.messageId);
    return row ? abandon(tx, { message: { row, step, content: row.content ?? [] }, toolCalls: null }) : [];
  });
}

class RunInHand implements HeldRun {
  run: Run;
  readonly config: RunConfig;
  readonly steps: RunStep[];
  usage: Usage;
  readonly #deps: Deps;
  readonly #pen: Pen;
  #position: number;
  #lastMessage: number;
  #message: { row: Message; step: RunStep } | null = null;
  #toolCalls: RunStep | null = null;

  constructor(
    deps: Deps,
    pen: Pen,
    run: Run,
    config: RunConfig,
    steps: RunStep[],
    position: number,
    lastMessage: number,
    usage: Usage,
  ) {
    this.#deps = deps;
    this.#pen = pen;
    this.run = run;
    this.config = config;
    this.steps = steps;
    this.#position = position;
    this.#lastMessage = lastMessage;
    this.usage = usage;
  }

  get lost(): AbortSignal {
    return this.#pen.lost;
  }

  async history(): Promise<History & { own: Message[] }> {
    const { db } = this.#deps;
    const { threadId, id } = this.run;
    const [history, own] = await Promise.all([
      readHistory(db, threadId, id, historyLimit(this.config.truncationStrategy)),
      this.steps.length > 0 ? readRunMessages(db, id) : [],
    ]);
    return { ...history, own };
  }

  async openMessage(turn: number, droppedMessages: number, content: ContentDelta[]): Promise<void> {
    const row = runsMessage(this.run, ++this.#lastMessage);
    const step = this.#newStep('MESSAGE_CREATION', turn, droppedMessages, row.id);
    await this.#pen.commit((tx) => {
      insertMessage(tx, [row]);
      insertStep(tx, step);
      return [
        { type: 'RunStepCreated', step },
        { type: 'MessageCreated', message: { ...row, content: [] } },
        ...(content.length > 0 ? [{ type: 'MessageDelta' as const, messageId: row.id, content }] : []),
      ];
    });
    this.#message = { row, step };
  }

  writeMessage(content: ContentDelta[]): void {
    this.#pen.push({ type: 'MessageDelta', messageId: this.#message!.row.id, content });
  }

  async closeMessage(content: ContentPart[]): Promise<void> {
    const { row, step } = this.#message!;
    const message = finished(row, content, null);
    const done = endStep(step, { status: 'COMPLETED' }, null);
    await this.#pen.commit((tx) => {
      finishMessage(tx, message);
      saveStep(tx, done);
      return [
        { type: 'MessageFinished', message },
        { type: 'RunStepFinished', step: done },
      ];
    });
    this.steps.push(done);
    this.#message = null;
  }

  async openToolCalls(turn: number, droppedMessages: number, calls: ToolCallDelta[]): Promise<void> {
    const step = this.#newStep('TOOL_CALLS', turn, droppedMessages, null);
    await this.#pen.commit((tx) => {
      insertStep(tx, step);
      return [
        { type: 'RunStepCreated', step: { ...step, toolCalls: [] } },
        { type: 'RunStepDelta', stepId: step.id, toolCalls: calls },
      ];
    });
    this.#toolCalls = step;
  }

  writeToolCalls(toolCalls: ToolCallDelta[]): void {
    this.#pen.push({ type: 'RunStepDelta', stepId: this.#toolCalls!.id, toolCalls });
  }

  async park(calls: FunctionToolCall[], usage: Usage): Promise<void> {
    const step = { ...this.#toolCalls!, toolCalls: calls, usage };
    const run = moved(this.run, 'REQUIRES_ACTION', { requiredAction: { toolCalls: calls } });
    await this.#pen.commit(async (tx, next) => {
      // Nobody would look at the wish of a caller again whose cancellation came in this moment.
      lockHeldThread(tx, run.threadId);
      if (await isAskedToStop(tx, run.id)) {
        const unfinished = { message: null, toolCalls: { step: this.#toolCalls!, calls } };
        return settle(tx, next, this.run, unfinished, { status: 'CANCELLED' }, addUsage(this.usage, usage), usage);
      }
      saveStep(tx, step);
      saveRun(tx, run, 'released');
      return [{ type: 'RunStatusChanged', run }];
    });
    this.run = run;
  }

  async settle(
    outcome: Outcome,
    open: { content: ContentPart[]; calls: FunctionToolCall[] },
    usage: Usage | null,
  ): Promise<void> {
    const unfinished: Unfinished = {
      message: this.#message && { ...this.#message, content: open.content },
      toolCalls: this.#toolCalls && { step: this.#toolCalls, calls: open.calls },
    };
    const total = usage ? addUsage(this.usage, usage) : this.usage;
    await this.#pen.commit((tx, next) => settle(tx, next, this.run, unfinished, outcome, total, usage));
  }

  #newStep(type: RunStep['type'], turn: number, droppedMessages: number, messageId: string | null): RunStep {
    return {
      id: mintId('RunStep'),
      projectId: this.run.projectId,
      threadId: this.run.threadId,
      runId: this.run.id,
      position: ++this.#position,
      turn,
      type,
      status: 'IN_PROGRESS',
      messageId,
      toolCalls: null,
      usage: null,
      lastError: null,
      droppedMessages,
      createdAt: new Date(),
      completedAt: null,
      cancelledAt: null,
      failedAt: null,
      expiredAt: null,
    };
  }
}
