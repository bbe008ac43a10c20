import type { Logger } from 'pino';
import type { Db } from '../db/db.ts';
import { FenceLostError, type EventLog } from '../events/log.ts';
import type { Llm } from '../llm/llm.ts';
import { claimRuns, endClaimed, type RunClaim } from '../runs/claim-runs.ts';
import type { HeldRun } from '../runs/held-run.ts';
import type { Line } from '../runs/line.ts';
import type { ClaimedRun } from '../runs/rows.ts';
import type { HostedTools } from '../tools/tool.ts';
import { type Hands, inHand, type Leases } from '../work/leases.ts';
import type { Wake } from '../work/wake.ts';
import { executeRun, Stopped } from './execute-run.ts';
import type { ReadImage } from './prompt-images.ts';

export interface Worker extends Hands<HeldRun> {
  /** Runs in this worker's hands. */
  readonly active: number;
  /**
   * Stops claiming and gives runs time to end by themselves; what is still going on after `graceMs` is handed back,
   * to be taken up elsewhere at once.
   */
  close(graceMs: number): Promise<void>;
}

export interface WorkerOptions {
  db: Db;
  log: EventLog;
  leases: Leases<ClaimedRun>;
  wake: Wake;
  line: Line;
  llm: Llm;
  tools: HostedTools;
  readImage: ReadImage;
  logger: Logger;
  concurrency: number;
  heartbeatMs: number;
  pollMs: number;
  contextTokens: number;
  maxTurns: number;
}

/** Claims at most this many runs with one statement, so that several workers share a backlog. */
const CLAIM_BATCH = 50;

export function createWorker(options: WorkerOptions): Worker {
  const { leases, wake, logger, concurrency, heartbeatMs, pollMs } = options;
  const active = new Map<string, { stop: AbortController; done: Promise<void>; held: HeldRun | null }>();
  /** When each lease was last known to be held, by the clock of `performance`. */
  const heard = new Map<string, number>();
  let watchedAt = performance.now();
  /** Places that are promised to runs whose transactions are under way. */
  const places = new Set<Promise<void>>();
  let draining = false;
  let nudge: (() => void) | null = null;
  let woken = false;

  const nudged = () => {
    woken = true;
    nudge?.();
  };
  const everybody = () => void heartbeat([...active.keys()]);
  const offWork = wake.on('work', nudged, nudged);
  const offStop = wake.on('stop', (runId) => active.has(runId) && void heartbeat([runId]), everybody);
  // What is missed of these is told with the run's end.
  const offLine = wake.on('line', (runId) => void tellLine(runId), () => {});
  const heart = setInterval(everybody, heartbeatMs);
  const watchMs = Math.min(heartbeatMs, 1000);
  const watch = setInterval(stopUnheard, watchMs);
  // A lost worker's runs are found when its lease is over, of which nobody is told: soon after, as leases go.
  const net = setInterval(nudged, Math.min(pollMs, leases.leaseMs / 6));
  const loop = work();

  async function work(): Promise<void> {
    while (!draining) {
      woken = false; // before the claim: what is woken while it runs must be looked for again
      let claimed = 0;
      const room = Math.min(CLAIM_BATCH, concurrency - active.size - places.size);
      try {
        if (room > 0) {
          const { begun, over } = await claimRuns(options, room, () => inHand(active));
          claimed = begun.length + over.length;
          begun.forEach(take);
          for (const claim of over) start(claim.id, null, () => end(claim));
        }
      } catch (error) {
        logger.error({ err: error }, 'claiming runs failed; trying again');
      }
      if (claimed < CLAIM_BATCH && !woken && !draining) await new Promise<void>((resolve) => (nudge = resolve));
      nudge = null;
    }
  }

  function start(runId: string, held: HeldRun | null, work: (stop: AbortController) => Promise<void>): void {
    const stop = new AbortController();
    // Should it have been taken from this worker and come back to it, whoever still executes it has lost it.
    active.get(runId)?.stop.abort(new Stopped('lost'));
    heard.set(runId, performance.now());
    const done = work(stop)
      .catch((error: unknown) => {
        // Its lease runs out, and the run is taken over from what is committed.
        if (error instanceof FenceLostError) logger.warn({ runId }, 'the run is another worker’s now');
        else logger.error({ err: error, runId }, 'executing the run failed; it is taken over when its lease ends');
      })
      .finally(() => {
        if (active.get(runId)?.stop === stop) {
          active.delete(runId);
          heard.delete(runId);
        }
        if (active.size === concurrency - 1) nudged();
      });
    active.set(runId, { stop, done, held });
  }

  const take = (held: HeldRun): void => start(held.run.id, held, (stop) => execute(held, stop));

  async function execute(held: HeldRun, stop: AbortController): Promise<void> {
    const { id, attempt, expiresAt } = held.run;
    const log = logger.child({ runId: id });
    const started = performance.now();
    if (attempt > 1) log.warn({ attempt }, 'took over a run whose worker was lost');
    const left = expiresAt!.getTime() - Date.now();
    // Beyond what a timer can hold, others will have restarted this process long before.
    const expiry = left < 2 ** 31 ? setTimeout(() => stop.abort(new Stopped('expire')), Math.max(0, left)) : undefined;
    try {
      // Not AbortSignal.any: that one looks through its sources each time it is asked, which is for every chunk.
      const { signal } = stop;
      held.lost.addEventListener('abort', () => stop.abort(held.lost.reason), { once: true });
      await executeRun(held, options, signal);
      const ms = Math.round(performance.now() - started);
      if (!signal.aborted) log.info({ ms }, 'run left the worker');
      else if (signal.reason instanceof Stopped) log.info({ ms, why: signal.reason.why }, 'run was stopped');
      else throw signal.reason;
    } finally {
      clearTimeout(expiry);
    }
  }

  const end = (claim: RunClaim) => endClaimed(options, claim);

  async function heartbeat(ids: string[]): Promise<void> {
    // Asked of those that are active now: a run may be parked, resumed and claimed again while the answer is on its way.
    const asked = ids.flatMap((id) => active.get(id) ?? []).map(({ stop }) => stop);
    if (asked.length === 0) return;
    const at = performance.now(); // the lease lasts from before the database was asked, at the least
    try {
      const held = new Map((await leases.heartbeat(ids)).map((row) => [row.id, row]));
      for (const id of ids) {
        const stop = active.get(id)?.stop;
        if (!stop || !asked.includes(stop)) continue;
        const row = held.get(id);
        if (row) heard.set(id, at);
        if (!row) stop.abort(new Stopped('lost'));
        else if (row.stop) stop.abort(new Stopped('cancel'));
      }
    } catch (error) {
      logger.error({ err: error }, 'the heartbeat failed; trying again');
    }
  }

  /**
   * Who could not prolong a lease has lost it when its time is over, whether told so or not. Who was held up itself has
   * not tried, and asks first: what it wrote meanwhile is nothing, and the fence holds in any case.
   */
  function stopUnheard(): void {
    const now = performance.now();
    const wasHeldUp = now - watchedAt > 2 * watchMs;
    watchedAt = now;
    if (wasHeldUp) return everybody();
    const end = now - leases.leaseMs;
    for (const [id, { stop }] of active) if (heard.get(id)! < end) stop.abort(new Stopped('lost'));
  }

  async function tellLine(runId: string): Promise<void> {
    try {
      await active.get(runId)?.held?.tellLine();
    } catch (error) {
      if (!(error instanceof FenceLostError)) logger.error({ err: error, runId }, 'telling of the line failed');
    }
  }

  return {
    get active() {
      return active.size;
    },
    reserve() {
      if (draining || active.size + places.size >= concurrency) return null;
      const used = Promise.withResolvers<void>();
      places.add(used.promise);
      const giveBack = () => {
        places.delete(used.promise);
        used.resolve();
      };
      return {
        take(held) {
          take(held);
          giveBack();
        },
        giveBack,
      };
    },
    async close(graceMs) {
      draining = true;
      offWork();
      offStop();
      offLine();
      clearInterval(net);
      nudge?.();
      await Promise.all([loop, ...places]);
      const all = [...active.values()].map(({ done }) => done);
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([Promise.all(all), new Promise((resolve) => (timer = setTimeout(resolve, graceMs)))]);
      clearTimeout(timer);
      const left = [...active];
      for (const [, { stop }] of left) stop.abort(new Stopped('drain'));
      await Promise.all(left.map(([, { done }]) => done));
      clearInterval(heart);
      clearInterval(watch);
      if (left.length > 0) {
        await leases.handBack(left.map(([id]) => id));
        wake.wake('work');
        logger.info({ runs: left.length }, 'handed runs back');
      }
    },
  };
}
