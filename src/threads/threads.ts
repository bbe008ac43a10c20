import type { Db, Queryable, Tx } from '../db/db.ts';
import { columns, insertRows } from '../db/rows.ts';
import { InvalidInputError, NotFoundError, ThreadBusyError } from '../errors.ts';
import { byCaller, type EventBody } from '../events/event.ts';
import type { EventLog } from '../events/log.ts';
import type { NewToolResources, ToolResources } from '../assistants/settings.ts';
import { attachToThread, insertStore } from '../vector-stores/store-rows.ts';
import { THREAD_STORE_DAYS } from '../vector-stores/vector-store.ts';
import type { ThreadList } from './thread-list.ts';
import { callersMessage, type Message, MESSAGES_PER_THREAD, type NewMessage } from './message.ts';

export interface Thread {
  id: string;
  projectId: string;
  title: string | null;
  metadata: Record<string, string>;
  toolResources: ToolResources;
  activeRunId: string | null;
  createdAt: Date;
  updatedAt: Date;
}

export interface NewThread {
  title: string | null;
  metadata: Record<string, string>;
  toolResources: NewToolResources;
  messages: NewMessage[];
}

/** A thread whose row is locked by the transaction that holds this, with the places behind its last ones. */
export interface LockedThread {
  id: string;
  projectId: string;
  activeRunId: string | null;
  /** Number of its last event. */
  lastEvent: number;
  /** Position of its last message. */
  lastPosition: number;
  /** The worker that has the variables of its code; null when none has. */
  codeWorker: string | null;
}

export interface Threads {
  create(projectId: string, id: string, input: NewThread): Promise<void>;
  update(
    projectId: string,
    id: string,
    change: Partial<Pick<Thread, 'title' | 'metadata' | 'toolResources'>>,
  ): Promise<void>;
  createMessage(projectId: string, threadId: string, id: string, input: NewMessage): Promise<void>;
  updateMessage(projectId: string, id: string, metadata: Record<string, string> | undefined): Promise<void>;
  /** Returns the thread's id. */
  deleteMessage(projectId: string, id: string): Promise<void>;
}

export function createThreads({ db, log, list }: { db: Db; log: EventLog; list: ThreadList }): Threads {
  return {
    create: (projectId, id, input) =>
      db.tx(async (tx) => {
        await insertThread(tx, log, projectId, id, input);
        tx.afterCommit(() => list.moved(projectId, id));
      }),

    async update(projectId, id, change) {
      const fields = Object.entries(change).filter(([, value]) => value !== undefined);
      const rows = await db.query({
        name: `thread-update-${fields.map(([field]) => field).join('-')}`,
        text: `update thread set updated_at = now()${fields.map(([field], i) => `, ${UPDATABLE[field]!.replace('?', `$${i + 3}`)}`).join('')}
where id = $1 and project_id = $2 and deleted_at is null returning id`,
        values: [id, projectId, ...fields.map(([field, value]) => (field === 'title' ? value : JSON.stringify(value)))],
      });
      if (rows.length === 0) throw new NotFoundError('thread', id, ['input', 'threadId']);
      list.moved(projectId, id, 'changed');
    },

    createMessage: (projectId, threadId, id, input) =>
      db.tx(async (tx) => {
        const thread = await lockThread(tx, projectId, threadId);
        if (thread.activeRunId) {
          throw new ThreadBusyError(
            `Can't add messages to ${threadId} while a run ${thread.activeRunId} is active.`,
            thread.activeRunId,
            ['input', 'threadId'],
          );
        }
        const events = insertMessages(tx, thread, [input], [id]);
        log.append(tx, thread, thread.lastEvent, byCaller(events));
      }),

    async updateMessage(projectId, id, metadata) {
      const rows = await db.query({
        name: 'message-update',
        text: 'update message set metadata = coalesce($3, metadata) where id = $1 and project_id = $2 returning id',
        values: [id, projectId, metadata ? JSON.stringify(metadata) : null],
      });
      if (rows.length === 0) throw new NotFoundError('message', id, ['input', 'messageId']);
    },

    async deleteMessage(projectId, id) {
      const path = ['input', 'messageId'];
      const [found] = await db.query<{ threadId: string }>({
        name: 'message-thread',
        text: 'select thread_id as "threadId" from message where id = $1 and project_id = $2',
        values: [id, projectId],
      });
      if (!found) throw new NotFoundError('message', id, path);
      await db.tx(async (tx) => {
        const thread = await lockThread(tx, projectId, found.threadId);
        if (thread.activeRunId) {
          throw new ThreadBusyError(
            `Can't delete messages of ${thread.id} while a run ${thread.activeRunId} is active.`,
            thread.activeRunId,
            path,
          );
        }
        const gone = await tx.query({
          name: 'message-delete',
          text: 'delete from message where id = $1 and thread_id = $2 returning id',
          values: [id, thread.id],
        });
        if (gone.length === 0) throw new NotFoundError('message', id, path);
        log.append(tx, thread, thread.lastEvent, byCaller([{ type: 'MessageDeleted', messageId: id }]));
      });
    },
  };
}

const UPDATABLE: Record<string, string> = {
  title: 'title = ?',
  metadata: 'metadata = ?::jsonb',
  toolResources: 'tool_resources = ?::jsonb',
};

/**
 * Locks a thread for a transaction that will write to it. Its last places are read behind the lock, by a statement of
 * their own: one that began before the lock was granted would still see what stood there before.
 */
export async function lockThread(tx: Tx, projectId: string, threadId: string): Promise<LockedThread> {
  const [[row], [places]] = await Promise.all([
    tx.query<{ activeRunId: string | null }>({
      name: 'thread-lock',
      text: `select active_run_id as "activeRunId" from thread
where id = $1 and project_id = $2 and deleted_at is null for update`,
      values: [threadId, projectId],
    }),
    tx.query<Pick<LockedThread, 'lastEvent' | 'lastPosition' | 'codeWorker'>>({
      name: 'thread-places',
      text: `select (select coalesce(max(number), 0)::int from event where thread_id = $1) as "lastEvent",
(select coalesce(max(position), 0)::int from message where thread_id = $1) as "lastPosition",
(select worker from code_session where thread_id = $1 and live_until > now()) as "codeWorker"`,
      values: [threadId],
    }),
  ]);
  if (!row) throw new NotFoundError('thread', threadId, ['input', 'threadId']);
  return { id: threadId, projectId, activeRunId: row.activeRunId, ...places! };
}

/** Locks the thread of the active run that the caller holds, against those who change both. */
export function lockHeldThread(tx: Tx, threadId: string): void {
  tx.write({ name: 'thread-lock-held', text: 'select 1 from thread where id = $1 for update', values: [threadId] });
}

/** Gives the thread to a run, or to nobody. The caller holds the thread. */
export function holdThread(tx: Tx, threadId: string, runId: string | null): void {
  tx.write({
    name: 'thread-hold',
    text: 'update thread set active_run_id = $2, updated_at = now() where id = $1',
    values: [threadId, runId],
  });
}

/** Inserts a new thread with its messages; nobody else can see it before the commit, so it needs no lock. */
export async function insertThread(
  tx: Tx,
  log: EventLog,
  projectId: string,
  id: string,
  input: NewThread,
): Promise<LockedThread> {
  const now = new Date();
  const thread: LockedThread = { id, projectId, activeRunId: null, lastEvent: 0, lastPosition: 0, codeWorker: null };
  const { title, metadata } = input;
  const { newStores, ...toolResources } = input.toolResources;
  for (const { id: storeId, ...store } of newStores)
    await insertStore(tx, projectId, storeId, {
      ...store,
      expiresAfterDays: store.expiresAfterDays ?? THREAD_STORE_DAYS,
    });
  tx.write(
    insertRows('Thread', [{ id, projectId, title, metadata, toolResources, logFrom: 0, createdAt: now, updatedAt: now }]),
  );
  thread.lastEvent = log.append(tx, thread, 0, byCaller(insertMessages(tx, thread, input.messages)));
  return thread;
}

/** Adds callers' messages behind the thread's last one and returns the events that tell of them. */
export function insertMessages(tx: Tx, thread: LockedThread, inputs: NewMessage[], ids: string[] = []): EventBody[] {
  if (inputs.length === 0) return [];
  if (thread.lastPosition + inputs.length > MESSAGES_PER_THREAD) {
    throw new InvalidInputError(`A thread holds at most ${MESSAGES_PER_THREAD} messages; ${thread.id} is full.`, [
      'input',
    ]);
  }
  const messages = inputs.map((input, i) => callersMessage(thread, thread.lastPosition + 1 + i, input, ids[i]));
  thread.lastPosition += messages.length;
  insertMessage(tx, messages);
  attachToThread(tx, thread.projectId, thread.id, searchable(inputs));
  return messages.flatMap((message): EventBody[] => [
    { type: 'MessageCreated', message },
    { type: 'MessageFinished', message },
  ]);
}

/** Files that messages bring for file search. */
export const searchable = (messages: readonly NewMessage[]): string[] =>
  messages.flatMap(({ attachments }) =>
    attachments.flatMap(({ fileId, tools }) => (tools.includes('FILE_SEARCH') ? [fileId] : [])),
  );

export function insertMessage(tx: Tx, messages: Message[]): void {
  tx.write(
    insertRows(
      'Message',
      messages.map((message) => ({ ...message, content: message.content ?? [] })),
    ),
  );
}

/** Stores the end of a message that a run wrote. The caller holds the thread. */
export function finishMessage(tx: Tx, message: Message): void {
  tx.write({
    name: 'message-finish',
    text: `update message set status = $2, content = $3, incomplete_reason = $4, completed_at = $5, incomplete_at = $6
where id = $1`,
    values: [
      message.id,
      message.status,
      JSON.stringify(message.content),
      message.incompleteReason,
      message.completedAt,
      message.incompleteAt,
    ],
  });
}

const MESSAGE_COLUMNS = columns('Message', 'm');

/** The newest messages of a thread, oldest first, and how many there are before them. */
export interface History {
  messages: Message[];
  older: number;
}

/**
 * What was said in a thread outside of one run, oldest first: its newest `limit` messages but those that were done
 * again, with the number of those that are older still.
 */
export async function readHistory(
  q: Queryable,
  threadId: string,
  exceptRunId: string,
  limit: number,
): Promise<History> {
  const where = `thread_id = $1 and run_id is distinct from $2 and incomplete_reason is distinct from 'SUPERSEDED'`;
  const read = q.query<Message>({
    name: 'message-history',
    text: `select ${MESSAGE_COLUMNS} from message m where ${where} order by position desc limit $3`,
    values: [threadId, exceptRunId, limit],
  });
  const count = () =>
    q.query<{ count: number }>({
      name: 'message-history-count',
      text: `select count(*)::int as count from message where ${where}`,
      values: [threadId, exceptRunId],
    });
  // A small limit is likely to be met, and a large one is not: then nothing has to be counted.
  const early = limit <= LIKELY_MET ? count() : null;
  const [messages] = await Promise.all([read, early]);
  if (messages.length < limit) return { messages: messages.reverse(), older: 0 };
  const [all] = await (early ?? count());
  return { messages: messages.reverse(), older: all!.count - messages.length };
}

const LIKELY_MET = 100;

/** What a run has written so far, oldest first. */
export const readRunMessages = (q: Queryable, runId: string): Promise<Message[]> =>
  q.query<Message>({
    name: 'message-of-run',
    text: `select ${MESSAGE_COLUMNS} from message m
where run_id = $1 and incomplete_reason is distinct from 'SUPERSEDED' order by position`,
    values: [runId],
  });

/**
 * Empties a thread and leaves a tombstone, with ThreadDeleted as the one event that is left: all there is to say to a
 * reader, wherever it stood (`log_from`). The caller holds the thread, or has fenced off whoever does.
 */
export function eraseThread(tx: Tx, log: EventLog, thread: LockedThread): void {
  const { id } = thread;
  // Before the log is emptied: its next place may have been taken by the owner of the run, who would write on behind us.
  log.append(tx, thread, thread.lastEvent, byCaller([{ type: 'ThreadDeleted', threadId: id }]));
  const events = 'delete from event where thread_id = $1 and number <= $2';
  tx.write({ name: 'thread-erase-events', text: events, values: [id, thread.lastEvent] });
  for (const [name, text] of [
    ['thread-erase-messages', 'delete from message where thread_id = $1'],
    ['thread-erase-runs', 'delete from run where thread_id = $1'],
    [
      'thread-erase',
      `update thread set deleted_at = now(), title = null, metadata = '{}', tool_resources = '{}', active_run_id = null, log_from = 0 where id = $1`,
    ],
  ] as const) {
    tx.write({ name, text, values: [id] });
  }
}

/** Whether a thread was there and is deleted. */
export async function readTombstone(q: Queryable, projectId: string, threadId: string): Promise<boolean> {
  const rows = await q.query({
    name: 'thread-tombstone',
    text: 'select 1 from thread where id = $1 and project_id = $2 and deleted_at is not null',
    values: [threadId, projectId],
  });
  return rows.length > 0;
}
