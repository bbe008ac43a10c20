/** What turns texts into vectors, so that texts that mean the same lie close to each other. */
export interface Embedder {
  /** Of its vectors: those of two names cannot be compared. */
  readonly name: string;
  readonly driver: 'hash-768' | 'openai';
  /** Known from the start, or null until the first answer. */
  readonly dimensions: number | null;
  /**
   * Vectors of length 1, in the order of the texts. Throws `LlmError` for what the server said or failed to say once
   * tries are used up, and the signal's reason on abort.
   */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Float32Array[]>;
  close(): Promise<void>;
}

/** All that can be embedded with here: what was embedded with the built-in one stays good when a model is set up. */
export interface Embeddings {
  /** For new vectors. */
  readonly current: Embedder;
  /** By its name; null = not here. */
  named(name: string): Embedder | null;
  close(): Promise<void>;
}

export function createEmbeddings(builtIn: Embedder, configured: Embedder | null): Embeddings {
  const all = configured ? [configured, builtIn] : [builtIn];
  return {
    current: all[0]!,
    named: (name) => all.find((embedder) => embedder.name === name) ?? null,
    async close() {
      for (const embedder of all) await embedder.close();
    },
  };
}

/** Scales a vector to length 1, in place; one of length 0 stays. */
export function normalize(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  if (sum === 0) return vector;
  const scale = 1 / Math.sqrt(sum);
  for (let i = 0; i < vector.length; i++) vector[i]! *= scale;
  return vector;
}

/** For whoever asks the server what it is made of. */
export const describeEmbeddings = ({ current: { driver, name } }: Embeddings): { driver: string; detail: string } =>
  driver === 'openai'
    ? { driver, detail: `The model ${name} of the model server.` }
    : {
        driver,
        detail: 'Built in: it compares spelling and knows of no meaning. EMBEDDING_MODEL sets up a model of the model server.',
      };
