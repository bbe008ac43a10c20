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
import { Snapshot } from './event-source.ts';

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
  const source = await createSourceEventStream(validated);
  return isIterator(source) ? new Results(validated, source, mask) : mask(source as ExecutionResult);
}

const isIterator = (value: object): value is AsyncIterator<unknown> => 'next' in value && typeof value.next === 'function';

class Results implements AsyncIterableIterator<ExecutionResult> {
  readonly #args: ValidatedSubscriptionArgs;
  readonly #source: AsyncIterator<unknown>;

  #failed = false;
  readonly #mask: (result: ExecutionResult) => ExecutionResult;

  constructor(args: ValidatedSubscriptionArgs, source: AsyncIterator<unknown>, mask: (result: ExecutionResult) => ExecutionResult) {
    this.#args = args;
    this.#source = source;
    this.#mask = mask;
  }

  async next(): Promise<IteratorResult<ExecutionResult, undefined>> {
    if (this.#failed) return { done: true, value: undefined };
    try {
      const { done, value } = await this.#source.next();
      if (done) return { done: true, value: undefined };
      const result = await (value instanceof Snapshot ? this.#executeSnapshot(value) : this.#execute(value));
      return { done: false, value: this.#mask(result) };
    } catch (error) {
      // The stream broke: its last word says so, and its reader comes back with its cursor.
      this.#failed = true;
      await this.return();
      return { done: false, value: this.#mask({ errors: [error as GraphQLError] }) };
    }
  }

  #execute(rootValue: unknown, contextValue = this.#args.contextValue): ExecutionResult | Promise<ExecutionResult> {
    return executeSubscriptionEvent({ ...this.#args, rootValue, contextValue });
  }

  #executeSnapshot(snapshot: Snapshot<unknown>): Promise<ExecutionResult> {
    return snapshot.take(async (event, load) => this.#execute(event, { ...(this.#args.contextValue as Context), load }));
  }

  async return(): Promise<IteratorResult<ExecutionResult, undefined>> {
    await this.#source.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
