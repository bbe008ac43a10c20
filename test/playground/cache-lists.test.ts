import { Client, fetchExchange } from '@urql/core';
import { pipe, subscribe } from 'wonka';
import { expect, test } from 'vitest';
import { AddVectorStoreFilesDocument, VectorStoreDocument } from '../../src/generated/graphql/graphql.ts';
import { skeinCache } from '../../src/client/react/cache.ts';

const storeOf = (id: string) => ({
  __typename: 'VectorStore',
  id,
  name: null,
  status: 'COMPLETED',
  fileCounts: { __typename: 'FileCounts', inProgress: 0, completed: 0, failed: 0, cancelled: 0, total: 0 },
  usageBytes: 0,
  embeddingModel: null,
  metadata: {},
  expiresAfterDays: null,
  createdAt: '2026-11-23T12:00:00.000Z',
  lastActiveAt: null,
  expiresAt: null,
});
const NO_FILES = { __typename: 'VectorStoreFileConnection', nodes: [], pageInfo: { __typename: 'PageInfo', hasNextPage: false, endCursor: null } };

/** A server that answers for stores, and writes down which was asked for. */
function stand() {
  const asked: string[] = [];
  const answer = (body: { operationName: string; variables: { id: string; input: { vectorStoreId: string } } }) => {
    const { operationName, variables } = body;
    if (operationName === 'VectorStore') {
      asked.push(variables.id);
      return { vectorStore: { ...storeOf(variables.id), files: NO_FILES } };
    }
    const batch = { __typename: 'VectorStoreFileBatch', id: 'vsfb_1', status: 'IN_PROGRESS', vectorStore: storeOf(variables.input.vectorStoreId) };
    return { addVectorStoreFiles: { __typename: 'AddVectorStoreFilesPayload', batch, userErrors: [] } };
  };
  const client = new Client({
    url: 'http://127.0.0.1/graphql',
    preferGetMethod: false,
    exchanges: [skeinCache(), fetchExchange],
    fetch: (_url, init) => Promise.resolve(Response.json({ data: answer(JSON.parse(String(init?.body)) as never) })),
  });
  return { client, asked };
}

test('files that are added to a store renew the list of that store, and of no other', async () => {
  const { client, asked } = stand();
  const lists = ['vs_1', 'vs_2'].map((id) => pipe(client.query(VectorStoreDocument, { id }), subscribe(() => {})));
  await expect.poll(() => asked).toEqual(['vs_1', 'vs_2']);
  // Both have come, and are taken from the cache from now on.
  await client.query(VectorStoreDocument, { id: 'vs_2' });
  await client.mutation(AddVectorStoreFilesDocument, { input: { vectorStoreId: 'vs_1', files: [{ fileId: 'file_1' }] } });
  await expect.poll(() => asked).toEqual(['vs_1', 'vs_2', 'vs_1']);
  const other = await client.query(VectorStoreDocument, { id: 'vs_2' }, { requestPolicy: 'cache-only' });
  expect(other.data?.vectorStore?.files.nodes).toEqual([]);
  for (const { unsubscribe } of lists) unsubscribe();
});
