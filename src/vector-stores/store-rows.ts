import type { Queryable, Sql, Tx } from '../db/db.ts';
import { columns } from '../db/rows.ts';
import { InvalidInputError, NotFoundError, type Path, QuotaExceededError } from '../errors.ts';
import { mintId } from '../ids.ts';
import { RELEASED } from '../work/leases.ts';
import {
  FILE_COUNTS,
  type FileCounts,
  FILES_PER_STORE,
  type NewStoreFile,
  type NewVectorStore,
  STORE_VIEW,
  storeIsExpired,
  storeIsThere,
  type StoreView,
  THREAD_STORE_DAYS,
} from './vector-store.ts';
import { DEFAULT_CHUNKING } from './chunk.ts';

/** What stands in a store's row, for those who are about to change it. */
export interface StoreState {
  id: string;
  expired: boolean;
}

export async function readStore(q: Queryable, projectId: string, id: string, path: Path): Promise<StoreState> {
  const [row] = await q.query<StoreState>({
    name: 'store-state',
    text: `select s.id, ${storeIsExpired('s')} as expired from vector_store s
where s.id = $1 and s.project_id = $2 and ${storeIsThere('s')}`,
    values: [id, projectId],
  });
  if (!row) throw new NotFoundError('vector store', id, path);
  return row;
}

/** Refuses to change what a store holds whose time is over: what it held is being removed. */
export function refuseExpired({ id, expired }: StoreState, path: Path): void {
  if (expired) throw new InvalidInputError(`The vector store ${id} has expired: make a new one of its files.`, path);
}

const EXPIRES = (days: string): string => `now() + ${days} * interval '1 day'`;

/** Inserts a new store with its files, which somebody has checked. */
export async function insertStore(tx: Tx, projectId: string, id: string, store: NewVectorStore): Promise<void> {
  const { name, metadata, expiresAfterDays, files } = store;
  tx.write({
    name: 'store-insert',
    text: `insert into vector_store (id, project_id, name, metadata, expires_after_days, created_at, last_active_at, expires_at)
values ($1, $2, $3, $4, $5, now(), now(), ${EXPIRES('$5::integer')})`,
    values: [id, projectId, name, JSON.stringify(metadata), expiresAfterDays],
  });
  if (files.length > 0) await insertFiles(tx, projectId, id, null, files, ['input', 'fileIds']);
}

/**
 * SQL: the turn from which on files that are added to a store are read. Stores take turns: the first file behind those of
 * the store that wait already, and never before those of others that have waited longest.
 */
const firstTurn = (store: string): string => `greatest(
  (select max(p.turn) + 1 from vector_store_file p where p.vector_store_id = ${store} and p.status = 'IN_PROGRESS' and p.owner is null),
  (select min(p.turn) from vector_store_file p where p.status = 'IN_PROGRESS' and p.owner is null), 0)`;

/**
 * Adds files to a store, or has them read again: those that had failed or were cancelled, and those that are to be cut
 * in another way. A file that is there already takes the new attributes.
 */
export async function insertFiles(
  tx: Tx,
  projectId: string,
  storeId: string,
  batchId: string | null,
  files: readonly NewStoreFile[],
  path: Path,
): Promise<void> {
  const rows = files.map(({ fileId, attributes, chunking }) => ({
    id: mintId('VectorStoreFile'),
    file_id: fileId,
    attributes,
    chunking,
  }));
  const redo = `(t.status in ('FAILED', 'CANCELLED') or t.chunking <> excluded.chunking)`;
  const anew = (column: string, fresh: string) => `${column} = case when ${redo} then ${fresh} else t.${column} end`;
  const added = await tx.query<{ fileId: string }>({
    name: 'store-files-insert',
    text: `with wanted as (
  select w.*, f.filename from jsonb_to_recordset($3) as w(id text, file_id text, attributes jsonb, chunking jsonb)
  join file f on f.id = w.file_id and f.project_id = $2 and (f.expires_at is null or f.expires_at > now())
  order by f.id for key share of f
), place as materialized (select ${firstTurn('$1')} as first)
insert into vector_store_file as t
  (id, project_id, vector_store_id, file_id, batch_id, filename, status, attributes, chunking, created_at, turn)
select id, $2, $1, file_id, $4, filename, 'IN_PROGRESS', attributes, chunking, now(),
  first + (row_number() over (order by id))::integer - 1 from wanted, place order by file_id
on conflict (vector_store_id, file_id) do update set batch_id = coalesce(excluded.batch_id, t.batch_id),
  attributes = excluded.attributes, chunking = excluded.chunking,
  ${anew('status', `'IN_PROGRESS'`)}, ${anew('last_error', 'null')}, ${anew('failures', '0')}, ${anew('lost', '0')},
  ${anew('retry_at', 'null')}, ${anew('chunks', '0')}, ${anew('usage_bytes', '0')}, ${anew('turn', 'excluded.turn')},
  ${anew('created_at', 'excluded.created_at')},
  ${anew('owner', 'null')}, ${anew('lease_until', 'null')}
returning file_id as "fileId"`,
    values: [storeId, projectId, JSON.stringify(rows), batchId],
  });
  if (added.length < files.length) {
    const there = new Set(added.map(({ fileId }) => fileId));
    const missing = files.find(({ fileId }) => !there.has(fileId))!;
    throw new NotFoundError('file', missing.fileId, path);
  }
  // Of those that are to be read again: what is in somebody's hands goes on.
  tx.write({
    name: 'store-files-clear',
    text: `delete from chunk c using vector_store_file f where f.vector_store_id = $1 and f.file_id = any($2)
and f.status = 'IN_PROGRESS' and f.owner is null and c.vector_store_file_id = f.id`,
    values: [storeId, files.map(({ fileId }) => fileId)],
  });
  // Behind the lock nobody else adds any more, and a statement that begins behind it sees all that were added before.
  tx.write({
    name: 'store-lock',
    text: 'select 1 from vector_store where id = $1 for no key update',
    values: [storeId],
  });
  tx.write(touchStores(projectId, [storeId]));
  const [counted] = await tx.query<{ files: number }>({
    name: 'store-files-count',
    text: 'select count(*)::int as files from vector_store_file where vector_store_id = $1',
    values: [storeId],
  });
  if (counted!.files > FILES_PER_STORE) {
    throw new QuotaExceededError(
      `A vector store holds at most ${FILES_PER_STORE} files; with these, ${storeId} would have ${counted!.files}.`,
      path,
    );
  }
}

/** Minutes that a store's last use may be off: its row is not written for every search. */
const USE_MINUTES = 1;

const touch = (name: string, which: string, values: unknown[]): Sql => ({
  name,
  text: `update vector_store s set last_active_at = now(), expires_at = ${EXPIRES('s.expires_after_days')}
where ${which} and s.last_active_at < now() - interval '${USE_MINUTES} minutes' and not ${storeIsExpired('s')}`,
  values,
});

/** Stores are used: they expire that much later. One that has expired stays so. */
export const touchStores = (projectId: string, ids: readonly string[]): Sql =>
  touch('store-touch', 's.id = any($1) and s.project_id = $2', [ids, projectId]);

/**
 * Adds files that came with messages to the store of their thread, which is made if the thread has none, or one that
 * expired or is deleted. The caller holds the thread. Files that are gone meanwhile are left out: the message says which
 * they were.
 */
export function attachToThread(tx: Tx, projectId: string, threadId: string, fileIds: readonly string[]): void {
  if (fileIds.length === 0) return;
  const rows = [...new Set(fileIds)].map((fileId) => ({ id: mintId('VectorStoreFile'), file_id: fileId }));
  tx.write({
    name: 'store-attach',
    text: `with known as (
  select s.id from thread t join vector_store s on s.id = t.tool_resources #>> '{fileSearch,vectorStoreIds,0}'
    and s.project_id = t.project_id
  where t.id = $2 and ${storeIsThere('s')} and not ${storeIsExpired('s')}
), made as (
  insert into vector_store (id, project_id, metadata, expires_after_days, created_at, last_active_at, expires_at)
  select $4, $1, '{}', ${THREAD_STORE_DAYS}, now(), now(), ${EXPIRES(String(THREAD_STORE_DAYS))}
  where not exists (select from known) returning id
), named as (
  update thread set tool_resources = tool_resources || jsonb_build_object('fileSearch',
    jsonb_build_object('vectorStoreIds', jsonb_build_array(m.id))) from made m where thread.id = $2
), wanted as (
  select w.id, f.id as file_id, f.filename from jsonb_to_recordset($3) as w(id text, file_id text)
  join file f on f.id = w.file_id and f.project_id = $1 order by f.id for key share of f
)
insert into vector_store_file as t
  (id, project_id, vector_store_id, file_id, filename, status, attributes, chunking, created_at, turn)
select w.id, $1, s.id, w.file_id, w.filename, 'IN_PROGRESS', '{}', $5, now(),
  s.first + (row_number() over (order by w.id))::integer - 1
from wanted w, (
  select own.id, ${firstTurn('own.id')} as first from (select id from known union all select id from made) own
) s order by w.file_id
on conflict (vector_store_id, file_id) do update set status = 'IN_PROGRESS', last_error = null, failures = 0, lost = 0,
  retry_at = null, turn = excluded.turn, created_at = excluded.created_at, ${RELEASED} where t.status in ('FAILED', 'CANCELLED')`,
    values: [projectId, threadId, JSON.stringify(rows), mintId('VectorStore'), JSON.stringify(DEFAULT_CHUNKING)],
  });
  const store = `s.id = (select t.tool_resources #>> '{fileSearch,vectorStoreIds,0}' from thread t where t.id = $1)`;
  tx.write(touch('store-attach-touch', `${store} and s.project_id = $2`, [threadId, projectId]));
}

/** A store as it is now, with all that may move of it; undefined when it is deleted. */
export async function readStoreView(q: Queryable, id: string): Promise<(StoreView & { counts: FileCounts }) | undefined> {
  const [store] = await q.query<StoreView & { counts: FileCounts }>({
    name: 'store-view',
    text: `select ${columns('VectorStore', 't', STORE_VIEW.except)}, ${STORE_VIEW.extra},
  (select ${FILE_COUNTS('f')} from vector_store_file f where f.vector_store_id = t.id) as counts from vector_store t
where t.id = $1 and ${STORE_VIEW.where}`,
    values: [id],
  });
  return store;
}
