import type { ObjectRef } from '@pothos/core';
import { builder, type Types } from './builder.ts';
import { type List, type Page, PAGE_DEFAULT, PAGE_MAX, type PageArgs } from './load.ts';

export const OrderDirection = builder.enumType('OrderDirection', {
  description: 'Which end of a list comes first.',
  values: { ASC: { description: 'Oldest first.' }, DESC: { description: 'Newest first.' } } as const,
});

/** By the name of the node type, which says what the page is of. */
const made = new Map<string, unknown>();

/** The one connection type of a node type: `XConnection` with `edges`, `nodes` and `pageInfo`. */
export function connectionOf<Row extends object>(
  name: string,
  Node: ObjectRef<Types, Row>,
): ObjectRef<Types, Page<Row>> {
  const known = made.get(name);
  if (known) return known as ObjectRef<Types, Page<Row>>;
  const Edge = builder.objectRef<{ cursor: string; node: Row }>(`${name}Edge`).implement({
    description: `One ${name} at its place in a list.`,
    fields: (t) => ({
      cursor: t.exposeString('cursor', { description: 'Opaque place in the list, for `after` and `before`.' }),
      node: t.field({ type: Node, description: `The ${name}.`, resolve: ({ node }) => node as never }),
    }),
  });
  const Connection = builder.objectRef<Page<Row>>(`${name}Connection`).implement({
    description: `A page of a list of ${name} objects. Keyset cursors: inserts and deletes do not shift it.`,
    fields: (t) => ({
      edges: t.field({
        type: [Edge],
        complexity: { field: 0, multiplier: 1 },
        description: 'The page with a cursor for each object.',
        resolve: ({ edges }) => edges,
      }),
      nodes: t.field({
        type: [Node],
        complexity: { field: 0, multiplier: 1 },
        description: 'The page without cursors.',
        resolve: ({ nodes }) => nodes as never,
      }),
      pageInfo: t.field({
        type: builder.pageInfoRef(),
        description: 'Where the page stands.',
        resolve: ({ pageInfo }) => pageInfo as never,
      }),
    }),
  });
  made.set(name, Connection);
  return Connection;
}

type Args = Parameters<Parameters<typeof builder.queryField>[1]>[0]['arg'];

/** The arguments of every connection field. */
export const pageArgs = (arg: Args, order: 'ASC' | 'DESC' = 'DESC') => ({
  first: arg.int({
    description: `How many from the start of the list, 0 to ${PAGE_MAX}; ${PAGE_DEFAULT} when neither \`first\` nor \`last\` is given.`,
  }),
  after: arg.string({ description: 'Only what stands behind this cursor. Goes with `first`.' }),
  last: arg.int({ description: `How many from the end of the list, 0 to ${PAGE_MAX}.` }),
  before: arg.string({ description: 'Only what stands before this cursor. Goes with `last`.' }),
  order: arg({ type: OrderDirection, defaultValue: order, description: 'The order of the list.' }),
});

/** Cost of a connection field: what is asked of a node, for every node of the page. */
export const pageCost = ({ first, last }: PageArgs) => ({
  field: 1,
  multiplier: Math.max(1, Math.min(first ?? last ?? PAGE_DEFAULT, PAGE_MAX)),
});

export type { List, PageArgs };
