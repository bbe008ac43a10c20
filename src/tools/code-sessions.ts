import type { Life, OpenOptions, Sandbox, Session } from '../sandbox/sandbox.ts';
import { lossInWords } from '../sandbox/verdict.ts';

/** Which session has the variables of a thread's code, as all processes know it. */
export interface CodeSessionRows {
  /** Stores a new session as the thread's, and answers with the id of the one before; null when there was none. */
  begin(threadId: string, id: string): Promise<string | null>;
  /** Whether the session is the thread's still; it is used again then. */
  use(threadId: string, id: string): Promise<boolean>;
}

/**
 * Opens the sessions of threads. A session lives in one process, and a thread's next run may be another's: then its
 * variables are not there, and a session that was left behind has old ones. The model must be told of the former and
 * never meet the latter, so all processes know whose session is the thread's.
 */
export function createCodeSessions({ sandbox, rows }: { sandbox: Sandbox; rows: CodeSessionRows }) {
  /** Sessions of this process, with what was the thread's before. */
  const begun = new WeakMap<Life, Promise<string | null>>();

  /** True when the session is the thread's; tells the model, by a note, what is gone with the one before. */
  async function isCurrent({ life, previous }: Session, threadId: string, notes: string[]): Promise<boolean> {
    const known = begun.get(life);
    const beginning = known ?? rows.begin(threadId, life.id);
    begun.set(life, beginning);
    const before = await beginning.catch((error: unknown) => {
      begun.delete(life);
      throw error;
    });
    if (previous) notes.push(lossInWords(previous));
    else if (!known && before !== null) notes.push(lossInWords('closed'));
    return !known || (await rows.use(threadId, life.id));
  }

  /** The session of a thread, to be released. `notes` take what the model is to be told of it. */
  return async (threadId: string, options: Omit<OpenOptions, 'key'>, notes: string[]): Promise<Session> => {
    for (;;) {
      const session = await sandbox.open({ ...options, key: threadId });
      try {
        if (await isCurrent(session, threadId, notes)) return session;
      } catch (error) {
        session.release();
        throw error;
      }
      // Another process has run code for the thread since: what this one knows is of before.
      await session.close();
    }
  };
}
