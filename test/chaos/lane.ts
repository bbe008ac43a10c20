import { setTimeout as pause } from 'node:timers/promises';
import {
  CancelRunDocument,
  CreateThreadDocument,
  StartRunDocument,
  SubmitToolOutputsDocument,
} from '../../src/generated/graphql/graphql.ts';
import { ask } from './ask.ts';
import type { Findings } from './findings.ts';
import type { Fleet, Node } from './fleet.ts';
import type { Moments, Target } from './moments.ts';
import { type Plan, planText, shortPlan, thinkUp } from './plan.ts';
import type { Random } from './random.ts';
import { createReader, type Reader } from './reader.ts';
import type { World } from './world.ts';

export const FINAL: ReadonlySet<string> = new Set(['CANCELLED', 'FAILED', 'COMPLETED', 'INCOMPLETE', 'EXPIRED']);

/** A run that was started, and what its caller expects of it. */
export interface StartedRun {
  id: string;
  plan: Plan;
  /**
   * `no`: nobody has asked for it. `maybe`: it was asked to stop, or a run that interrupts came behind it, and it may have
   * ended before that took hold. `yes`: its caller was told that it is CANCELLED.
   */
  cancelled: 'no' | 'maybe' | 'yes';
  /** Wall clock of the answer that said that it stops. */
  stoppedAt: number | null;
  reader: Reader | null;
}

/** A conversation: one caller, who starts runs in a thread, answers them, sometimes cancels them, and follows it all. */
export interface Lane {
  readonly threadId: string;
  /** The cursor of its thread before anything was in it. */
  readonly beginning: string;
  readonly reader: Reader;
  readonly runs: readonly StartedRun[];
  /** Talks for a while. The last of its runs may be left waiting for its caller, who takes time to answer. */
  talk(mayStart: () => boolean): Promise<void>;
  /** Resolves when all of its runs are over. */
  over(): Promise<void>;
  /** Starts one run more, as anybody could, and waits for its end. */
  sayOneMore(): Promise<void>;
  /** Submissions and cancellations under way. */
  close(): Promise<void>;
}

export interface LaneOptions {
  name: string;
  assistantId: string;
  fleet: Fleet;
  world: World;
  moments: Moments;
  findings: Findings;
  random: Random;
  closes: Map<string, number>;
  /** Mutations in flight, by process. */
  inFlight: Map<string, number>;
  /** Settled when there will be no more kills: callers who take their time wait for it. */
  calm: Promise<void>;
}

export async function openLane(options: LaneOptions): Promise<Lane> {
  const { name, assistantId, fleet, world, moments, findings, random, closes, inFlight, calm } = options;
  const { createThread } = await ask(fleet, CreateThreadDocument, { input: { idempotencyKey: `thread ${name}` } });
  const { id: threadId, cursor: beginning } = createThread.thread!;
  const reader = createReader({ fleet, findings, what: { threadId }, after: beginning, closes });
  const runs: StartedRun[] = [];
  const answered = new Set<string>();
  const underWay = new Set<Promise<unknown>>();
  let slow = false;

  const during = <Result>(work: Promise<Result>): Promise<Result> => {
    const done: Promise<unknown> = work
      .catch((error: unknown) => findings.add(`${threadId}: ${String(error)}`))
      .finally(() => underWay.delete(done));
    underWay.add(done);
    return work;
  };

  /** Says that a question is on its way, for whoever wants to kill the process it is on its way to. */
  function shown(target: Target, work: (asked: (node: Node) => void) => Promise<void>): Promise<void> {
    let at: string | null = null;
    const count = (by: number) => at && inFlight.set(at, (inFlight.get(at) ?? 0) + by);
    return work((node) => {
      count(-1);
      at = node.name;
      count(1);
      const { name: process } = node;
      // Some are hit before they have arrived, some while they are worked on, some while they are answered.
      void pause(random.int(0, 12)).then(() => at === process && moments.reach(target, process));
    }).finally(() => {
      count(-1);
      at = null;
    });
  }

  async function start(plan: Plan, ifBusy: 'REJECT' | 'ENQUEUE' | 'INTERRUPT', followed: boolean): Promise<StartedRun> {
    const before = runs.filter(({ cancelled }) => cancelled === 'no');
    if (ifBusy === 'INTERRUPT') for (const run of before) run.cancelled = 'maybe';
    let tries = 0;
    const { startRun } = await ask(
      fleet,
      StartRunDocument,
      {
        input: {
          assistantId,
          threadId,
          additionalMessages: [{ content: [{ text: planText(plan) }] }],
          ifBusy,
          idempotencyKey: `run ${plan.tag}`,
        },
      },
      () => (tries += 1),
    );
    if (!startRun.run)
      throw new Error(`run ${plan.tag} (${ifBusy}) was refused: ${JSON.stringify(startRun.userErrors)}`);
    const { id, cursor } = startRun.run;
    // The answer to a start that was asked for again is of now: what was said meanwhile stands before its cursor.
    const after = tries === 1 ? cursor : null;
    const own = followed ? createReader({ fleet, findings, what: { runId: id }, after, closes }) : null;
    const run: StartedRun = { id, plan, cancelled: 'no', stoppedAt: null, reader: own };
    runs.push(run);
    return run;
  }

  async function cancel(run: StartedRun): Promise<void> {
    await shown('cancel', async (asked) => {
      const { cancelRun } = await ask(fleet, CancelRunDocument, { input: { runId: run.id } }, asked);
      // CANCELLING is no promise: the run may come to its end before its worker has heard of it.
      if (cancelRun.run) {
        const { status } = cancelRun.run;
        run.cancelled = status === 'CANCELLED' ? 'yes' : 'maybe';
        run.stoppedAt = Date.now();
        findings.expect(FINAL.has(status) || status === 'CANCELLING', `${run.id} is ${status} behind its cancellation`);
      } else
        findings.expect(
          cancelRun.userErrors[0]?.code === 'WRONG_RUN_STATUS',
          `cancel of ${run.id}: ${JSON.stringify(cancelRun.userErrors)}`,
        );
    });
  }

  async function submit(
    runId: string,
    calls: readonly { id: string; arguments: string }[],
    twice: boolean,
  ): Promise<void> {
    await (slow ? calm : pause(random.int(0, 150)));
    const toolOutputs = calls.map((call) => {
      const { key } = JSON.parse(call.arguments) as { key: string };
      const output = world.outputs.get(key) ?? `answer to ${key}, number ${random.int(0, 1e9)}`;
      world.outputs.set(key, output);
      return { toolCallId: call.id, output };
    });
    const once = () =>
      shown('submit', async (asked) => {
        const { submitToolOutputs } = await ask(
          fleet,
          SubmitToolOutputsDocument,
          { input: { runId, toolOutputs } },
          asked,
        );
        if (submitToolOutputs.run) return;
        const error = submitToolOutputs.userErrors[0];
        const stopped = runs.some((run) => run.id === runId && run.cancelled !== 'no') || cancelling.has(runId);
        findings.expect(stopped && error?.code === 'WRONG_RUN_STATUS', `submit to ${runId}: ${JSON.stringify(error)}`);
      });
    await Promise.all(twice ? [once(), once()] : [once()]);
    if (twice) await once();
  }

  const cancelling = new Set<string>();
  reader.onEvent(() => {
    for (const run of reader.state.runs) {
      if (run.status !== 'REQUIRES_ACTION' || !run.requiredAction) continue;
      const { toolCalls } = run.requiredAction;
      const key = toolCalls.map(({ id }) => id).join();
      if (answered.has(key)) continue;
      answered.add(key);
      during(submit(run.id, toolCalls, random.chance(0.2))).catch(() => {});
    }
  });

  /** Resolves when some more events have come, or all is over anyway. */
  async function later(events: number): Promise<void> {
    const target = reader.received.length + events;
    await reader.until(({ runs: known }) => reader.received.length >= target || isOver(known));
  }

  const isOver = (known: Reader['state']['runs']): boolean =>
    runs.every(({ id }) => FINAL.has(known.find((run) => run.id === id)?.status ?? ''));

  const over = (): Promise<void> => reader.until(({ runs: known }) => isOver(known));

  let count = 0;
  const plan = (): Plan => thinkUp(`${name}-${++count}`, random);
  return {
    threadId,
    beginning,
    reader,
    runs,
    async talk(mayStart) {
      for (let rounds = random.int(1, 3); rounds > 0 && mayStart(); rounds--) {
        slow = rounds === 1 && random.chance(0.05);
        const round = [await start(plan(), 'REJECT', random.chance(0.4))];
        while (!slow && round.length < 4 && random.chance(0.25)) {
          await later(random.int(1, 30));
          const ifBusy = random.chance(0.35) ? 'INTERRUPT' : 'ENQUEUE';
          round.push(await start(plan(), ifBusy, random.chance(0.4)));
        }
        for (const run of round.filter(() => random.chance(0.3))) {
          await later(random.int(0, 40));
          cancelling.add(run.id);
          during(cancel(run)).catch(() => {});
        }
        if (slow) await reader.until(({ runs: known }) => known.at(-1)?.status === 'REQUIRES_ACTION' || isOver(known));
        else await over();
      }
    },
    over,
    async sayOneMore() {
      slow = false;
      await start(shortPlan(`${name}-last`), 'REJECT', false);
      await over();
    },
    async close() {
      await Promise.all(underWay);
      await reader.close();
      for (const run of runs) await run.reader?.close();
    },
  };
}
