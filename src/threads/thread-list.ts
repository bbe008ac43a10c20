import type { Queryable } from '../db/db.ts';
import { columns } from '../db/rows.ts';
import type { StoredEvent } from '../events/event.ts';
import type { LogOwner } from '../events/log.ts';
import type { Thread } from './threads.ts';

/** A thread with the number of the last event that its row reflects: both are read with one statement. */
export type ThreadView = Thread & { lastEvent: number };

/** How threads are read for callers. */
export const THREAD_VIEW = {
  except: ['deletedAt'],
  where: 't.deleted_at is null',
  extra: '(select coalesce(max(number), 0)::int from event where thread_id = t.id) as "lastEvent"',
};

/** What threads of a list must be like; null = anything. */
export interface ThreadFilter {
  /** Stands in the title. */
  search: string | null;
  metadata: Record<string, string> | null;
}

/** SQL over threads as `t`: whether they fit, where the parameters are SQL for what `filterValues` answers with. */
export const threadFits = (search: string, metadata: string): string =>
  `(${search}::text is null or t.title ilike ${search}) and (${metadata}::jsonb is null or t.metadata @> ${metadata}::jsonb)`;

export const filterValues = ({ search, metadata }: ThreadFilter): [search: string | null, metadata: string | null] => [
  search === null ? null : `%${search.replace(/[\\%_]/g, '\\$&')}%`,
  metadata && JSON.stringify(metadata),
];

/** A thread that has moved. `changed`: it may fit another filter than before, or none. */
export interface ThreadMove {
  projectId: string;
  threadId: string;
  changed: boolean;
}

/** Tells those who follow lists of threads, in all processes, that a thread has moved. */
export interface ThreadList {
  moved(projectId: string, threadId: string, changed?: 'changed'): void;
  /** Of what was written to a thread's log, that which its list shows. */
  written(thread: LogOwner, events: readonly StoredEvent[]): void;
}

/** `tell` carries a subject to whoever listens, as `moveOf` reads it. */
export function createThreadList(tell: (subject: string) => void): ThreadList {
  const moved: ThreadList['moved'] = (projectId, threadId, changed) =>
    tell(`${projectId} ${threadId}${changed ? ' changed' : ''}`);
  return {
    moved,
    written(thread, events) {
      const types = events.map(({ body }) => body.type);
      if (types.includes('ThreadDeleted')) moved(thread.projectId, thread.id, 'changed');
      else if (types.some((type) => SHOWN.has(type))) moved(thread.projectId, thread.id);
    },
  };
}

/** What is said while a run writes and works shows in no list: it would be hundreds of wake-ups for nothing. */
const SHOWN = new Set<StoredEvent['body']['type']>([
  'RunStatusChanged',
  'MessageCreated',
  'MessageFinished',
  'MessageDeleted',
]);

export function moveOf(subject: string): ThreadMove {
  const [projectId, threadId, changed] = subject.split(' ') as [string, string, string?];
  return { projectId, threadId, changed: changed === 'changed' };
}

export interface ListedThread {
  row: ThreadView;
  /** Places of the filters that it fits. */
  fits: number[];
}

/** Threads as they are now, by their ids, and which of the filters they fit; those that are deleted are left out. */
export async function readListed(
  q: Queryable,
  projectId: string,
  ids: readonly string[],
  filters: readonly ThreadFilter[],
): Promise<Map<string, ListedThread>> {
  const values = filters.map(filterValues);
  const rows = await q.query<ThreadView & { fits: number[] }>({
    name: 'threads-listed',
    text: `select ${columns('Thread', 't', THREAD_VIEW.except)}, ${THREAD_VIEW.extra}, array(
  select f.place::int - 1 from unnest($3::text[], $4::text[]) with ordinality f(search, pairs, place)
  where ${threadFits('f.search', 'f.pairs')}) as fits
from thread t where t.id = any($1) and t.project_id = $2 and ${THREAD_VIEW.where}`,
    values: [ids, projectId, values.map(([search]) => search), values.map(([, pairs]) => pairs)],
  });
  return new Map(rows.map(({ fits, ...row }) => [row.id, { row, fits }]));
}
