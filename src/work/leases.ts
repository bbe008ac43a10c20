import type { Db, Queryable, Tx } from '../db/db.ts';

/**
 * Claiming rows to work on. The row is the job: three columns of its own table say who works on it (`owner`), for the
 * how-manieth claim (`epoch`, which only grows) and until when unless it is heard of again (`lease_until`). Nobody else
 * writes them.
 */
export interface Leases<Columns = unknown> {
  /** This worker's name; no two that ever lived share one. */
  readonly owner: string;
  /** How long a lease lasts, in milliseconds, by the database's clock. */
  readonly leaseMs: number;
  /**
   * Takes up to `limit` rows that nobody holds and that are ready, and those whose owner has let its lease run out.
   * In the order of their turns; rows that another worker is just taking are passed over, and so are those that are
   * still `inHand`: who was held up for longer than its leases would take its own rows for those of a worker that was
   * lost. Part of the transaction that begins with what was claimed.
   */
  claim(tx: Tx, limit: number, inHand: string[]): Promise<(Claim & Columns)[]>;
  /** Prolongs the leases; the answer names those still held, and which of them somebody wants stopped. */
  heartbeat(ids: string[]): Promise<{ id: string; epoch: number; stop: boolean }[]>;
  /** Gives rows back at once, for a graceful stop: who takes them up next is not taken to have lost a worker. */
  handBack(ids: string[]): Promise<void>;
  /** Takes a row that nobody holds in the name of a transaction that has it locked: its next writer is fenced off. */
  seize(tx: Tx, id: string): void;
  /** Voids every lease: for the embedded database, whose one process is the only worker there can be. */
  voidAll(): Promise<void>;
}

export interface Claim {
  id: string;
  epoch: number;
  /** The owner before this one was lost with it. */
  takenOver: boolean;
}

/**
 * What a statement sets that leaves a row to others, or to nobody: in the update of the row that it is part of anyway,
 * because a second one would make a second version of the row.
 */
export const RELEASED = 'owner = null, lease_until = null';

/** The worker at hand: a row can be its from birth, and no other worker has to be found for it. */
export interface Hands<Work> {
  /** A place for one more, to be used or given back; null when there is no room. */
  reserve(): Place<Work> | null;
}

export interface Place<Work> {
  /** Takes up what was committed as the worker's. */
  take(work: Work): void;
  giveBack(): void;
}

/**
 * The rows that are worked on, for a claim to pass over. Not those whose work was told to stop: of what was lost here,
 * this process may be the only one to take it up again.
 */
export const inHand = (active: ReadonlyMap<string, { stop: AbortController }>): string[] =>
  [...active].filter(([, { stop }]) => !stop.signal.aborted).map(([id]) => id);

export interface LeaseOptions {
  db: Db;
  owner: string;
  leaseMs: number;
  table: 'run' | 'vector_store_file';
  /** SQL over the table: rows that `$2`, the worker, may work on when nobody holds them. Implies a partial index. */
  ready: string;
  /** Columns by which rows take their turn, the lowest first; that of their ids unless it is said otherwise. */
  order?: string;
  /** SQL over the table: true when somebody asks the owner to stop. */
  stop: string;
  /** SQL over the table (as `t`, with `c.taken_over`): what a claim sets beside the lease. */
  set: string;
  /** SQL over the table (as `t`): columns that come with a claim, `id` among them. */
  returning: string;
}

export function createLeases<Columns>(options: LeaseOptions): Leases<Columns> {
  const { db, owner, leaseMs, table, ready, order = 'id', stop, set, returning } = options;
  const until = `now() + ${leaseMs} * interval '1 millisecond'`;
  const query = <Row>(q: Queryable, name: string, text: string, values: unknown[]) =>
    q.query<Row>({ name: `${table}-${name}`, text, values });
  return {
    owner,
    leaseMs,
    claim: (tx, limit, inHand) =>
      query<Claim & Columns>(
        tx,
        'claim',
        `with c as (
  select id as claimed, owner is not null as taken_over from ${table}
  where (owner is null and ${ready}) or (owner is not null and lease_until < now() and not (owner = $2 and id = any($3)))
  order by ${order} limit $1 for update skip locked
)
update ${table} t set owner = $2, epoch = t.epoch + 1, lease_until = ${until}, ${set}
from c where t.id = c.claimed returning t.epoch, c.taken_over as "takenOver", ${returning}`,
        [limit, owner, inHand],
      ),
    heartbeat: (ids) =>
      query(
        db,
        'heartbeat',
        `update ${table} set lease_until = ${until} where id = any($1) and owner = $2 returning id, epoch, (${stop}) as stop`,
        [ids, owner],
      ),
    async handBack(ids) {
      await query(db, 'hand-back', `update ${table} set ${RELEASED} where id = any($1) and owner = $2`, [ids, owner]);
    },
    seize: (tx, id) =>
      tx.write({ name: `${table}-seize`, text: `update ${table} set epoch = epoch + 1 where id = $1`, values: [id] }),
    async voidAll() {
      await query(
        db,
        'void',
        `update ${table} set lease_until = now() - interval '1 second' where owner is not null`,
        [],
      );
    },
  };
}
