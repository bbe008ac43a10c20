import { createHash } from 'node:crypto';
import type { Db } from '../db/db.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../errors.ts';
import { mintId, type Noun } from '../ids.ts';
import { type Context, seesThread } from './context.ts';

/** How long a key is remembered. */
export const IDEMPOTENCY_HOURS = 24;

/** What a create makes: enough to mint its id and to find it again. */
export interface Creates {
  noun: Noun;
  /** Name of the payload's field that holds the object. */
  result: string;
  find(context: Context, id: string): Promise<unknown>;
  /** The thread that it hangs on, by the input: client tokens make nothing that has none. */
  threadOf?(input: Record<string, unknown>): unknown;
}

/**
 * Mints the id that a create will give its object. With an `idempotencyKey`, the key is bound to that id first: a
 * request that comes again finds the id, and either the object is there already, or it is made now, under the same id.
 * A create that was refused leaves no key behind.
 */
export async function idempotent(
  context: Context,
  mutation: string,
  creates: Creates,
  input: Record<string, unknown>,
  path: string,
  create: () => Promise<unknown>,
): Promise<unknown> {
  const kind = kindOf(context, mutation, creates, input);
  const key = input.idempotencyKey as string | null | undefined;
  if (key == null) {
    context.minted.set(path, mintId(creates.noun));
    return create();
  }
  if (key.length < 1 || key.length > 255 || !key.isWellFormed() || key.includes('\0')) {
    throw new InvalidInputError('An idempotency key is 1 to 255 characters.', ['input', 'idempotencyKey']);
  }
  const { db, viewer } = context;
  const place = [viewer.projectId, kind, key];
  const bound = await bind(db, place, inputHash(await withDigests(input)), mintId(creates.noun));
  context.minted.set(path, bound.resultId);
  const made = async () => {
    const object = await creates.find(context, bound.resultId);
    return object ? { [creates.result]: object } : null;
  };
  if (!bound.isNew) {
    const earlier = await made();
    if (earlier) return earlier;
    if (bound.done) {
      throw new NotFoundError(
        `${creates.result} that was made under this idempotency key, which is deleted,`,
        bound.resultId,
      );
    }
  }
  try {
    const payload = await create();
    await db.query({
      name: 'idempotency-done',
      text: 'update idempotency_key set done = true where project_id = $1 and mutation = $2 and key = $3',
      values: place,
    });
    return payload;
  } catch (error) {
    // The same request may have come twice in one moment: the other one's object is the answer to both.
    const twins = await made();
    if (twins) return twins;
    if (bound.isNew) {
      await db.query({
        name: 'idempotency-unbind',
        text: 'delete from idempotency_key where project_id = $1 and mutation = $2 and key = $3 and result_id = $4',
        values: [...place, bound.resultId],
      });
    }
    throw error;
  }
}

/**
 * What a key is remembered under beside its project. Those of pages are apart from those of others, by their thread:
 * no page learns of, or takes, a key that is not its own.
 */
function kindOf(context: Context, mutation: string, { threadOf }: Creates, input: Record<string, unknown>): string {
  if (!context.viewer.token) return mutation;
  const threadId = threadOf?.(input);
  const path = ['input', 'threadId'];
  if (typeof threadId !== 'string')
    throw new InvalidInputError('Give `threadId`: a client token makes nothing outside of its threads.', path);
  if (!seesThread(context, threadId)) throw new NotFoundError('thread', threadId, path);
  return `${mutation} in ${threadId}`;
}

interface Bound {
  inputHash: string;
  resultId: string;
  done: boolean;
  isNew: boolean;
}

async function bind(db: Db, place: string[], hash: string, id: string): Promise<Bound> {
  // A key that is older than it is kept for counts as a new one.
  const over = `k.created_at < now() - interval '${IDEMPOTENCY_HOURS} hours'`;
  const fresh = (column: string) => `${column} = case when ${over} then excluded.${column} else k.${column} end`;
  const [bound] = await db.query<Bound>({
    name: 'idempotency-bind',
    text: `insert into idempotency_key as k (project_id, mutation, key, input_hash, result_id, done, created_at)
values ($1, $2, $3, $4, $5, false, now())
on conflict (project_id, mutation, key) do update set
  ${['input_hash', 'result_id', 'done', 'created_at'].map(fresh).join(', ')}
returning input_hash as "inputHash", result_id as "resultId", done, result_id = $5 as "isNew"`,
    values: [...place, hash, id],
  });
  if (bound!.inputHash !== hash) {
    throw new ConflictError('This idempotency key was used with another input.', ['input', 'idempotencyKey']);
  }
  return bound!;
}

/** Keys that one statement removes. */
const PAGE = 1000;

/** Removes keys that are older than they are kept for: they count for nothing. */
export async function forgetKeys(db: Db, signal: AbortSignal): Promise<{ keys: number }> {
  const done = { keys: 0 };
  while (!signal.aborted) {
    const over = `created_at < now() - interval '${IDEMPOTENCY_HOURS} hours'`;
    const rows = await db.query({
      name: 'idempotency-forget',
      // Asked again of the row itself: a key may have been bound anew since it was looked up.
      text: `delete from idempotency_key where ${over} and (project_id, mutation, key) in
(select project_id, mutation, key from idempotency_key where ${over} order by created_at limit $1) returning 1`,
      values: [PAGE],
    });
    done.keys += rows.length;
    if (rows.length < PAGE) break;
  }
  return done;
}

const inputHash = (input: unknown) => createHash('sha256').update(canonical(input)).digest('hex');

/** The input with a digest in the place of every file that came with it: a file is the same when its bytes are. */
async function withDigests(input: Record<string, unknown>): Promise<Record<string, unknown>> {
  const entries = Object.entries(input).map(async ([name, value]): Promise<[string, unknown]> => {
    const file = value as Partial<File> | null | undefined;
    if (typeof file?.arrayBuffer !== 'function') return [name, value];
    const hash = createHash('sha256').update(new Uint8Array(await file.arrayBuffer()));
    return [name, { filename: file.name, contentType: file.type, sha256: hash.digest('hex') }];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** JSON with sorted keys: the same input gives the same text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
