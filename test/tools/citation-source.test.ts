import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CitationSourcesDocument,
  type CitationSourcesQuery,
  DeleteFileDocument,
  DeleteVectorStoreDocument,
  RemoveVectorStoreFileDocument,
} from '../../src/generated/graphql/graphql.ts';
import { calls, openStage, says, type Stage } from '../engine/stage.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { createShelf, type Shelf } from '../vector-stores/shelf.ts';

/** Of several pieces as they are stored, with pairs of UTF-16 units all over. */
const LONG = Array.from(
  { length: 4000 },
  (_, i) => `## Section ${i} 🦙\n\nThe llama number ${i} weighs ${i + 100} kilograms and likes 🍎🍏.\n`,
).join('\n');

let stage: Stage;
let shelf: Shelf;
let rows: Rows;
beforeAll(async () => {
  stage = await openStage();
  shelf = createShelf(stage.app);
  rows = await openRows(stage.app);
}, 60_000);
afterAll(async () => {
  await rows?.close();
  await stage?.close();
});

type Part = Extract<CitationSourcesQuery['node'], { content: unknown }>['content'][number];
type Citation = Extract<
  Extract<Part, { __typename: 'TextContent' }>['annotations'][number],
  { __typename: 'FileCitation' }
>;

/** Asks a question of a store and has the answer cite what was found. Returns the id of the message. */
async function cite(storeId: string, query: string, answer: string): Promise<string> {
  const assistantId = await stage.createAssistant({
    tools: [{ fileSearch: {} }],
    toolResources: { fileSearch: { vectorStoreIds: [storeId] } },
  });
  stage.scenes.push(calls([{ name: 'file_search', arguments: JSON.stringify({ query }) }]), says(answer));
  const run = await stage.perform({ assistantId });
  expect(run.status).toBe('COMPLETED');
  return run.messages.nodes.at(-1)!.id;
}

async function citationsOf(messageId: string, around: { before?: number; after?: number } = {}): Promise<Citation[]> {
  const { node } = await stage.app.query(CitationSourcesDocument, { messageId, ...around });
  if (!node || !('content' in node)) throw new Error(`${messageId} is no message`);
  return node.content.flatMap((part) =>
    part.__typename === 'TextContent' ? part.annotations.filter((each) => each.__typename === 'FileCitation') : [],
  );
}

describe('a citation', () => {
  test('opens at its quote, with as much around it as is asked for', async () => {
    const storeId = await shelf.storeOf({ 'llamas.md': LONG });
    const [file] = (await shelf.state(storeId)).files.nodes;
    const messageId = await cite(storeId, 'llama number 2345', 'The llama number 2345 weighs 2445 kilograms.【0:0†l】');
    for (const [before, after] of [
      [0, 0],
      [500, 500],
      [7, 13],
      [49_000, 49_000],
    ] as const) {
      const [citation] = await citationsOf(messageId, { before, after });
      const { quote, location, source } = citation!;
      const { text, quoteIndex, startIndex, endIndex } = source!;
      expect(quote).toContain('The llama number 2345');
      expect(text.slice(quoteIndex, quoteIndex + quote.length)).toBe(quote);
      expect([startIndex + quoteIndex, endIndex - startIndex]).toEqual([location!.startIndex, text.length]);
      expect(text.isWellFormed()).toBe(true);
      expect(text).not.toContain('�');
      // Half a pair at an end is left out.
      expect(quoteIndex).toBeGreaterThanOrEqual(before - 1);
      expect(quoteIndex).toBeLessThanOrEqual(before);
      expect(text.length - quoteIndex - quote.length).toBeGreaterThanOrEqual(after - 1);
      expect(await shelf.text(file!.id, startIndex, endIndex)).toBe(text);
    }
    const { data } = await stage.app.raw(
      `{ node(id: "${messageId}") { ... on Message { run { steps { nodes { details { ... on ToolCallsDetails { toolCalls {
  ... on FileSearchToolCall { results { text location { startIndex } source(before: 20) { text quoteIndex startIndex } } } } } } } } } } } }`,
    );
    const { results } = (data as any).node.run.steps.nodes[0].details.toolCalls[0];
    expect(results.length).toBeGreaterThan(0);
    for (const { text, location, source } of results) {
      expect(source.text.slice(source.quoteIndex, source.quoteIndex + text.length)).toBe(text);
      expect(source.startIndex + source.quoteIndex).toBe(location.startIndex);
    }
  });

  test('at the beginning and the end of a file has no more around it than there is', async () => {
    const storeId = await shelf.storeOf({ 'goats.md': 'Goats climb argan trees in Morocco and eat the fruit.' });
    const [citation] = await citationsOf(await cite(storeId, 'goats', 'Goats climb argan trees.【0:0†g】'));
    expect(citation!.source).toMatchObject({ startIndex: 0, endIndex: 53, quoteIndex: 0 });
    expect(citation!.file).toMatchObject({ filename: 'goats.md' });
  });

  test('is open for as long as any store has the file, and null once none has', async () => {
    const fileId = await shelf.upload('camels.md', 'Camels store fat in their humps, not water, and cross deserts.');
    const [first, second] = [await shelf.store({ fileIds: [fileId] }), await shelf.store({ fileIds: [fileId] })];
    const messageId = await cite(first, 'camels', 'Camels store fat in their humps.【0:0†c】');
    const source = async () => (await citationsOf(messageId))[0]!.source?.text ?? null;
    const whole = await source();
    expect(whole).toContain('Camels store fat');
    const vectorStoreFileId = (await shelf.file(first, fileId)).id;
    await stage.app.query(RemoveVectorStoreFileDocument, { input: { vectorStoreFileId } });
    expect(await source()).toBe(whole);
    await stage.app.query(DeleteVectorStoreDocument, { input: { vectorStoreId: second } });
    expect(await source()).toBeNull();
    // Its own words are kept with the message; the file can be read in anew, and opens again.
    expect((await citationsOf(messageId))[0]).toMatchObject({ file: { filename: 'camels.md' } });
    await shelf.store({ fileIds: [fileId] });
    expect(await source()).toBe(whole);
    await stage.app.query(DeleteFileDocument, { input: { fileId } });
    expect((await citationsOf(messageId))[0]).toMatchObject({ file: null, source: null, fileId });
  });

  test('is null where other words stand at its place, and the store that has its own is found', async () => {
    const text = 'Yaks live on the high plateau and give rich milk to herders.';
    const fileId = await shelf.upload('yaks.md', text);
    const stores = [await shelf.store({ fileIds: [fileId] }), await shelf.store({ fileIds: [fileId] })];
    const messageId = await cite(stores[0]!, 'yaks', 'Yaks live on the high plateau.【0:0†y】');
    const reread = async (storeId: string, words: string) =>
      rows.query('update extracted_text set text = $2 where vector_store_file_id = $1', [
        (await shelf.file(storeId, fileId)).id,
        words,
      ]);
    // As another version of this server might have read it, in the newer store.
    await reread(stores[1]!, `\n\n${text}`);
    const source = async () => (await citationsOf(messageId))[0]!.source;
    expect(await source()).toBeNull();
    await reread(stores[1]!, 'Yaks are something else altogether, and this text has other words in it.');
    expect((await source())!.text).toContain('Yaks live');
    await reread(stores[0]!, 'Nothing of it.');
    expect(await source()).toBeNull();
    // Every citation of the suite is looked up in the end, and this one is to be found.
    await reread(stores[0]!, text);
    expect((await source())!.text).toBe(text);
  });

  test('with too much around it is refused', async () => {
    const storeId = await shelf.storeOf({ 'elk.md': 'Elk swim well and shed their antlers every winter of their lives.' });
    const messageId = await cite(storeId, 'elk', 'Elk swim well.【0:0†e】');
    for (const around of [{ before: -1 }, { after: 50_001 }]) {
      const { errors } = await stage.app.raw(CitationSourcesDocument, { messageId, ...around });
      expect(JSON.stringify(errors)).toMatch(/must be 0 to 50000/);
    }
  });
});
