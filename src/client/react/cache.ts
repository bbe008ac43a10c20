import type { Exchange } from '@urql/core';
import { cacheExchange, type Cache, type KeyingConfig } from '@urql/exchange-graphcache';
import { POSSIBLE_TYPES } from '../possible-types.ts';

const NODES = new Set(POSSIBLE_TYPES.Node);

/** An object that belongs to what it was read with, unless it has an id. */
const idOrNone: KeyingConfig[string] = ({ id }) => (typeof id === 'string' ? id : null);

/**
 * Every object with an id is one entity, wherever it was read. Of a node, every document has to read the id: without it
 * the answer takes the place of that of other documents, and they of its own. The cache's own way with a type that is
 * not named here is to take its id, and to warn in a development build where that was not read.
 */
const keys = new Proxy<KeyingConfig>({}, { get: (_none, typename: string) => (NODES.has(typename) ? undefined : idOrNone) });

interface List {
  field: string;
  /** What it is a list of, where that is not the project: its type, and the field of the input that names it. */
  of?: { typename: string; named: string };
}

/** Lists whose members a mutation may change, by the mutation: they are read anew where they are shown. */
const LISTS: Record<string, List> = {
  createAssistant: { field: 'assistants' },
  createVectorStore: { field: 'vectorStores' },
  uploadFile: { field: 'files' },
  addVectorStoreFiles: { field: 'files', of: { typename: 'VectorStore', named: 'vectorStoreId' } },
};

/** What is deleted, by the mutation: it goes out of every list at once. */
const DELETED: Record<string, string> = {
  deleteAssistant: 'Assistant',
  deleteThread: 'Thread',
  deleteMessage: 'Message',
  deleteFile: 'File',
  deleteVectorStore: 'VectorStore',
  removeVectorStoreFile: 'VectorStoreFile',
};

type Update = (result: Record<string, unknown>, args: unknown, cache: Cache) => void;

const renewList =
  ({ field, of }: List): Update =>
  (_result, args, cache) => {
    const { input } = args as { input: Record<string, string> };
    const owner = of ? cache.keyOfEntity({ __typename: of.typename, id: input[of.named]! }) : 'Query';
    for (const { fieldName, fieldKey } of cache.inspectFields(owner)) {
      if (fieldName === field) cache.invalidate(owner, fieldKey);
    }
  };

const dropEntity =
  (mutation: string, __typename: string): Update =>
  (result, _args, cache) => {
    const payload = result[mutation] as { deletedId?: string | null } | null;
    if (payload?.deletedId) cache.invalidate({ __typename, id: payload.deletedId });
  };

/**
 * What the cache has to say in a development build. When it writes, it looks for the fields of every fragment in every
 * object, those of other types too, unless it has the whole schema; that they are not there is nothing to be told.
 */
function complain(severity: 'debug' | 'error' | 'warn', message: string): void {
  if (!message.startsWith('Invalid undefined:')) console[severity](message);
}

/** urql's normalised cache, told of Skein's graph. Events that are followed pass through it too. */
export function skeinCache(): Exchange {
  const updates: Record<string, Update> = {};
  for (const [mutation, list] of Object.entries(LISTS)) updates[mutation] = renewList(list);
  for (const [mutation, typename] of Object.entries(DELETED)) updates[mutation] = dropEntity(mutation, typename);
  return cacheExchange({ keys, possibleTypes: POSSIBLE_TYPES, updates: { Mutation: updates }, logger: complain });
}
