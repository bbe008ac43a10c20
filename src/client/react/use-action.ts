import type { TypedDocumentNode } from '@urql/core';
import { useCallback, useState } from 'react';
import { SkeinError } from '../skein-error.ts';
import { errorOfUrql, useSkein } from './provider.tsx';

/** Why the server did not do it, for whoever asked: `path` leads to the field of the input. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly path: readonly string[] | null;
}

/** What became of a mutation: `value` when it was done, `refusals` when it was not, `error` when nobody knows. */
export interface Outcome<Value> {
  readonly value: Value | null;
  readonly refusals: readonly Refusal[];
  readonly error: SkeinError | null;
}

export interface Action<Input, Value> {
  run(input: Input): Promise<Outcome<Value>>;
  /** Whether one is on its way. */
  busy: boolean;
  /** Of the one that came last. */
  outcome: Outcome<Value> | null;
}

interface Payload {
  readonly userErrors: readonly Refusal[];
}

/** A mutation with one input, whose payload holds a value or says why not. */
export function useAction<Result, Input, Answer extends Payload, Value>(
  document: TypedDocumentNode<Result, { input: Input }>,
  payloadOf: (result: Result) => Answer,
  valueOf: (payload: Answer) => Value | null | undefined,
): Action<Input, Value> {
  const { urql } = useSkein();
  const [underWay, setUnderWay] = useState(0);
  const [outcome, setOutcome] = useState<Outcome<Value> | null>(null);
  const run = useCallback(
    async (input: Input): Promise<Outcome<Value>> => {
      setUnderWay((count) => count + 1);
      const { data, error } = await urql.mutation(document, { input });
      const payload = data ? payloadOf(data) : null;
      const next: Outcome<Value> = {
        value: (payload && valueOf(payload)) ?? null,
        refusals: payload?.userErrors ?? [],
        error: error ? errorOfUrql(error) : null,
      };
      setUnderWay((count) => count - 1);
      setOutcome(next);
      return next;
    },
    // The two functions belong to the document.
    [urql, document],
  );
  return { run, busy: underWay > 0, outcome };
}
