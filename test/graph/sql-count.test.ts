import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { graphql } from '../../src/generated/tests/gql.ts';
import {
  CitationSourcesDocument,
  CreateClientTokenDocument,
  UpdateThreadDocument,
} from '../../src/generated/graphql/graphql.ts';
import { calls, live, openStage, says, type LiveScene, type Stage, WEATHER } from '../engine/stage.ts';
import { delta } from '../llm/model-server.ts';
import { createShelf } from '../vector-stores/shelf.ts';
import { type ThreadsWatch, watchThreads } from '../threads/watch-threads.ts';

const Deep = graphql(`
  query DeepThread($id: ID!, $first: Int!) {
    thread(id: $id) {
      ...DeepParts
    }
  }
  fragment DeepParts on Thread {
    id
    messages(first: $first, order: ASC) {
      nodes {
        id
        text
        content {
          __typename
        }
        run {
          id
          status
          usage {
            totalTokens
          }
          steps(first: 10) {
            nodes {
              id
              usage {
                totalTokens
              }
              details {
                ... on MessageCreationDetails {
                  messageId
                  message {
                    id
                    text
                  }
                }
                ... on ToolCallsDetails {
                  toolCalls {
                    id
                    status
                    ... on FunctionToolCall {
                      name
                      arguments
                      output
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
  }
`);

const DeepList = graphql(`
  query DeepThreads($threads: Int!, $first: Int!) {
    threads(first: $threads) {
      nodes {
        ...DeepParts
      }
    }
  }
`);

const Aliases = graphql(`
  query TwoPages($id: ID!) {
    thread(id: $id) {
      oldest: messages(first: 2, order: ASC) {
        nodes {
          id
          run {
            id
          }
        }
      }
      newest: messages(first: 3, order: DESC) {
        nodes {
          id
          run {
            id
          }
        }
      }
    }
  }
`);

interface Counted {
  text: string;
  rows: number;
}

/** Statements that went through the driver while `counting`, raw ones and Prisma's included. */
let counting: Counted[] | null = null;
const original = pg.Client.prototype.query;
pg.Client.prototype.query = function count(this: pg.Client, ...args: unknown[]): unknown {
  const into = counting;
  const answer = (original as (...args: unknown[]) => unknown).apply(this, args);
  if (!into) return answer;
  const [config] = args;
  const entry: Counted = {
    text: typeof config === 'string' ? config : String((config as { text?: string }).text),
    rows: 0,
  };
  into.push(entry);
  void Promise.resolve(answer as Promise<{ rows?: unknown[] }>).then(
    (result) => (entry.rows = result?.rows?.length ?? 0),
    () => {},
  );
  return answer;
} as never;

// The worker's and the tail's own business, which goes on beside the query; and whose key it is, which is read again every
// other second, so that it falls into one query or into the next.
const BACKGROUND = /from api_key|lease_until|pg_notify|expires_at < now\(\)|unnest\(\$1::text\[\]\) t\(id\)|^(begin|commit)$/i;

async function counted<Result>(
  work: () => Promise<Result>,
): Promise<{ result: Result; statements: number; rows: number; texts: string[] }> {
  const all: Counted[] = [];
  counting = all;
  try {
    const result = await work();
    const own = all.filter(({ text }) => !BACKGROUND.test(text));
    return {
      result,
      statements: own.length,
      rows: own.reduce((sum, { rows }) => sum + rows, 0),
      texts: own.map(({ text }) => text),
    };
  } finally {
    counting = null;
  }
}

let stage: Stage;
let assistantId: string;
beforeAll(async () => {
  stage = await openStage();
  assistantId = await stage.createAssistant({ tools: [WEATHER] });
});
afterAll(async () => {
  await stage.close();
  pg.Client.prototype.query = original;
});
afterEach(() => {
  stage.scenes.length = 0;
});

/** A thread with runs that call a function and answer, of three messages each. */
async function conversation(runs: number): Promise<string> {
  const threadId = await stage.createThread();
  for (let i = 0; i < runs; i++) {
    stage.scenes.push(calls([{ arguments: '{}' }], { text: 'I look.' }), says(['It ', 'rains']));
    const { runId } = await stage.start({
      assistantId,
      threadId,
      additionalMessages: [{ content: [{ text: `Weather ${i}?` }] }],
    });
    const { requiredAction } = await stage.rest(runId);
    await stage.submit(runId, { [requiredAction!.toolCalls[0]!.id]: 'rain' });
    await stage.follow(runId);
  }
  return threadId;
}

async function stillWriting(threadId: string): Promise<{ live: LiveScene; runId: string }> {
  const scene = live();
  stage.scenes.push(scene.scene);
  const { runId } = await stage.start({ assistantId, threadId });
  (await scene.asked).send(delta({ content: 'It may' }));
  await stage.follow(runId, (event) => event.__typename === 'MessageDelta');
  return { live: scene, runId };
}

describe('a whole conversation', () => {
  test(
    'costs the same statements for 1, 20 and 100 messages, and rows as many as are asked for',
    { timeout: 60_000 },
    async () => {
      const threadId = await conversation(34);
      await stage.app.query(Deep, { id: threadId, first: 1 });
      const costs = [];
      for (const first of [1, 20, 100]) {
        const { result, statements, rows } = await counted(() => stage.app.query(Deep, { id: threadId, first }));
        const { nodes } = result.thread!.messages;
        expect(nodes).toHaveLength(first);
        const runs = new Map(nodes.flatMap(({ run }) => (run ? [[run.id, run]] : [])));
        const steps = [...runs.values()].flatMap((run) => run.steps.nodes);
        for (const run of runs.values()) expect(run.steps.nodes).toHaveLength(3);
        // The thread, a page and one message more, each run and its steps once, and the messages that the steps lead to.
        const reached =
          1 + (first + 1) + runs.size + steps.length + steps.filter(({ details }) => 'messageId' in details).length;
        expect(rows).toBeLessThanOrEqual(reached + 2);
        costs.push(statements);
      }
      expect(costs[0]).toBeLessThanOrEqual(costs[1]!); // a user's message alone reaches no run
      expect(costs[1]).toBe(costs[2]);
      expect(costs[2]).toBeLessThanOrEqual(8);
    },
  );

  test('costs the same with a message that is being written, and one more to read that', async () => {
    const threadId = await conversation(2);
    const done = await counted(() => stage.app.query(Deep, { id: threadId, first: 100 }));
    const { live, runId } = await stillWriting(threadId);
    const writing = await counted(() => stage.app.query(Deep, { id: threadId, first: 100 }));
    expect(writing.result.thread!.messages.nodes.at(-1)!.text).toBe('It may');
    expect(writing.statements - done.statements).toBeLessThanOrEqual(2);
    await stage.cancel(runId);
    await live.gone;
    await stage.follow(runId);
  });

  test('costs the same for 1 and for 20 threads', { timeout: 60_000 }, async () => {
    for (let i = 0; i < 20; i++) await conversation(1);
    await stage.app.query(DeepList, { threads: 1, first: 5 });
    const [one, twenty] = [
      await counted(() => stage.app.query(DeepList, { threads: 1, first: 5 })),
      await counted(() => stage.app.query(DeepList, { threads: 20, first: 5 })),
    ];
    expect(twenty.result.threads.nodes).toHaveLength(20);
    for (const { messages } of twenty.result.threads.nodes) expect(messages.nodes).toHaveLength(3);
    expect(twenty.statements).toBe(one.statements);
    // One page of threads; three messages, a run, three steps and two messages of steps each.
    expect(twenty.rows).toBeLessThanOrEqual(21 + 20 * (3 + 1 + 3 + 2) + 2);
  });

  test('costs the same statements with a client token', async () => {
    const threadId = await conversation(3);
    const { createClientToken } = await stage.app.query(CreateClientTokenDocument, {
      input: { threadIds: [threadId], scopes: ['READ'] },
    });
    const as = (key: string) => counted(() => stage.app.query(Deep, { id: threadId, first: 100 }, key));
    const { token } = createClientToken;
    for (const key of [stage.app.key, token!]) await as(key); // both are believed for a while
    const [key, client] = [await as(stage.app.key), await as(token!)];
    expect(client.result).toEqual(key.result);
    expect([client.statements, client.rows]).toEqual([key.statements, key.rows]);
  });

  test('asked for twice with different pages costs one statement for each page, and their runs one', async () => {
    const threadId = await conversation(5);
    await stage.app.query(Aliases, { id: threadId });
    const { result, statements, rows, texts } = await counted(() => stage.app.query(Aliases, { id: threadId }));
    expect(result.thread!.oldest.nodes).toHaveLength(2);
    expect(result.thread!.newest.nodes).toHaveLength(3);
    expect(texts.filter((text) => / from message t/.test(text))).toHaveLength(2);
    expect(statements).toBeLessThanOrEqual(6);
    expect(rows).toBeLessThanOrEqual(1 + 3 + 4 + 2 + 2);
  });
});

describe('a list that is followed', () => {
  test('is read once for all who follow it, whatever they narrow it to', async () => {
    const threadId = await conversation(1);
    const costs = [];
    for (const followers of [1, 30]) {
      const lists: ThreadsWatch[] = [];
      for (let i = 0; i < followers; i++) {
        lists.push(await watchThreads(stage.app, i % 2 ? { search: `title ${i % 5}` } : undefined));
      }
      const title = `title of ${followers}`;
      const { statements, texts } = await counted(async () => {
        await stage.app.query(UpdateThreadDocument, { input: { threadId, title } });
        for (const list of lists) await list.until('the change', (hint) => hint.threadId === threadId);
      });
      expect(texts.filter((text) => /as fits/.test(text))).toHaveLength(1);
      costs.push(statements);
      for (const list of lists.toReversed()) await list.leave();
    }
    expect(costs[1]).toBe(costs[0]);
  });
});

describe('citations', () => {
  test('are opened with the same statements, one or many, and what stands in one piece is read once', async () => {
    const shelf = createShelf(stage.app);
    const lines = Array.from({ length: 40 }, (_, i) => `## Beast ${i}\n\nThe beast number ${i} weighs ${i + 100} kilograms.\n`);
    const storeId = await shelf.storeOf({ 'one.md': lines.join('\n'), 'two.md': lines.toReversed().join('\n') });
    const assistant = await stage.createAssistant({
      tools: [{ fileSearch: {} }],
      toolResources: { fileSearch: { vectorStoreIds: [storeId] } },
    });
    const cite = async (citations: number): Promise<string> => {
      const search = { name: 'file_search', arguments: JSON.stringify({ query: 'beast number' }) };
      const answer = Array.from({ length: citations }, (_, i) => `The beast number ${i}.【0:${i % 4}†x】`).join(' ');
      stage.scenes.push(calls([search]), says(answer));
      return (await stage.perform({ assistantId: assistant })).messages.nodes.at(-1)!.id;
    };
    const costs = [];
    for (const citations of [1, 60]) {
      const messageId = await cite(citations);
      await stage.app.query(CitationSourcesDocument, { messageId });
      const { result, statements, texts } = await counted(() =>
        stage.app.query(CitationSourcesDocument, { messageId, before: 40, after: 40 }),
      );
      expect(JSON.stringify(result).match(/"quoteIndex"/g)).toHaveLength(citations);
      expect(texts.filter((text) => /extracted_text/.test(text))).toHaveLength(2);
      costs.push(statements);
    }
    expect(costs[1]).toBe(costs[0]);
  });
});
