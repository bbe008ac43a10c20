import { print } from 'graphql';
import {
  FollowThreadsDocument,
  type FollowThreadsSubscription,
  type ThreadFilter,
} from '../../src/generated/graphql/graphql.ts';
import { waitFor } from '../server/wait-for.ts';
import type { TestSkein } from '../skein.ts';

export type Hint = FollowThreadsSubscription['threads'];

/** A list of threads that is followed, over a socket of its own. */
export interface ThreadsWatch {
  readonly hints: readonly Hint[];
  /** Codes of the errors with which it broke off, once it did. */
  readonly broken: Promise<(string | undefined)[]>;
  /** The first hint, from place `from` on, that is as asked for. */
  until(what: string, isIt: (hint: Hint) => boolean, from?: number): Promise<Hint>;
  leave(): Promise<void>;
}

/** Follows a list; it has begun when this resolves. */
export async function watchThreads(app: TestSkein, filter?: ThreadFilter, key = app.key): Promise<ThreadsWatch> {
  const hints: Hint[] = [];
  const broken = Promise.withResolvers<(string | undefined)[]>();
  const before = app.skein.counts().followers;
  const client = app.socket(key);
  client.subscribe<FollowThreadsSubscription>(
    { query: print(FollowThreadsDocument), variables: { filter } },
    {
      next({ data, errors }) {
        if (errors) broken.resolve(errors.map(({ extensions }) => extensions?.code as string | undefined));
        else hints.push(data!.threads);
      },
      error: (error) => broken.resolve([String(error)]),
      complete() {},
    },
  );
  await waitFor('the list to be followed', () => app.skein.counts().followers > before);
  return {
    hints,
    broken: broken.promise,
    until: (what, isIt, from = 0) => waitFor(what, () => hints.slice(from).find(isIt)),
    async leave() {
      await client.dispose();
      await waitFor('the list to be left', () => app.skein.counts().followers <= before);
    },
  };
}
