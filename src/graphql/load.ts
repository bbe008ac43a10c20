import DataLoader from 'dataloader';
import type { Viewer } from '../auth/keys.ts';
import type { Queryable } from '../db/db.ts';
import { columnOf, columns, type Table, tableOf } from '../db/rows.ts';
import { RequestError } from './errors.ts';

/** Something that is read for many keys with one statement. Answers stand in the order of the keys. */
export interface Batch<Key, Value> {
  name: string;
  /** `threadIds`: of a client token, outside of which nothing is found; null with a key. */
  read(q: Queryable, projectId: string, keys: readonly Key[], threadIds: readonly string[] | null): Promise<Value[]>;
  /** Whether it can be asked for with a client token: it keeps to the threads, or is asked of what does. */
  clients: boolean;
}

/** SQL over a table (as `t`): what hangs on the threads whose ids the parameter holds. */
export type Within = (threadIds: string) => string;

/** For tables that name the thread. */
export const inThread: Within = (threadIds) => `t.thread_id = any(${threadIds})`;

/**
 * Something that is only ever read by what the caller sees already, which names it: with a client token, too, there is
 * nothing more to ask.
 */
export function ofSeen<Key, Value>(
  name: string,
  read: (q: Queryable, projectId: string, keys: readonly Key[]) => Promise<Value[]>,
): Batch<Key, Value> {
  return { name, clients: true, read: (q, projectId, keys) => read(q, projectId, keys) };
}

/** A list that hangs on a parent (a project, a thread …), in the order of a unique key that never changes. */
export interface List<Row> {
  name: string;
  table: Table;
  /** The camelCase field that holds the parent's id. */
  parent: keyof Row & string;
  /** The camelCase field that orders the list; unique within a parent. */
  key: keyof Row & string;
  keyType: 'text' | 'int';
  /** Its order where none is asked for: newest first unless it says otherwise. */
  order?: 'ASC';
  /** Columns that are not read with a list. */
  except?: readonly string[];
  /** SQL over the table (as `t`) that rows must meet beside being the parent's. */
  where?: string;
  /** SQL select items over the table (as `t`) that come with every row. */
  extra?: string;
  /** What of it client tokens see; left out, it is not for them. */
  within?: Within;
}

/** Narrows a list: `name` tells its text apart from others', `values` are its parameters `$5` and on. */
export interface Filter {
  name: string;
  text: string;
  values: unknown[];
}

export interface PageArgs {
  first?: number | null;
  after?: string | null;
  last?: number | null;
  before?: string | null;
  order?: 'ASC' | 'DESC' | null;
}

/** Rows that one operation may load in all: a bound at run time beside the static cost. */
const ROWS_PER_OPERATION = 100_000;
export const PAGE_DEFAULT = 20;
export const PAGE_MAX = 100;

/**
 * The reads of one operation. Whatever is asked for in the same moment is read with one statement, whichever parents
 * it hangs on. Nothing is kept: in a subscription, what is reached beyond an event is as of now.
 */
export class Load {
  readonly #q: Queryable;
  readonly #projectId: string;
  readonly #threadIds: readonly string[] | null;
  readonly #loaders = new Map<string, DataLoader<unknown, unknown>>();
  #rows = 0;

  constructor(q: Queryable, { projectId, token }: Viewer) {
    this.#q = q;
    this.#projectId = projectId;
    this.#threadIds = token && token.threadIds;
  }

  one<Key, Value>(batch: Batch<Key, Value>, key: Key): Promise<Value> {
    if (this.#threadIds && !batch.clients) return Promise.reject(notForClients(batch.name));
    const read = (keys: readonly Key[]) => batch.read(this.#q, this.#projectId, keys, this.#threadIds);
    return this.#loader(batch.name, read).load(key);
  }

  page<Row extends object>(list: List<Row>, parentId: string, args: PageArgs, filter?: Filter): Promise<Page<Row>> {
    if (this.#threadIds && !list.within) return Promise.reject(notForClients(list.name));
    const window = windowOf(list, args);
    const name = `${list.name}:${JSON.stringify([window, filter])}`;
    return this.#loader(name, (parents: readonly string[]) => this.#readPages(list, window, filter, parents)).load(
      parentId,
    );
  }

  #loader<Key, Value>(name: string, read: (keys: readonly Key[]) => Promise<Value[]>): DataLoader<Key, Value> {
    let loader = this.#loaders.get(name);
    if (!loader) {
      loader = new DataLoader((keys) => read(keys as readonly Key[]), { cache: false });
      this.#loaders.set(name, loader);
    }
    return loader as DataLoader<Key, Value>;
  }

  async #readPages<Row extends object>(
    list: List<Row>,
    window: Window,
    filter: Filter | undefined,
    parents: readonly string[],
  ): Promise<Page<Row>[]> {
    const distinct = [...new Set(parents)];
    const rows = await this.#q.query<Row & { parentKey: string }>(
      pageSql(list, window, filter, distinct, this.#projectId, this.#threadIds),
    );
    this.#rows += rows.length;
    if (this.#rows > ROWS_PER_OPERATION) {
      throw new RequestError(
        'OVER_COST',
        `The operation reads more than ${ROWS_PER_OPERATION} rows; ask for smaller pages.`,
      );
    }
    const byParent = new Map<string, Row[]>(distinct.map((parent) => [parent, []]));
    for (const row of rows) byParent.get(row.parentKey)!.push(row);
    const pages = new Map([...byParent].map(([parent, found]) => [parent, new Page(list, window, found)]));
    return parents.map((parent) => pages.get(parent)!);
  }
}

const notForClients = (name: string) => new RequestError('FORBIDDEN', `No client token sees ${name}.`, false);

/** One stretch of a list. What a client does not ask for is not worked out. */
export class Page<Row extends object> {
  readonly nodes: Row[];
  readonly #list: List<Row>;
  readonly #window: Window;
  readonly #more: boolean;

  constructor(list: List<Row>, window: Window, rows: Row[]) {
    this.#list = list;
    this.#window = window;
    this.#more = rows.length > window.limit;
    this.nodes = this.#more ? rows.slice(0, window.limit) : rows;
    if (window.backward) this.nodes.reverse();
  }

  get edges(): { cursor: string; node: Row }[] {
    return this.nodes.map((node) => ({ cursor: this.#cursor(node), node }));
  }

  /** Behind a cursor there is at least what the cursor stood on, unless that was deleted since. */
  get pageInfo() {
    const { backward, from } = this.#window;
    const first = this.nodes[0];
    const last = this.nodes.at(-1);
    return {
      hasNextPage: backward ? from !== null : this.#more,
      hasPreviousPage: backward ? this.#more : from !== null,
      startCursor: first ? this.#cursor(first) : null,
      endCursor: last ? this.#cursor(last) : null,
    };
  }

  #cursor(row: Row): string {
    return Buffer.from(`${this.#list.name}:${String(row[this.#list.key as keyof Row])}`).toString('base64url');
  }
}

interface Window {
  limit: number;
  /** Read from the list's end towards its beginning. */
  backward: boolean;
  descending: boolean;
  /** The key next to which the stretch begins. */
  from: string | number | null;
}

function windowOf<Row>(list: List<Row>, { first, after, last, before, order }: PageArgs): Window {
  if (first != null && last != null) throw badArgument('Give `first` or `last`, not both.');
  if (after != null && before != null) throw badArgument('Give `after` or `before`, not both.');
  const backward = last != null || (first == null && before != null);
  if (backward ? after != null : before != null) {
    throw badArgument('`first` goes with `after`, `last` goes with `before`.');
  }
  const limit = (backward ? last : first) ?? PAGE_DEFAULT;
  if (limit < 0 || limit > PAGE_MAX) {
    throw badArgument(`\`${backward ? 'last' : 'first'}\` must be 0 to ${PAGE_MAX}, but is ${limit}.`);
  }
  const cursor = (backward ? before : after) ?? null;
  return {
    limit,
    backward,
    descending: (order ?? list.order ?? 'DESC') === 'DESC',
    from: cursor === null ? null : keyOf(list, cursor),
  };
}

const badArgument = (message: string) => new RequestError('INVALID_INPUT', message);

function keyOf<Row>(list: List<Row>, cursor: string): string | number {
  const text = Buffer.from(cursor, 'base64url').toString();
  const key = text.startsWith(`${list.name}:`) ? text.slice(list.name.length + 1) : '';
  const good = list.keyType === 'int' ? /^[0-9]{1,9}$/.test(key) : /^[a-z]+_[0-9a-z]{26}$/.test(key);
  if (!good) throw new RequestError('UNKNOWN_CURSOR', `'${cursor.slice(0, 100)}' is not a cursor of this list.`);
  return list.keyType === 'int' ? Number(key) : key;
}

function pageSql<Row>(
  list: List<Row>,
  window: Window,
  filter: Filter | undefined,
  parents: string[],
  projectId: string,
  threadIds: readonly string[] | null,
) {
  const values = [parents, projectId, window.limit + 1, window.from, ...(filter?.values ?? [])];
  const within = threadIds && list.within!(`$${values.push(threadIds)}`);
  const key = `t.${columnOf(list.key)}`;
  const down = window.descending !== window.backward;
  const conditions = [
    `t.${columnOf(list.parent)} = p.id`,
    't.project_id = $2',
    window.from === null ? `$4::${list.keyType} is null` : `${key} ${down ? '<' : '>'} $4::${list.keyType}`,
    ...(list.where ? [list.where] : []),
    ...(filter ? [filter.text] : []),
    ...(within ? [within] : []),
  ];
  const text = `select p.id as "parentKey", c.* from unnest($1::text[]) with ordinality as p(id, place)
cross join lateral (
  select ${columns(list.table, 't', list.except)}${list.extra ? `, ${list.extra}` : ''} from ${tableOf(list.table)} t
  where ${conditions.join(' and ')} order by ${key} ${down ? 'desc' : 'asc'} limit $3
) c order by p.place, c."${list.key}" ${down ? 'desc' : 'asc'}`;
  return {
    name: `list-${list.name}-${down ? 'down' : 'up'}${window.from === null ? '' : '-from'}${filter ? `-${filter.name}` : ''}${within ? '-within' : ''}`,
    text,
    values,
  };
}

/** Reads rows by id, within the project; null for what is not there. Without `within` nothing is there for client tokens. */
export function byId<Row extends { id: string }>(
  table: Table,
  options: { except?: readonly string[]; where?: string; extra?: string; within?: Within } = {},
): Batch<string, Row | null> {
  const { within } = options;
  const text = `select ${columns(table, 't', options.except)}${options.extra ? `, ${options.extra}` : ''} from ${tableOf(table)} t
where t.id = any($1) and t.project_id = $2${options.where ? ` and ${options.where}` : ''}`;
  const narrowed = `${text} and ${within?.('$3')}`;
  return {
    name: `${table}-by-id`,
    clients: true,
    async read(q, projectId, ids, threadIds) {
      if (threadIds && !within) return ids.map(() => null);
      // No id holds a NUL, and the database refuses to be asked for one.
      const possible = ids.filter((id) => !id.includes('\0'));
      const rows = await q.query<Row>(
        threadIds
          ? { name: `by-id-${table}-within`, text: narrowed, values: [possible, projectId, threadIds] }
          : { name: `by-id-${table}`, text, values: [possible, projectId] },
      );
      const found = new Map(rows.map((row) => [row.id, row]));
      return ids.map((id) => found.get(id) ?? null);
    },
  };
}
