import { RequestError } from './errors.ts';
import { EventSource } from './event-source.ts';

/**
 * Subscriptions to hints: that something has moved, with its state as of then, and no memory of how it came to that.
 * What moves in a scope is read once for all who follow it, at most ten times a second, and of one thing that waits
 * for a slow reader only the newest state is kept.
 */
export interface Hints<Row, Filter> {
  /** Follows what moves in a scope from now on. */
  follow<Event>(scope: string, options: FollowOptions<Row, Filter, Event>): Promise<EventSource<Event>>;
  /** Subscriptions that are open: for tests and for health. */
  readonly followers: number;
}

export interface FollowOptions<Row, Filter, Event> {
  filter: Filter;
  /** Only these of the scope; null = all. */
  ids: readonly string[] | null;
  /** What there is to say of something that has moved: an event, nothing, or that the subscription has ended. */
  tell(seen: Seen<Row>): Event | null | 'end';
  /** The event to begin with, read when nothing that moves is missed any more. */
  begin?(): Promise<{ id: string; event: Event }>;
}

/** Something that has moved. */
export interface Move {
  scope: string;
  id: string;
  /** It may fit another filter than before, or none. */
  changed: boolean;
}

/** Something that has moved, as it is now. */
export interface Seen<Row> {
  id: string;
  /** When it was read. */
  at: Date;
  /** null when it is gone, or does not fit the follower's filter. */
  row: Row | null;
  changed: boolean;
}

type Found<Row> = Promise<ReadonlyMap<string, { row: Row; fits: readonly number[] }>>;

export interface HintsOptions<Row, Filter> {
  /** Hears of moves, and that any number of them may have been missed, until the returned function is called. */
  listen(heard: (move: Move) => void, missed: () => void): () => void;
  /** Reads rows of a scope by their ids, with the places of the filters that they fit. One statement. */
  read(scope: string, ids: readonly string[], filters: readonly Filter[]): Found<Row>;
  /** What is looked at again when moves may have been missed; null = nobody can say which, so followers are sent away. */
  afterMissed(scope: string): readonly string[] | null;
  /** How often the same is looked at for what nobody tells of, and told of when it is not as it was last seen. */
  lookEveryMs?: number;
}

/** Milliseconds between two readings of a scope: a page draws no faster. */
const WINDOW_MS = 100;
/** Things that may wait to be read, or for one reader. */
const MOST_WAITING = 1000;

const lost = () =>
  new RequestError('HINTS_LOST', 'More has moved than could be told: subscribe again, and read the list anew.');

export function createHints<Row, Filter>(options: HintsOptions<Row, Filter>): Hints<Row, Filter> {
  const scopes = new Map<string, Scope<Row, Filter>>();
  let off: (() => void) | null = null;
  let count = 0;

  function missed(): void {
    for (const [name, scope] of [...scopes]) {
      const again = options.afterMissed(name);
      if (again) for (const id of again) scope.moved(id, false);
      else scope.fail(lost());
    }
  }

  function open(name: string): Scope<Row, Filter> {
    const { lookEveryMs, read, afterMissed } = options;
    const again = lookEveryMs === undefined ? null : { ids: afterMissed(name) ?? [], everyMs: lookEveryMs };
    return new Scope((ids, filters) => read(name, ids, filters), again);
  }

  /** Returns how to leave. */
  function join(name: string, follower: Follower<Row, Filter>): () => void {
    off ??= options.listen(({ scope, id, changed }) => scopes.get(scope)?.moved(id, changed), missed);
    let scope = scopes.get(name);
    if (!scope) scopes.set(name, (scope = open(name)));
    scope.add(follower);
    count += 1;
    return () => {
      count -= 1;
      if (scope.remove(follower)) return;
      scopes.delete(name);
      if (scopes.size > 0) return;
      off?.();
      off = null;
    };
  }

  return {
    get followers() {
      return count;
    },
    async follow<Event>(name: string, { filter, ids, tell, begin }: FollowOptions<Row, Filter, Event>) {
      const waiting = new Map<string, Event>();
      let failure: unknown = null;
      let ended = false;
      let closed = false;
      let wake = () => {};
      const leave = join(name, {
        filter,
        ids,
        offer(seen) {
          if (failure !== null) return;
          const event = tell(seen);
          if (event === 'end') ended = true;
          else if (event !== null) waiting.set(seen.id, event);
          if (waiting.size > MOST_WAITING) this.fail(lost());
          wake();
        },
        fail(error) {
          failure ??= error;
          waiting.clear();
          wake();
        },
      });
      const next = async (): Promise<readonly Event[] | null> => {
        while (!closed) {
          if (failure !== null) throw failure as Error;
          const [first] = waiting;
          if (first) {
            waiting.delete(first[0]);
            return [first[1]];
          }
          if (ended) break;
          await new Promise<void>((resolve) => (wake = resolve));
        }
        return null;
      };
      const source = new EventSource<Event>(next, () => {
        closed = true;
        leave();
        wake();
      });
      if (!begin) return source;
      try {
        const { id, event } = await begin();
        // What has moved meanwhile is newer.
        if (!waiting.has(id)) waiting.set(id, event);
        return source;
      } catch (error) {
        await source.return();
        throw error;
      }
    },
  };
}

interface Follower<Row, Filter> {
  filter: Filter;
  ids: readonly string[] | null;
  offer(seen: Seen<Row>): void;
  fail(error: unknown): void;
}

type Read<Row, Filter> = (ids: readonly string[], filters: readonly Filter[]) => Found<Row>;

/** What moves in one scope, and who follows it. */
class Scope<Row, Filter> {
  readonly #read: Read<Row, Filter>;
  /** With the reading that was the last one when they came, and the key of their filter. */
  readonly #followers = new Map<Follower<Row, Filter>, { since: number; key: string }>();
  /** Those who follow everything in it. */
  readonly #all = new Set<Follower<Row, Filter>>();
  /** Those who follow some things in it, by their ids. */
  readonly #some = new Map<string, Set<Follower<Row, Filter>>>();
  /** What is to be read, and why: it may fit another filter now, or not; null = nobody said that it has moved. */
  #moved = new Map<string, boolean | null>();
  /** What is looked at by itself, as it was last seen, in JSON. */
  readonly #seen = new Map<string, string | undefined>();
  readonly #looks: NodeJS.Timeout | null;
  #timer: NodeJS.Timeout | null = null;
  #reading = false;
  #readings = 0;
  #last = -Infinity;

  constructor(read: Read<Row, Filter>, again: { ids: readonly string[]; everyMs: number } | null) {
    this.#read = read;
    for (const id of again?.ids ?? []) this.#seen.set(id, undefined);
    this.#looks = again && setInterval(() => this.#lookAgain(), again.everyMs);
  }

  add(follower: Follower<Row, Filter>): void {
    this.#followers.set(follower, { since: this.#readings, key: JSON.stringify(follower.filter) });
    if (!follower.ids) this.#all.add(follower);
    for (const id of follower.ids ?? []) {
      const others = this.#some.get(id);
      if (others) others.add(follower);
      else this.#some.set(id, new Set([follower]));
    }
  }

  /** Whether anybody is left. */
  remove(follower: Follower<Row, Filter>): boolean {
    this.#followers.delete(follower);
    this.#all.delete(follower);
    for (const id of follower.ids ?? []) {
      const others = this.#some.get(id);
      if (others?.delete(follower) && others.size === 0) this.#some.delete(id);
    }
    if (this.#followers.size > 0) return true;
    this.#moved.clear();
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#looks) clearInterval(this.#looks);
    return false;
  }

  #lookAgain(): void {
    for (const id of this.#seen.keys()) if (!this.#moved.has(id)) this.#moved.set(id, null);
    this.#schedule();
  }

  moved(id: string, changed: boolean): void {
    if (this.#all.size === 0 && !this.#some.has(id)) return;
    this.#moved.set(id, changed || this.#moved.get(id) === true);
    if (this.#moved.size > MOST_WAITING) this.fail(lost());
    else this.#schedule();
  }

  fail(error: unknown): void {
    this.#moved.clear();
    for (const follower of [...this.#followers.keys()]) follower.fail(error);
  }

  #schedule(): void {
    if (this.#reading || this.#timer || this.#moved.size === 0) return;
    const wait = this.#last + WINDOW_MS - performance.now();
    if (wait <= 0) void this.#look();
    else this.#timer = setTimeout(() => void this.#look(), wait);
  }

  /** Whether it is as it was when it was last seen; remembers what it is now. */
  #isAsSeen(id: string, row: Row | undefined): boolean {
    if (!this.#seen.has(id)) return false;
    const before = this.#seen.get(id);
    const now = JSON.stringify(row ?? null);
    this.#seen.set(id, now);
    return now === before;
  }

  async #look(): Promise<void> {
    this.#timer = null;
    this.#reading = true;
    this.#last = performance.now();
    const reading = ++this.#readings;
    const moved = this.#moved;
    this.#moved = new Map();
    const filters = new Map<string, Filter>();
    for (const [{ filter }, { key }] of this.#followers) filters.set(key, filter);
    try {
      const found = await this.#read([...moved.keys()], [...filters.values()]);
      const places = new Map([...filters.keys()].map((key, place) => [key, place]));
      const at = new Date();
      for (const [id, why] of moved) {
        const there = found.get(id);
        if (this.#isAsSeen(id, there?.row) && why === null) continue;
        const changed = why ?? true;
        for (const follower of [...this.#all, ...(this.#some.get(id) ?? [])]) {
          const { since, key } = this.#followers.get(follower)!;
          // Who has come since has read for itself what is newer.
          if (since >= reading) continue;
          follower.offer({ id, at, changed, row: there?.fits.includes(places.get(key)!) ? there.row : null });
        }
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.#reading = false;
      this.#schedule();
    }
  }
}
