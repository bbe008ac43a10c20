import { randomUUID } from 'node:crypto';
import type { BodyDriver } from './body.ts';
import { type Box, createBox } from './box.ts';
import type { CallLimits, SandboxLimits } from './limits.ts';
import {
  type Description,
  type Life,
  type LostReason,
  type OpenOptions,
  type Sandbox,
  SandboxFullError,
  type Session,
  SessionLostError,
} from './sandbox.ts';
import { createWarmBoxes } from './warm-boxes.ts';

/** Keys whose last session's end is remembered. */
const MOST_REMEMBERED = 1000;

export interface SessionsOptions {
  driver: BodyDriver;
  limits: SandboxLimits;
  description: Description;
  /** Told of a box that could not be made in advance. */
  onProblem: (error: unknown) => void;
}

/** A session, or the place of one that is being opened: it counts from the beginning. */
interface Place {
  name: string;
  life: Life;
  project: string;
  box: Box | null;
  /** Resolves when it is open, rejects when it could not be opened. */
  opened: Promise<void>;
  holders: number;
  /** Milliseconds since the process began. */
  since: number;
  used: number;
  limits: Partial<CallLimits>;
  timer: NodeJS.Timeout | null;
}

export function createSessions({ driver, limits, description, onProblem }: SessionsOptions): Sandbox {
  const { total, perProject, idleMs, lifeMs, waitMs } = limits.sessions;
  const places = new Map<string, Place>();
  const remembered = new Map<string, LostReason>();
  const ending = new Set<Promise<unknown>>();
  const waiters = new Set<() => void>();
  const start = async (): Promise<Box> => createBox(await driver.start(), limits);
  const warm = createWarmBoxes({ start, count: limits.sessions.warm, onProblem });
  let closed = false;

  const changed = (): void => {
    for (const wake of waiters) wake();
  };
  const remember = (name: string, reason: LostReason): void => {
    remembered.delete(name);
    remembered.set(name, reason);
    if (remembered.size > MOST_REMEMBERED) remembered.delete(remembered.keys().next().value!);
  };
  /** Takes the place away at once; the processes are gone a moment later. */
  const leave = (place: Place, reason: LostReason): Promise<unknown> => {
    if (places.get(place.name) === place) places.delete(place.name);
    if (place.timer) clearTimeout(place.timer);
    remember(place.name, reason);
    const end = place.box?.end(reason) ?? Promise.resolve();
    ending.add(end);
    void end.finally(() => ending.delete(end));
    changed();
    return end;
  };
  const expiredBy = (place: Place): LostReason | null => {
    const now = performance.now();
    if (now - place.since >= lifeMs) return 'expired';
    return now - place.used >= idleMs ? 'idle' : null;
  };
  const rest = (place: Place): void => {
    if (place.timer) clearTimeout(place.timer);
    if (place.holders > 0 || places.get(place.name) !== place) return;
    const reason = expiredBy(place);
    if (reason) {
      void leave(place, reason);
      return;
    }
    const now = performance.now();
    const wait = Math.min(place.since + lifeMs - now, place.used + idleMs - now);
    // A millisecond more: a timer may be early by a part of one.
    place.timer = setTimeout(() => rest(place), Math.ceil(wait) + 1);
    place.timer.unref();
  };

  /** True when there is room for one more of the project, made by ending the session that was used longest ago. */
  function makeRoom(project: string): boolean {
    const all = [...places.values()];
    const own = all.filter((place) => place.project === project);
    const pool = own.length >= perProject ? own : all.length >= total ? all : null;
    if (!pool) return true;
    const idle = pool.filter((place) => place.holders === 0).sort((a, b) => a.used - b.used);
    if (!idle[0]) return false;
    void leave(idle[0], 'evicted');
    return true;
  }

  /** Until something has changed; false when the time is over. */
  async function change(until: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const wake = (): void => resolve(true);
    const timer = setTimeout(() => resolve(false), Math.max(0, until - performance.now()));
    waiters.add(wake);
    signal?.addEventListener('abort', wake);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      waiters.delete(wake);
      signal?.removeEventListener('abort', wake);
    }
  }

  async function fill(place: Place, files: OpenOptions['files'] = []): Promise<void> {
    try {
      const box = await warm.take();
      place.box = box;
      void box.gone.then((reason) => places.get(place.name) === place && leave(place, reason));
      // It may have been taken away while it was being made.
      if (places.get(place.name) !== place) throw new SessionLostError('closed');
      for (const file of files) await box.put(file);
    } catch (error) {
      await leave(place, 'closed');
      remembered.delete(place.name);
      throw error;
    }
  }

  function begin(name: string, { project, files, limits: own = {} }: OpenOptions): Place {
    const now = performance.now();
    const place: Place = {
      name,
      life: { id: randomUUID() },
      project,
      box: null,
      opened: Promise.resolve(),
      holders: 1,
      since: now,
      used: now,
      limits: own,
      timer: null,
    };
    places.set(name, place);
    place.opened = fill(place, files);
    return place;
  }

  async function open(options: OpenOptions): Promise<Session> {
    const name = `${options.project}\0${options.key}`;
    const until = performance.now() + waitMs;
    for (;;) {
      options.signal?.throwIfAborted();
      if (closed) throw new SessionLostError('closed');
      const there = places.get(name);
      if (there) {
        const reason = there.holders === 0 ? expiredBy(there) : null;
        if (reason) {
          await leave(there, reason);
          continue;
        }
        there.holders += 1;
        try {
          await there.opened;
        } catch {
          // Its first opener is told why; this one opens one of its own.
          continue;
        }
        return handle(there, options, false, null);
      }
      if (makeRoom(options.project)) {
        const previous = remembered.get(name) ?? null;
        const place = begin(name, options);
        await place.opened;
        remembered.delete(name);
        return handle(place, options, true, previous);
      }
      if (!(await change(until, options.signal))) {
        throw new SandboxFullError('every sandbox session that there may be is in use');
      }
    }
  }

  function handle(place: Place, { key }: OpenOptions, fresh: boolean, previous: LostReason | null): Session {
    const box = place.box!;
    let held = true;
    const use = (): Box => {
      if (!held) throw new Error('the session was released');
      place.used = performance.now();
      return box;
    };
    const release = (): void => {
      if (!held) return;
      held = false;
      place.holders -= 1;
      place.used = performance.now();
      rest(place);
      changed();
    };
    return {
      key,
      life: place.life,
      fresh,
      previous,
      get lost() {
        return box.lost;
      },
      execute: async (code, options) => await use().execute(code, options, place.limits),
      put: async (file) => await use().put(file),
      list: async () => await use().list(),
      get: (file) => use().get(file),
      release,
      async close() {
        release();
        await leave(place, 'closed');
      },
      async [Symbol.asyncDispose]() {
        release();
      },
    };
  }

  return {
    driver: description.driver,
    describe: () => description,
    open,
    async close() {
      closed = true;
      changed();
      for (const place of [...places.values()]) void leave(place, 'closed');
      await Promise.all([warm.close(), driver.close(), ...ending]);
    },
  };
}
