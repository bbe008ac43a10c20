import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSkein, type TestSkein } from '../skein.ts';
import { jsonWith, operation } from './send.ts';
import { waitFor } from './wait-for.ts';

let skein: TestSkein;

beforeAll(async () => {
  skein = await startSkein();
});
afterAll(() => skein.close());

describe('a subscription over SSE', () => {
  const startRun = async () => {
    type Made = { createAssistant: { assistant: { id: string } } };
    const made = await skein.query<Made, object>(
      'mutation { createAssistant(input: { model: "offline" }) { assistant { id } } }',
    );
    const input = {
      assistantId: made.createAssistant.assistant.id,
      thread: { messages: [{ content: [{ text: 'Say: Hello there' }] }] },
    };
    type Started = { startRun: { run: { id: string } } };
    const started = await skein.query<Started, object>(
      'mutation ($input: StartRunInput!) { startRun(input: $input) { run { id } } }',
      { input },
    );
    return started.startRun.run.id;
  };
  const follow = (runId: string, signal?: AbortSignal) =>
    fetch(`${skein.url}/graphql`, {
      method: 'POST',
      headers: { ...jsonWith(skein.key), accept: 'text/event-stream' },
      body: operation(
        'subscription ($runId: ID!) { runEvents(runId: $runId) { __typename ... on RunStatusChanged { status } } }',
        { variables: { runId } },
      ),
      ...(signal ? { signal } : {}),
    });

  test('streams and ends with the run', async () => {
    const response = await follow(await startRun());
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const text = await response.text();
    const events = [...text.matchAll(/event: next\ndata: (.*)/g)].map(([, data]) => JSON.parse(data!).data.runEvents);
    expect(events[0].__typename).toBe('RunSnapshot');
    expect(events.at(-1)).toEqual({ __typename: 'RunStatusChanged', status: 'COMPLETED' });
    expect(text).toMatch(/event: complete/);
    await waitFor('the follower to leave', () => skein.skein.counts().followers === 0);
  });

  test('is let go of when its reader leaves', async () => {
    const leave = new AbortController();
    const threadId = (
      await skein.query<{ createThread: { thread: { id: string } } }, object>(
        'mutation { createThread(input: {}) { thread { id } } }',
      )
    ).createThread.thread.id;
    const response = await fetch(`${skein.url}/graphql`, {
      method: 'POST',
      headers: { ...jsonWith(skein.key), accept: 'text/event-stream' },
      body: operation('subscription ($threadId: ID!) { threadEvents(threadId: $threadId) { __typename } }', {
        variables: { threadId },
      }),
      signal: leave.signal,
    });
    await response.body!.getReader().read();
    await waitFor('the follower', () => skein.skein.counts().followers === 1);
    leave.abort();
    await waitFor('the follower to leave', () => skein.skein.counts().followers === 0);
  });
});
