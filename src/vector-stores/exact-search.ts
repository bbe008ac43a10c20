import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Queryable } from '../db/db.ts';
import type { Hit } from './keyword-search.ts';

/** A file that is searched: `epoch` says which reading of it. */
export interface Searched {
  id: string;
  epoch: number;
  chunks: number;
}

export type Scored = Hit & { cosine: number };

/** Finds the nearest vectors by comparing with all of them. */
export interface ExactSearch {
  search(q: Queryable, files: readonly Searched[], vector: Float32Array, limit: number, signal: AbortSignal): Promise<Scored[]>;
  /** Bytes of vectors that are kept in memory. */
  readonly bytes: number;
  /** What makes searches slow, in words for operators; null = nothing. */
  readonly problem: string | null;
}

/** Vectors of one file, one behind the other in the order of its chunks. */
interface Matrix {
  epoch: number;
  chunks: number;
  values: Float32Array;
}

/** Chunks that are read with one statement: some megabytes. */
const READ_AT_ONCE = 1000;
/** Vectors between two looks at the event loop: a few milliseconds. */
const BURST = 4000;
/** Milliseconds that it is told of after a search whose vectors did not fit. */
const TOLD_FOR_MS = 600_000;

/**
 * Vectors are kept in memory by file, up to a bound; what was not used for longest goes first. A file whose reading has
 * changed is read again. Of stores that are larger than the bound a part is read for every search.
 */
export function createExactSearch({ maxBytes, logger }: { maxBytes: number; logger: Logger }): ExactSearch {
  const kept = new Map<string, Matrix>();
  let bytes = 0;
  let toldAt = -Infinity;
  /** One search reads at a time: the next may want the same files. */
  let reading: Promise<unknown> = Promise.resolve();

  function drop(id: string): void {
    bytes -= kept.get(id)?.values.byteLength ?? 0;
    kept.delete(id);
  }

  function keep(id: string, matrix: Matrix, wanted: ReadonlySet<string>): void {
    drop(id);
    const size = matrix.values.byteLength;
    for (const oldest of kept.keys()) {
      if (bytes + size <= maxBytes) break;
      if (!wanted.has(oldest)) drop(oldest);
    }
    if (bytes + size > maxBytes) return tell();
    kept.set(id, matrix);
    bytes += size;
  }

  const isTold = (): boolean => performance.now() - toldAt < TOLD_FOR_MS;

  function tell(): void {
    if (!isTold()) logger.warn({ maxBytes }, 'vectors of one search do not fit VECTOR_CACHE_MB; they are read each time');
    toldAt = performance.now();
  }

  async function search(
    q: Queryable,
    files: readonly Searched[],
    vector: Float32Array,
    limit: number,
    signal: AbortSignal,
  ): Promise<Scored[]> {
    const best = new Best(limit);
    const missing: Searched[] = [];
    const wanted = new Set(files.map(({ id }) => id));
    let looked = 0;
    const look = async (id: string, matrix: Matrix) => {
      compare(id, matrix, vector, best);
      looked += matrix.chunks;
      if (looked < BURST) return;
      looked = 0;
      await setImmediate();
      signal.throwIfAborted();
    };
    const pass = async (file: Searched, otherwise: (file: Searched) => void) => {
      const matrix = kept.get(file.id);
      if (matrix?.epoch !== file.epoch) return otherwise(file);
      // To the end of the line: it is used.
      kept.delete(file.id);
      kept.set(file.id, matrix);
      await look(file.id, matrix);
    };
    for (const file of files) await pass(file, (each) => missing.push(each));
    if (missing.length === 0) return best.list();
    const before = reading;
    const mine = (async () => {
      await before.catch(() => {});
      const still: Searched[] = [];
      for (const file of missing) await pass(file, (each) => still.push(each));
      for (const part of partsOf(still)) {
        signal.throwIfAborted();
        for (const [id, matrix] of await readMatrices(q, part)) {
          await look(id, matrix);
          keep(id, matrix, wanted);
        }
      }
    })();
    reading = mine;
    await mine;
    return best.list();
  }

  return {
    search,
    get bytes() {
      return bytes;
    },
    get problem() {
      return isTold()
        ? 'The vectors of a search do not fit into VECTOR_CACHE_MB, so that they are read from the database each time.'
        : null;
    },
  };
}

/** Files by parts that are read with one statement each. */
function* partsOf(files: readonly Searched[]): Generator<string[]> {
  let part: string[] = [];
  let chunks = 0;
  for (const file of files) {
    if (part.length > 0 && chunks + file.chunks > READ_AT_ONCE) {
      yield part;
      part = [];
      chunks = 0;
    }
    part.push(file.id);
    chunks += file.chunks;
  }
  if (part.length > 0) yield part;
}

export async function readMatrices(q: Queryable, ids: readonly string[]): Promise<Map<string, Matrix>> {
  const rows = await q.query<{ file: string; epoch: number; embedding: Buffer }>({
    name: 'search-vectors',
    text: `select f.id as file, f.epoch, c.embedding from vector_store_file f join chunk c on c.vector_store_file_id = f.id
where f.id = any($1) order by f.id, c.number`,
    values: [ids],
  });
  const parts = Map.groupBy(rows, ({ file }) => file);
  return new Map(
    [...parts].map(([file, vectors]) => {
      const dimensions = vectors[0]!.embedding.length / 4;
      const values = new Float32Array(vectors.length * dimensions);
      vectors.forEach(({ embedding }, i) => values.set(floatsOf(embedding), i * dimensions));
      return [file, { epoch: vectors[0]!.epoch, chunks: vectors.length, values }];
    }),
  );
}

/** As they are stored; machines that Node runs on are little-endian. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
}

export const bytesOf = (vector: Float32Array): Buffer =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);

function compare(file: string, { chunks, values }: Matrix, vector: Float32Array, best: Best): void {
  const dimensions = vector.length;
  if (values.length !== chunks * dimensions) return; // of another embedder: its store is refused where it is chosen
  for (let number = 0; number < chunks; number++) {
    const cosine = product(values, number * dimensions, vector);
    if (cosine > best.least) best.add({ file, number, cosine });
  }
}

/** Four sums, which do not wait for each other: half as fast again as one. */
function product(values: Float32Array, from: number, vector: Float32Array): number {
  const dimensions = vector.length;
  const even = dimensions - (dimensions % 4);
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0, at = from; i < even; i += 4, at += 4) {
    a += values[at]! * vector[i]!;
    b += values[at + 1]! * vector[i + 1]!;
    c += values[at + 2]! * vector[i + 2]!;
    d += values[at + 3]! * vector[i + 3]!;
  }
  for (let i = even; i < dimensions; i++) a += values[from + i]! * vector[i]!;
  return a + b + c + d;
}

/** The best so far; what does not point into the same direction at all is nothing that was found. */
class Best {
  least = 0;
  readonly #limit: number;
  #found: Scored[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(hit: Scored): void {
    this.#found.push(hit);
    if (this.#found.length < this.#limit * 4) return;
    this.#cut();
  }

  list(): Scored[] {
    this.#cut();
    return this.#found;
  }

  #cut(): void {
    this.#found.sort(byCosine);
    this.#found.length = Math.min(this.#found.length, this.#limit);
    if (this.#found.length === this.#limit) this.least = this.#found.at(-1)!.cosine;
  }
}

export const byCosine = (a: Scored, b: Scored): number =>
  b.cosine - a.cosine || (a.file < b.file ? -1 : a.file > b.file ? 1 : a.number - b.number);
