import {
  createSourceEventStream,
  executeSubscriptionEvent,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLError,
  type ValidatedSubscriptionArgs,
  validateSubscriptionArgs,
} from 'graphql';
import type { Context } from './context.ts';
import { costErrors } from './cost.ts';
import { GoneError } from './errors.ts';
import { Snapshot } from './event-source.ts';
import { createProjection, type Projection } from './projection.ts';

/**
 * Runs a subscription, for WebSockets and SSE alike. Everything that may refuse it happens before the first event; a
 * snapshot is executed within the transaction that it is read in.
 */
export async function subscribe(
  args: ExecutionArgs,
  mask: (result: ExecutionResult) => ExecutionResult,
): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
  const validated = validateSubscriptionArgs(args);
  if (!('schema' in validated)) return mask({ errors: validated });
  const refused = costErrors(args);
  if (refused.length > 0) return mask({ errors: refused });
  const source = await createSourceEventStream(validated);
  return isIterator(source) ? new Results(validated, source, mask) : mask(source as ExecutionResult);
}

const isIterator = (value: object): value is AsyncIterator<unknown> =>
  'next' in value && typeof value.next === 'function';

class Results implements AsyncIterableIterator<ExecutionResult> {
  readonly #args: ValidatedSubscriptionArgs;
  readonly #source: AsyncIterator<unknown>;

  readonly #project: Projection;
  #failed = false;
  readonly #mask: (result: ExecutionResult) => ExecutionResult;

  constructor(
    args: ValidatedSubscriptionArgs,
    source: AsyncIterator<unknown>,
    mask: (result: ExecutionResult) => ExecutionResult,
  ) {
    this.#args = args;
    this.#source = source;
    this.#mask = mask;
    this.#project = createProjection(args);
  }

  async next(): Promise<IteratorResult<ExecutionResult, undefined>> {
    if (this.#failed) return { done: true, value: undefined };
    try {
      for (;;) {
        const { done, value } = await this.#source.next();
        if (done) return { done: true, value: undefined };
        const result = await (value instanceof Snapshot ? this.#executeSnapshot(value) : this.#execute(value));
        // Whose thread is deleted while it is on its way has left the log with it: what comes next says so.
        const gone = result.errors?.some(({ originalError }) => originalError instanceof GoneError);
        if (!gone) return { done: false, value: this.#mask(result) };
      }
    } catch (error) {
      // The stream broke: its last word says so, and its reader comes back with its cursor.
      this.#failed = true;
      await this.return();
      return { done: false, value: this.#mask({ errors: [error as GraphQLError] }) };
    }
  }

  #execute(rootValue: unknown): ExecutionResult | Promise<ExecutionResult> {
    const data = this.#project(rootValue);
    return data ? { data } : executeSubscriptionEvent({ ...this.#args, rootValue });
  }

  #executeSnapshot(snapshot: Snapshot<unknown>): Promise<ExecutionResult> {
    return snapshot.take(async (rootValue, load) =>
      executeSubscriptionEvent({
        ...this.#args,
        rootValue,
        contextValue: { ...(this.#args.contextValue as Context), load },
      }),
    );
  }

  async return(): Promise<IteratorResult<ExecutionResult, undefined>> {
    await this.#source.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
