import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ConversationDocument,
  CreateAssistantDocument,
  CreateThreadDocument,
  StartRunDocument,
} from '../../src/generated/graphql/graphql.ts';
import { testDatabase, type TestDatabase } from '../database.ts';
import { type Answer, type HeldModel, openHeldModel } from '../events/held-model.ts';
import { type SkeinProcess, startProcess } from '../server/skein-process.ts';
import { answers, composer, inChromium, say, settled, threadOf, type Window } from './browser.ts';
import { watchText } from './watch-text.ts';
import { connect, type Connection } from '../../src/client/connection.ts';

const KEY = 'sk-skein-of-the-recovery-test';
const WORDS = 'The lake lies in the south of Siberia and is older than all others of its kind by far'.split(/(?<= )/);
/** What a page says when its server is not there. */
const GONE = /net::ERR_|WebSocket connection to|Failed to load resource|Failed to fetch/;

inChromium('a page in the middle of a run', (windows) => {
  let database: TestDatabase;
  let model: HeldModel;
  let skein: SkeinProcess;
  let connection: Connection;
  let assistantId: string;

  const start = (environment: Record<string, string> = {}) =>
    startProcess(database, {
      OPENAI_BASE_URL: model.url,
      SKEIN_BOOTSTRAP_KEY: KEY,
      LEASE_SECONDS: '2',
      HEARTBEAT_SECONDS: '1',
      ...environment,
    });

  beforeAll(async () => {
    model = await openHeldModel();
    database = await testDatabase();
    skein = await start();
    connection = connect({ url: `${skein.url}/graphql`, token: KEY });
    const { createAssistant } = await connection.request(CreateAssistantDocument, { input: { name: 'Held', model: 'a' } });
    assistantId = createAssistant.assistant!.id;
  });
  afterAll(async () => {
    connection?.close();
    skein?.kill();
    await skein?.ended;
    await database?.dispose();
    await model?.close();
  });

  async function begin(page: Window): Promise<Answer> {
    const answer = model.asked();
    await say(page, 'Which lake is the oldest?');
    return answer;
  }
  const stored = async (page: Window) =>
    (await connection.request(ConversationDocument, { threadId: await threadOf(page) })).thread!.messages.nodes.at(-1)!.text;

  test('goes on where it was when it is loaded anew, and nothing is taken back', async () => {
    const page = await windows.open({ url: skein.url, key: KEY });
    const shown = await watchText(page);
    await page.reload();
    const answer = await begin(page);
    let said = '';
    for (const [at, word] of WORDS.entries()) {
      answer.say(word);
      said += word;
      // Some words come while the page is not there.
      if (at % 6 === 3) await page.reload();
      else if (at % 2) await shown.until((text) => text === said.trim());
    }
    await page.reload({ waitUntil: 'commit' });
    answer.say('.');
    answer.end();
    await shown.until((text) => text === `${said}.`);
    await settled(page);
    expect(shown.takenBack).toEqual([]);
    expect(shown.texts.length).toBeGreaterThan(5);
    expect(await stored(page)).toBe(`${said}.`);
    expect(await answers(page).count()).toBe(1);
  });

  test('agrees with another one of the same thread', async () => {
    const one = await windows.open({ url: skein.url, key: KEY });
    const answer = await begin(one);
    const threadId = await threadOf(one);
    const two = await windows.open({ url: skein.url, key: KEY, hash: `#/threads/${threadId}` });
    answer.say('It is ');
    for (const page of [one, two]) await answers(page).getByText('It is').waitFor();
    answer.say('Baikal.');
    answer.end();
    for (const page of [one, two]) await answers(page).getByText('It is Baikal.', { exact: true }).waitFor();

    const second = model.asked();
    await say(two, 'And the deepest?');
    for (const page of [one, two]) await page.getByRole('article', { name: 'You' }).getByText('And the deepest?').waitFor();
    (await second).say('The same.');
    for (const page of [one, two]) await answers(page).getByText('The same.', { exact: true }).waitFor();
    // What one cancels is cancelled in the other.
    await one.getByRole('button', { name: 'Cancel the run' }).click();
    for (const page of [one, two]) await page.getByRole('log').getByText('Cancelled', { exact: true }).waitFor();
    await settled(two);
    const texts = await Promise.all([one, two].map((page) => page.getByRole('article').allInnerTexts()));
    expect(texts[0]).toEqual(texts[1]);
  });

  test('is back at once when its network is', async () => {
    const page = await windows.open({ url: skein.url, key: KEY, forgive: GONE });
    const answer = await begin(page);
    answer.say('It is ');
    await answers(page).getByText('It is').waitFor();
    // What is sent meanwhile is not lost to the page: it reads on behind what it has.
    await page.context().setOffline(true);
    await page.evaluate(() => dispatchEvent(new Event('offline')));
    answer.say('Baikal');
    await page.context().setOffline(false);
    answer.say('.');
    answer.end();
    await answers(page).getByText('It is Baikal.', { exact: true }).waitFor();
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
  });

  test('recovers by itself when its server is killed and comes back', async () => {
    const { port } = new URL(skein.url);
    const page = await windows.open({ url: skein.url, key: KEY, forgive: GONE });
    const other = await windows.open({ url: skein.url, key: KEY, forgive: GONE });
    const lost = await begin(page);
    lost.say('A thing that ', 'nobody will ');
    await answers(page).getByText('A thing that nobody will').waitFor();
    const sign = page.getByRole('status').filter({ hasText: /Live|Reconnecting|Connecting/ });

    skein.kill('SIGKILL');
    await skein.ended;
    await sign.filter({ hasText: 'Reconnecting' }).waitFor();
    // What was seen stays to be read, and what is written stays in its field.
    await answers(page).getByText('A thing that nobody will').waitFor();
    await composer(page).fill('And the next question');

    skein = await start({ PORT: port });
    const again = await model.asked();
    again.say('Lake ', 'Baikal.');
    await answers(page).getByText('Lake Baikal.', { exact: true }).waitFor();
    again.end();
    await settled(page);
    await sign.filter({ hasText: 'Live' }).waitFor();
    expect(await answers(page).count()).toBe(1);
    expect(await stored(page)).toBe('Lake Baikal.');
    expect(await composer(page).inputValue()).toBe('And the next question');

    // The list has found its way back as well.
    const { createThread } = await connection.request(CreateThreadDocument, { input: { title: 'Made after the kill' } });
    await other.getByRole('link', { name: 'Made after the kill' }).waitFor();
    await connection.request(StartRunDocument, { input: { assistantId, threadId: createThread.thread!.id } });
    const last = await model.asked();
    last.say('Yes.');
    last.end();
  });
});
