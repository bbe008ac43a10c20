import type { Db, Tx } from '../db/db.ts';
import { type ContentDelta, type EventBody, inRun, type ToolCallDelta } from '../events/event.ts';
import type { EventLog, Pen } from '../events/log.ts';
import { mintId } from '../ids.ts';
import { finished, runsMessage, type ContentPart, type Message } from '../threads/message.ts';
import {
  finishMessage,
  insertMessage,
  type History,
  lockHeldThread,
  readHistory,
  readRunMessages,
} from '../threads/threads.ts';
import type { HostedCall } from '../tools/tool.ts';
import { addUsage, NO_USAGE, type Usage } from '../usage/usage.ts';
import type { Leases } from '../work/leases.ts';
import type { Line } from './line.ts';
import { forgetLost, insertStep, isAskedToStop, saveRun, saveStep, type ClaimedRun } from './rows.ts';
import {
  historyLimit,
  isHosted,
  moved,
  type Run,
  type RunConfig,
  type RunStep,
  threadOf,
  type ToolCall,
} from './run.ts';
import { endStep, settle, type Outcome, type Unfinished } from './settle.ts';

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
  /** The calls of a committed turn whose hosted ones are to be made; null when there are none. */
  readonly calls: readonly ToolCall[] | null;
  /** Commits a turn that calls hosted tools: from here on they are made, and the model is not asked for them again. */
  beginCalls(calls: ToolCall[], usage: Usage): Promise<void>;
  /** Stores a hosted call that has ended. */
  endCall(index: number, call: HostedCall): Promise<void>;
  /** Ends the step of calls that were all hosted: the next turn may begin. */
  endCalls(): Promise<void>;
  /** Stores the turn's calls and leaves the run to its caller, who answers the functions: nothing waits in memory. */
  park(calls: ToolCall[], usage: Usage | null): Promise<void>;
  /** Ends the run; `content` and `calls` are what the open message and step hold. */
  settle(outcome: Outcome, open: Open, usage: Usage | null): Promise<void>;
  /** Tells the log of those that were taken out of the line behind this run. */
  tellLine(): Promise<void>;
}

interface Open {
  content: ContentPart[];
  calls: ToolCall[];
}

export interface HeldRunDeps {
  db: Db;
  log: EventLog;
  leases: Leases<ClaimedRun>;
  line: Line;
}

/** A run that is its worker's from its birth, with the events of its transaction that end with `logEnd`. */
export function bornHeld(
  deps: HeldRunDeps,
  run: Run,
  config: RunConfig,
  place: { logEnd: number; lastPosition: number },
): HeldRun {
  const pen = deps.log.pen(threadOf(run), run.id, place.logEnd);
  const fresh = { steps: [], going: null, position: 0, usage: NO_USAGE, lost: 0 };
  return new RunInHand(deps, pen, { run, config, lastMessage: place.lastPosition, ...fresh });
}

interface Hold {
  run: Run;
  config: RunConfig;
  steps: RunStep[];
  /** The step whose hosted calls are being made. */
  going: RunStep | null;
  /** Of the last step, and of the thread's last message. */
  position: number;
  lastMessage: number;
  usage: Usage;
  /** Workers that were lost with it since its last committed step. */
  lost: number;
}

/** Use `claimRuns` and `bornHeld`. */
export class RunInHand implements HeldRun {
  run: Run;
  readonly config: RunConfig;
  readonly steps: RunStep[];
  usage: Usage;
  readonly #deps: HeldRunDeps;
  readonly #pen: Pen;
  #position: number;
  #lastMessage: number;
  #lost: number;
  #message: { row: Message; step: RunStep } | null = null;
  #toolCalls: RunStep | null;

  constructor(deps: HeldRunDeps, pen: Pen, hold: Hold) {
    this.#deps = deps;
    this.#pen = pen;
    this.run = hold.run;
    this.config = hold.config;
    this.steps = hold.steps;
    this.usage = hold.usage;
    this.#position = hold.position;
    this.#lastMessage = hold.lastMessage;
    this.#lost = hold.lost;
    this.#toolCalls = hold.going;
  }

  get lost(): AbortSignal {
    return this.#pen.lost;
  }

  get calls(): readonly ToolCall[] | null {
    return this.#toolCalls?.toolCalls ?? null;
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
    await this.#commit((tx) => {
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
    await this.#commit((tx) => {
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
    await this.#commit((tx) => {
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

  async beginCalls(calls: ToolCall[], usage: Usage): Promise<void> {
    const step = { ...this.#toolCalls!, toolCalls: calls, usage };
    const begun = calls.flatMap((call, index) => (isHosted(call) ? [partOf(call, index)] : []));
    await this.#commit((tx) => {
      saveStep(tx, step);
      this.#stepForward(tx);
      return [{ type: 'RunStepDelta', stepId: step.id, toolCalls: begun }];
    });
    this.#toolCalls = step;
    this.usage = addUsage(this.usage, usage);
  }

  async endCall(index: number, call: HostedCall): Promise<void> {
    await this.#commit((tx) => {
      // Not before it is this call's turn to write: others of the turn end at the same time.
      const step = { ...this.#toolCalls!, toolCalls: this.#toolCalls!.toolCalls!.with(index, call) };
      saveStep(tx, step);
      this.#stepForward(tx);
      this.#toolCalls = step;
      return [{ type: 'RunStepDelta', stepId: step.id, toolCalls: [partOf(call, index, call)] }];
    });
  }

  async endCalls(): Promise<void> {
    const done = endStep(this.#toolCalls!, { status: 'COMPLETED' }, null);
    await this.#commit((tx) => {
      saveStep(tx, done);
      return [{ type: 'RunStepFinished', step: done }];
    });
    this.steps.push(done);
    this.#toolCalls = null;
  }

  async park(calls: ToolCall[], usage: Usage | null): Promise<void> {
    const step = { ...this.#toolCalls!, toolCalls: calls, usage: this.#toolCalls!.usage ?? usage };
    const toolCalls = calls.filter((call) => call.type === 'function');
    const run = moved(this.run, 'REQUIRES_ACTION', { requiredAction: { toolCalls } });
    const total = usage ? addUsage(this.usage, usage) : this.usage;
    await this.#pen.commit(async (tx, next) => {
      // Nobody would look at the wish of a caller again whose cancellation came in this moment.
      lockHeldThread(tx, run.threadId);
      if (await isAskedToStop(tx, run.id)) {
        const unfinished = { message: null, toolCalls: { step: this.#toolCalls!, calls } };
        return settle(tx, this.#deps.line, next, this.run, unfinished, { status: 'CANCELLED' }, total, usage);
      }
      saveStep(tx, step);
      saveRun(tx, run);
      return inRun(run.id, [{ type: 'RunStatusChanged', run }]);
    });
    this.run = run;
  }

  async settle(
    outcome: Outcome,
    open: Open,
    usage: Usage | null,
  ): Promise<void> {
    const unfinished: Unfinished = {
      message: this.#message && { ...this.#message, content: open.content },
      toolCalls: this.#toolCalls && { step: this.#toolCalls, calls: open.calls },
    };
    const total = usage ? addUsage(this.usage, usage) : this.usage;
    await this.#pen.commit((tx, next) =>
      settle(tx, this.#deps.line, next, this.run, unfinished, outcome, total, usage),
    );
  }

  async tellLine(): Promise<void> {
    const { line } = this.#deps;
    await this.#pen.commit(async (tx, next) => {
      lockHeldThread(tx, this.run.threadId);
      return line.tell(tx, await line.read(tx, this.run.threadId), next);
    });
  }

  #commit(work: (tx: Tx) => EventBody[]): Promise<void> {
    return this.#pen.commit((tx) => inRun(this.run.id, work(tx)));
  }

  #stepForward(tx: Tx): void {
    if (this.#lost > 0) forgetLost(tx, this.run.id);
    this.#lost = 0;
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

/** A hosted call as its step's delta: that it has begun, or that it has ended. */
const partOf = (call: HostedCall, index: number, ended: HostedCall | null = null): ToolCallDelta =>
  call.type === 'fileSearch'
    ? { type: call.type, index, id: call.id, ended }
    : { type: call.type, index, id: call.id, offset: 0, input: null, logs: null, imageFileId: null, ended };
