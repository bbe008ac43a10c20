import { sqlState, type Tx, UNIQUE_VIOLATION } from '../db/db.ts';
import { type EventBody, inRun, type NewEvent } from '../events/event.ts';
import { readPartialContents } from '../threads/partial-content.ts';
import { readRunMessages } from '../threads/threads.ts';
import { addUsage, NO_USAGE, type Usage } from '../usage/usage.ts';
import type { Claim } from '../work/leases.ts';
import { type HeldRun, type HeldRunDeps, RunInHand } from './held-run.ts';
import { readPartialToolCalls } from './partial-tool-calls.ts';
import { type ClaimedRun, readSteps } from './rows.ts';
import { type Run, type RunStep, threadOf } from './run.ts';
import { close, settle, type Outcome, type Unfinished } from './settle.ts';

export type RunClaim = Claim & ClaimedRun;

/** Tries of a claim that meets a worker which has lost its lease and does not know it yet. */
const CLAIM_TRIES = 10;

/**
 * Claims runs and begins them, in one transaction: a claim has an event of its own, behind which nothing of an earlier
 * worker's can land. What that one left half written is closed; what it committed is kept. `over` are claimed runs
 * that are only to be ended. `inHand` is asked when the claim leaves: runs that this process still works on.
 */
export async function claimRuns(
  deps: HeldRunDeps,
  limit: number,
  inHand: () => string[],
): Promise<{ begun: HeldRun[]; over: RunClaim[] }> {
  for (let tries = 1; ; tries++) {
    try {
      return await deps.db.tx(async (tx) => {
        const claims = await deps.leases.claim(tx, limit, inHand());
        const begun = await Promise.all(claims.filter((claim) => claim.begun).map((claim) => begin(deps, tx, claim)));
        deps.log.appendAll(
          tx,
          begun.map(({ run, after, events }) => ({ thread: threadOf(run.run), after, events })),
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
  deps: HeldRunDeps,
  tx: Tx,
  claim: RunClaim,
): Promise<{ run: HeldRun; after: number; events: NewEvent[] }> {
  const run = runOf(claim);
  // Nobody has had it before its first claim.
  const steps = claim.epoch === 1 ? [] : await readSteps(tx, run.id);
  const undone = undoneSteps(steps);
  const going = steps.find(isCalling) ?? null;
  const unfinished = await readUnfinished(tx, run, steps.filter((step) => step !== going));
  const bodies = [...(await supersede(tx, run, undone)), ...abandon(tx, unfinished)];
  const events = inRun(run.id, [...bodies, { type: 'RunStatusChanged', run }]);
  const pen = deps.log.pen(threadOf(run), run.id, claim.logEnd + events.length);
  const committed = steps.filter((step) => step.status === 'COMPLETED' && !undone.includes(step));
  const held = new RunInHand(deps, pen, {
    run,
    config: claim.config,
    steps: committed,
    going: going && (await withParts(tx, going)),
    position: steps.length,
    lastMessage: claim.lastPosition,
    usage: usageOf(steps),
    lost: claim.lost,
  });
  return { run: held, after: claim.logEnd, events };
}

/** Ends a run that was claimed after it had been asked to stop, or after its time was over. */
export async function endClaimed(deps: HeldRunDeps, claim: RunClaim): Promise<void> {
  const run = runOf(claim);
  const pen = deps.log.pen(threadOf(run), run.id, claim.logEnd);
  await pen.commit(async (tx, next) => {
    const steps = await readSteps(tx, run.id);
    return settle(tx, deps.line, next, run, await readUnfinished(tx, run, steps), overBy(claim), usageOf(steps), null);
  });
}

function overBy({ cancelRequestedAt, expiresAt, lost }: RunClaim): Outcome {
  if (cancelRequestedAt) return { status: 'CANCELLED' };
  if (expiresAt && expiresAt <= new Date()) return { status: 'EXPIRED' };
  const message = `${lost} workers were lost with this run, one after the other, without one getting a step further.`;
  return { status: 'FAILED', error: { code: 'SERVER_ERROR', message } };
}

const usageOf = (steps: RunStep[]): Usage =>
  steps.reduce((sum, step) => (step.usage ? addUsage(sum, step.usage) : sum), NO_USAGE);

/** The run without what only its claim is about. */
function runOf(claim: RunClaim): Run {
  const { config, lost, logEnd, lastPosition, begun, epoch, takenOver, ...run } = claim;
  return run;
}

/** A step whose model turn is committed, and whose hosted calls are being made: it is gone on with. */
const isCalling = ({ status, toolCalls, usage }: RunStep): boolean =>
  status === 'IN_PROGRESS' && toolCalls !== null && usage !== null;

/** Its calls with what has come out of those that have not ended, which is in the log. */
async function withParts(tx: Tx, step: RunStep): Promise<RunStep> {
  const [toolCalls] = await readPartialToolCalls(tx, step.projectId, [step.id]);
  return { ...step, toolCalls: toolCalls! };
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
    if (step.type === 'TOOL_CALLS') toolCalls = { step, calls: (await withParts(tx, step)).toolCalls! };
    else if (row) {
      const [content] = await readPartialContents(tx, run.projectId, [row.id]);
      message = { step, row, content: content! };
    }
  }
  return { message, toolCalls };
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
