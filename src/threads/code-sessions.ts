import type { Db } from '../db/db.ts';

/** Which session of the code interpreter has a thread's variables: the one that was begun last, by whichever process. */
export interface CodeSessionRows {
  /** Stores a new session as the thread's, and answers with the id of the one before; null when there was none. */
  begin(threadId: string, session: string): Promise<string | null>;
  /** Whether the session is the thread's still; it is used again then. */
  use(threadId: string, session: string): Promise<boolean>;
  /** Says that the sessions of this worker are over, so that nobody leaves their threads' runs to it. */
  end(): Promise<void>;
  /** The same of all workers: for the embedded database, whose one process is the only worker there can be. */
  voidAll(): Promise<void>;
}

/** `worker`: in whose hands the sessions are, by the name that its leases have. `idleMs`: what they outlive unused. */
export function createCodeSessionRows(options: { db: Db; worker: string; idleMs: number }): CodeSessionRows {
  const { db, worker, idleMs } = options;
  const until = `now() + ${idleMs} * interval '1 millisecond'`;
  return {
    async begin(threadId, session) {
      const [row] = await db.query<{ before: string | null }>({
        name: 'code-session-begin',
        text: `insert into code_session (thread_id, session, worker, live_until) values ($1, $2, $3, ${until})
on conflict (thread_id) do update set session = excluded.session, worker = excluded.worker, live_until = excluded.live_until
returning (select session from code_session where thread_id = $1) as before`,
        values: [threadId, session, worker],
      });
      return row!.before;
    },
    async use(threadId, session) {
      const rows = await db.query({
        name: 'code-session-use',
        text: `update code_session set live_until = ${until} where thread_id = $1 and session = $2 returning 1`,
        values: [threadId, session],
      });
      return rows.length > 0;
    },
    async end() {
      await db.query({
        name: 'code-session-end',
        text: 'update code_session set live_until = now() where worker = $1 and live_until > now()',
        values: [worker],
      });
    },
    async voidAll() {
      await db.query({ name: 'code-session-void', text: 'update code_session set live_until = now()', values: [] });
    },
  };
}
