import type { Db } from '../db/db.ts';
import type { Rooms } from '../graphql/context.ts';
import { createHints } from '../graphql/hints.ts';
import { moveOf, readListed } from '../threads/thread-list.ts';
import { readStoreView } from '../vector-stores/store-rows.ts';
import type { Wake } from '../work/wake.ts';

const LOOK_EVERY_MS = 2000;

/** What subscriptions to hints follow. */
export function hints({ db, wake }: { db: Db; wake: Wake }): Pick<Rooms, 'threadHints' | 'storeHints'> {
  return {
    threadHints: createHints({
      listen: (heard, missed) =>
        wake.on(
          'threads',
          (subject) => {
            const { projectId, threadId, changed } = moveOf(subject);
            heard({ scope: projectId, id: threadId, changed });
          },
          missed,
        ),
      read: (projectId, ids, filters) => readListed(db, projectId, ids, filters),
      afterMissed: () => null,
    }),
    storeHints: createHints({
      listen: (heard, missed) => wake.on('stores', (id) => heard({ scope: id, id, changed: true }), missed),
      async read(id) {
        const store = await readStoreView(db, id);
        return new Map(store ? [[id, { row: store, fits: [0] }]] : []);
      },
      afterMissed: (id) => [id],
      // Files are deleted and expire without a word to the stores that they are in.
      lookEveryMs: LOOK_EVERY_MS,
    }),
  };
}
