import type { Noun } from '../ids.ts';
import { nounOf } from '../ids.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';
import { RequestError } from './errors.ts';
import { type Batch, PAGE_MAX } from './load.ts';

const nodes = new Map<Noun, Batch<string, { id: string } | null>>();

/** Makes a noun reachable by its id. */
export function defineNode(noun: Noun, batch: Batch<string, { id: string } | null>): void {
  nodes.set(noun, batch);
}

/** Any object that the caller sees. */
export function findNode(id: string, { load }: Context): Promise<{ id: string } | null> | null {
  const noun = nounOf(id);
  const batch = noun && nodes.get(noun);
  return batch ? load.one(batch, id) : null;
}

builder.queryField('node', (t) =>
  t.field({
    type: builder.nodeInterfaceRef(),
    nullable: true,
    description: 'The object with this id, or null when this key can see none.',
    args: { id: t.arg.id({ required: true, description: 'Global id of any object.' }) },
    resolve: (_root, { id }, context) => findNode(id, context) as never,
  }),
);

builder.queryField('nodes', (t) =>
  t.field({
    type: [builder.nodeInterfaceRef()],
    nullable: { list: false, items: true },
    description: `Objects by their ids, in the order of the ids; null where this key can see none. At most ${PAGE_MAX}.`,
    complexity: ({ ids }) => ({ field: 1, multiplier: ids.length }),
    args: { ids: t.arg.idList({ required: true, description: `Global ids of any objects, at most ${PAGE_MAX}.` }) },
    resolve: (_root, { ids }, context) => {
      if (ids.length > PAGE_MAX)
        throw new RequestError('INVALID_INPUT', `At most ${PAGE_MAX} ids; there are ${ids.length}.`);
      return Promise.all(ids.map((id) => findNode(id, context))) as never;
    },
  }),
);
