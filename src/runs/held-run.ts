import type { Db, Tx } from '../db/db.ts';
import type { ContentDelta, EventBody, ToolCallDelta } from '../events/event.ts';
import { FenceLostError, last, type EventLog, type Pen } from '../events/log.ts';
import { readEvents } from '../events/tail.ts';
import { mintId } from '../ids.ts';
import { applyDeltas, finished, runsMessage, type ContentPart, type Message } from '../threads/message.ts';
import { finishMessage, insertMessage, lastPositionOf, readHistory, readRunMessages } from '../threads/threads.ts';
import { addUsage, NO_USAGE, type Usage } from '../usage/usage.ts';
import type { Claim, Leases } from '../work/leases.ts';
import { insertStep, readSteps, RUN_COLUMNS, saveRun, saveStep } from './rows.ts';
import type { FunctionToolCall, Run, RunConfig, RunStep } from './run.ts';
import { close, endStep, moved, settle, type Outcome, type Unfinished } from './settle.ts';
import { isFinal } from './status.ts';

export type RunClaim = Claim & { threadId: string; lastEvent: number };

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
  /** Messages that this run has written, and those of its thread, at most `limit` of them. */
  history(limit: number): Promise<{ messages: Message[]; older: number; own: Message[] }>;
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
  settle(outcome: Outcome, open: { content: ContentPart[]; calls: FunctionToolCall[] }, usage: Usage | null): Promise<void>;
}

interface Deps {
  db: Db;
  log: EventLog;
  leases: Leases;
}

/**
 * Begins (or takes over) a claimed run. Null when there is nothing to do: it was asked to stop, its time is over, or
 * it is no longer this worker's. What an earlier worker left half written is closed; what it committed is kept.
 */
export async function beginRun(deps: Deps, claim: RunClaim): Promise<HeldRun | null> {
  let { lastEvent } = claim;
  for (let tries = 1; ; tries++) {
    const pen = deps.log.pen(claim.threadId, claim.id, lastEvent);
    try {
      return await begin(deps, claim, pen);
    } catch (error) {
      // The worker before us wrote once more after we had claimed: what stands in the log now is where we begin.
      if (!(error instanceof FenceLostError) || tries === 10) throw error;
      lastEvent = await last(deps.db, claim.threadId);
    }
  }
}

async function begin(deps: Deps, claim: RunClaim, pen: Pen): Promise<HeldRun | null> {
  let held: RunInHand | null = null;
  await pen.commit(async (tx, next) => {
    const [[row], steps, lastPosition] = await Promise.all([
      tx.query<Run & { config: RunConfig }>({
        name: 'run-begin',
        text: `select ${RUN_COLUMNS}, r.config from run r where id = $1 and owner = $2 and epoch = $3`,
        values: [claim.id, deps.leases.owner, claim.epoch],
      }),
      readSteps(tx, claim.id),
      lastPositionOf(tx, claim.threadId),
    ]);
    if (!row || isFinal(row.status)) return [];
    const { config, ...stored } = row;
    const run = { ...stored, attempt: stored.attempt + (claim.takenOver ? 1 : 0) };
    const open = steps.filter(({ status }) => status === 'IN_PROGRESS');
    const unfinished = open.length > 0 ? await readUnfinished(tx, run, open) : NOTHING;
    const usage = steps.reduce((sum, step) => (step.usage ? addUsage(sum, step.usage) : sum), NO_USAGE);
    if (run.cancelRequestedAt || (run.expiresAt && run.expiresAt <= new Date())) {
      const outcome: Outcome = { status: run.cancelRequestedAt ? 'CANCELLED' : 'EXPIRED' };
      return settle(tx, deps.leases, next, run, unfinished, outcome, usage, null);
    }
    const events = abandon(tx, unfinished);
    const begun = moved(run, 'IN_PROGRESS', { startedAt: new Date() });
    saveRun(tx, begun);
    events.push({ type: 'RunStatusChanged', run: begun });
    const committed = steps.filter(({ status }) => status === 'COMPLETED');
    held = new RunInHand(deps, pen, begun, config, committed, steps.length, lastPosition, usage);
    return events;
  });
  return held;
}

const NOTHING: Unfinished = { message: null, toolCalls: null };

/** What a lost worker had open, with as much of it as reached the log. */
async function readUnfinished(tx: Tx, run: Run, open: RunStep[]): Promise<Unfinished> {
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
  for (let after = run.firstEvent; ; ) {
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

  async history(limit: number): Promise<{ messages: Message[]; older: number; own: Message[] }> {
    const { db } = this.#deps;
    const [history, own] = await Promise.all([
      readHistory(db, this.run.threadId, this.run.id, limit),
      this.steps.length > 0 ? readRunMessages(db, this.run.id) : [],
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
    await this.#pen.commit((tx) => {
      saveStep(tx, step);
      saveRun(tx, run);
      this.#deps.leases.release(tx, run.id);
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
    await this.#pen.commit((tx, next) =>
      settle(tx, this.#deps.leases, next, this.run, unfinished, outcome, total, usage),
    );
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
