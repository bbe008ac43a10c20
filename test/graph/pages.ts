import { expect } from 'vitest';
import type { TestSkein } from '../skein.ts';

export interface Page {
  edges: { cursor: string; node: { id: string } }[];
  nodes: { id: string }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}
export type Order = 'ASC' | 'DESC';

const PAGE =
  '{ edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }';

/** One list of the graph under one key: `threads`, or `messages` of the node with an id. */
export interface Reader {
  page(args: Record<string, unknown>): Promise<Page>;
  /** All ids, page by page from the list's start, or from its end. */
  walk(size: number, order: Order, backward: boolean): Promise<string[]>;
}

export function createReader(
  skein: TestSkein,
  key: string,
  field: string,
  parent?: { type: string; id: string },
): Reader {
  async function page(args: Record<string, unknown>): Promise<Page> {
    const passed = Object.entries(args).map(([name, value]) => `${name}: ${written(value)}`);
    const list = `list: ${field}${passed.length > 0 ? `(${passed.join(', ')})` : ''} ${PAGE}`;
    const query = parent ? `{ node(id: "${parent.id}") { ... on ${parent.type} { ${list} } } }` : `{ ${list} }`;
    const { data, errors } = await skein.raw(query, {}, key);
    expect(errors).toBeUndefined();
    const found = (parent ? (data!.node as { list: Page }) : (data as unknown as { list: Page })).list;
    expect(found.edges.map(({ node }) => node)).toEqual(found.nodes);
    expect(found.pageInfo.startCursor).toBe(found.edges[0]?.cursor ?? null);
    expect(found.pageInfo.endCursor).toBe(found.edges.at(-1)?.cursor ?? null);
    return found;
  }
  return {
    page,
    async walk(size, order, backward) {
      const ids: string[] = [];
      for (let cursor: string | null = null; ;) {
        const { nodes, pageInfo }: Page = await page({
          order,
          ...(backward
            ? { last: size, ...(cursor ? { before: cursor } : {}) }
            : { first: size, ...(cursor ? { after: cursor } : {}) }),
        });
        const more = backward ? pageInfo.hasPreviousPage : pageInfo.hasNextPage;
        expect(backward ? pageInfo.hasNextPage : pageInfo.hasPreviousPage).toBe(cursor !== null);
        if (more) expect(nodes).toHaveLength(size);
        const found = nodes.map(({ id }) => id);
        if (backward) ids.unshift(...found);
        else ids.push(...found);
        cursor = backward ? pageInfo.startCursor : pageInfo.endCursor;
        if (!more) return ids;
      }
    },
  };
}

/** A value as GraphQL writes it: names of enum values stand bare. */
function written(value: unknown): string {
  if (typeof value === 'string') return /^[A-Z_]+$/.test(value) ? value : JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  return `{ ${Object.entries(value)
    .map(([name, item]) => `${name}: ${written(item)}`)
    .join(', ')} }`;
}
