import { expect, onTestFinished, test } from 'vitest';
import { openRows } from '../graph/rows.ts';
import { answerWith, openEmbeddingServer, vectorsFor } from '../llm/embedding-server.ts';
import type { Exchange } from '../llm/model-server.ts';
import { startSkein } from '../skein.ts';
import { createShelf } from './shelf.ts';

test('a claim passes over a file that the process has in hand, though its lease is over', async () => {
  const model = await openEmbeddingServer();
  onTestFinished(() => model.close());
  const settings = { LEASE_SECONDS: '60', HEARTBEAT_SECONDS: '20', INGEST_CONCURRENCY: '2' };
  const app = await startSkein({ OPENAI_BASE_URL: model.url, EMBEDDING_MODEL: 'embed', ...settings });
  onTestFinished(() => app.close());
  const shelf = createShelf(app);
  const rows = await openRows(app);
  onTestFinished(() => rows.close());
  const comes = () => {
    const asked = Promise.withResolvers<Exchange>();
    model.scenes.push(asked.resolve);
    return asked.promise;
  };
  const answer = (exchange: Exchange) => answerWith(vectorsFor(exchange.body.input as string[], ['llama', 'goat']))(exchange);

  const [first, second, third] = [comes(), comes(), comes()];
  const id = await shelf.store();
  const add = async (name: string, text: string) => {
    const fileId = await shelf.upload(name, text);
    await shelf.add(id, [{ fileId }]);
    return fileId;
  };
  const llama = await add('llama.md', 'Llamas hum.');
  const held = await first;
  await add('goat.md', 'Goats climb.');
  const other = await second;
  // Both places are taken: the next one waits to be claimed, and the first would come before it.
  await add('zebra.md', 'Zebras run.');
  const sql = `update vector_store_file set lease_until = now() - interval '1 second' where file_id = $1 and owner is not null returning id`;
  expect(await rows.query(sql, [llama])).toHaveLength(1);
  answer(other);
  answer(await third);
  answer(held);
  expect(await shelf.settled(id)).toMatchObject({ fileCounts: { completed: 3, failed: 0 } });
  expect(model.asked).toEqual([['Llamas hum.'], ['Goats climb.'], ['Zebras run.']]);
  expect(await rows.query('select epoch, lost from vector_store_file where file_id = $1', [llama])).toEqual([{ epoch: 1, lost: 0 }]);
});
