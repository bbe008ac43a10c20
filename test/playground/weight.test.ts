import { afterAll, beforeAll, expect, test } from 'vitest';
import { CreateAssistantDocument, CreateThreadDocument, StartRunDocument } from '../../src/generated/graphql/graphql.ts';
import { type HeldModel, openHeldModel } from '../events/held-model.ts';
import { openRows } from '../graph/rows.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { answers, inChromium, settled } from './browser.ts';
import { inWords, strainOf } from './long-tasks.ts';

const MESSAGES = 10_000;
const CHARACTERS = 50_000;
/**
 * Milliseconds of the processor for each page of older messages, and each piece of an answer. They take a third of it at
 * most, whatever the length: what grows with the length of all that is there is what this finds.
 */
const MOST = 150;
/** Messages of one page of older ones. */
const PAGE = 30;

/** Characters that a page is given at once, where it is to keep up. */
const PIECE_LENGTH = 500;

/** In the page: waits until its last answer has become longer. */
const grown = (shown: { length: number }): Promise<void> =>
  new Promise((resolve) => {
    const look = () => {
      const { length } = [...document.querySelectorAll('[aria-label="Assistant"]')].at(-1)!.textContent;
      if (length <= shown.length) return void requestAnimationFrame(look);
      shown.length = length;
      resolve();
    };
    look();
  });

inChromium('a great deal', (windows) => {
  let skein: TestSkein;
  let model: HeldModel;
  let assistantId: string;

  beforeAll(async () => {
    model = await openHeldModel();
    skein = await startSkein({ OPENAI_BASE_URL: model.url });
    const { createAssistant } = await skein.query(CreateAssistantDocument, { input: { name: 'Held', model: 'a' } });
    assistantId = createAssistant.assistant!.id;
  });
  afterAll(async () => {
    await skein?.close();
    await model?.close();
  });

  test(`a thread of ${MESSAGES} messages is scrolled through to its beginning`, { timeout: 180_000 }, async () => {
    const { createThread } = await skein.query(CreateThreadDocument, {
      input: {
        title: 'Long',
        messages: [
          { content: [{ text: 'message 0 is a question' }] },
          { role: 'ASSISTANT', content: [{ text: 'message 1 is **an answer**:\n\n- one\n- two\n\n```js\nconst number = 1;\n```' }] },
        ],
      },
    });
    const threadId = createThread.thread!.id;
    const rows = await openRows(skein);
    await rows.query(
      `with first as (select *, (role = 'ASSISTANT')::int as nth from message where thread_id = $1)
       insert into message (id, project_id, thread_id, position, role, status, content, attachments, metadata, created_at, completed_at)
       select 'msg_' || lpad((n * 2 + nth)::text, 26, '0'), project_id, thread_id, position + n * 2, role, status,
         replace(content::text, 'message ' || nth, 'message ' || n * 2 + nth)::jsonb, attachments, metadata, created_at, completed_at
       from first, generate_series(1, $2::int - 1) n`,
      [threadId, MESSAGES / 2],
    );
    await rows.close();

    const page = await windows.open({ url: skein.url, key: skein.key, hash: `#/threads/${threadId}` });
    await page.getByText(`message ${MESSAGES - 1} is`).waitFor();
    const nodes = () => page.evaluate(() => document.querySelectorAll('*').length);
    const before = await nodes();
    const done = await strainOf(page);
    const began = performance.now();
    let most = 0;
    // As with a wheel that is never let go of.
    const log = page.getByRole('log', { name: 'Conversation' });
    await log.hover();
    while (!(await page.getByText('message 0 is').isVisible())) {
      await page.mouse.wheel(0, -4000);
      most = Math.max(most, await nodes());
    }
    const took = performance.now() - began;
    const strain = await done();
    console.log(`${MESSAGES} messages, end to beginning in ${Math.round(took)} ms: ${inWords(strain)}; at most ${most} elements`);
    expect(most).toBeLessThan(before * 4);
    expect(most).toBeLessThan(3000);
    expect(strain.processor / (MESSAGES / PAGE)).toBeLessThan(MOST);

    // Nothing was lost on the way, and it goes down again as well.
    await page.getByRole('button', { name: 'To the newest' }).click();
    await page.getByText(`message ${MESSAGES - 1} is`).waitFor();
  });

  const PARAGRAPH = 'Lake Baikal lies in the south of Siberia, and is **older** than all others: see [its page](https://example.org/). ';
  const PIECE = `${PARAGRAPH.repeat(4)}\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n\`\`\`js\nconst answer = 42;\n\`\`\`\n\n`;

  test.for([
    { name: 'of many parts', text: PIECE.repeat(Math.ceil(CHARACTERS / PIECE.length)) },
    { name: 'of one paragraph', text: PARAGRAPH.repeat(Math.ceil(CHARACTERS / PARAGRAPH.length)) },
  ])(`an answer of ${CHARACTERS} characters $name streams in`, async ({ name, text }) => {
    const { startRun } = await skein.query(StartRunDocument, {
      input: { assistantId, thread: { messages: [{ content: [{ text: 'Tell me everything.' }] }] } },
    });
    const answer = await model.asked();
    answer.say('It begins. ');
    const page = await windows.open({ url: skein.url, key: skein.key, hash: `#/threads/${startRun.run!.thread.id}` });
    await answers(page).getByText('It begins.').waitFor();
    const shown = await page.evaluateHandle(() => ({ length: 0 }));
    const done = await strainOf(page);
    const began = performance.now();
    // Each piece once the one before can be seen: faster than any model, and none of them merge.
    for (let at = 0; at < text.length; at += PIECE_LENGTH) {
      answer.say(text.slice(at, at + PIECE_LENGTH));
      await page.evaluate(grown, shown);
    }
    answer.say('\n\nIt ends.');
    answer.end();
    await answers(page).getByText('It ends.').waitFor();
    await settled(page);
    const strain = await done();
    console.log(`${text.length} characters ${name} in ${Math.round(performance.now() - began)} ms: ${inWords(strain)}`);
    expect(strain.processor / (text.length / PIECE_LENGTH)).toBeLessThan(MOST);
  });
});
