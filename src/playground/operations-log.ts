import { type Exchange, type Operation, stringifyDocument } from '@urql/core';
import { useSyncExternalStore } from 'react';
import { pipe, tap } from 'wonka';

/** One GraphQL operation of this page: what is behind what is on the screen. */
export interface LoggedOperation {
  /** urql's key: the same document with the same variables. */
  readonly key: number;
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly name: string;
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly startedAt: number;
  /** Milliseconds to its first result; null until then. */
  readonly took: number | null;
  readonly results: number;
  readonly failed: boolean;
}

export interface OperationsLog {
  readonly exchange: Exchange;
  /** Newest first. */
  use(): readonly LoggedOperation[];
}

const KEPT = 50;
/** Milliseconds between two looks at a stream. */
const EVERY_MS = 250;

export function createOperationsLog(): OperationsLog {
  let logged: readonly LoggedOperation[] = [];
  const listeners = new Set<() => void>();
  let told: ReturnType<typeof setTimeout> | null = null;

  function listen(listener: () => void): () => void {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  function change(next: readonly LoggedOperation[]): void {
    logged = next;
    told ??= setTimeout(() => {
      told = null;
      for (const listener of listeners) listener();
    }, EVERY_MS);
  }

  const begun = ({ kind, key, query, variables }: Operation): void => {
    if (kind === 'teardown') return;
    const text = stringifyDocument(query);
    const name = /\b(?:query|mutation|subscription)\s+(\w+)/.exec(text)?.[1] ?? 'anonymous';
    const entry: LoggedOperation = {
      key,
      kind,
      name,
      query: text,
      variables: (variables ?? {}) as Record<string, unknown>,
      startedAt: Date.now(),
      took: null,
      results: 0,
      failed: false,
    };
    change([entry, ...logged.filter((other) => other.key !== key)].slice(0, KEPT));
  };

  const answered = (key: number, failed: boolean): void => {
    const at = logged.findIndex((entry) => entry.key === key);
    const entry = logged[at];
    if (!entry) return;
    const took = entry.took ?? Date.now() - entry.startedAt;
    change(logged.with(at, { ...entry, took, failed, results: entry.results + 1 }));
  };

  return {
    exchange:
      ({ forward }) =>
      (operations) =>
        pipe(
          forward(pipe(operations, tap(begun))),
          tap(({ operation, error }) => answered(operation.key, error !== undefined)),
        ),
    use: () => useSyncExternalStore(listen, () => logged),
  };
}
