import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Connection } from '../../src/client/connection.ts';
import { followThread } from '../../src/client/conversation-store.ts';
import { conversationOf } from '../../src/client/fold.ts';
import { ConversationDocument, StartRunDocument } from '../../src/generated/graphql/graphql.ts';
import { createAssistant, stored, visible } from '../events/story.ts';
import { eventually } from '../eventually.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { createApollo } from './recipes/apollo.ts';

let skein: TestSkein;
let connection: Connection;

beforeAll(async () => {
  skein = await startSkein();
  connection = connect({ url: `${skein.url}/graphql`, token: skein.key });
});

afterAll(async () => {
  connection?.close();
  await skein?.close();
});

test('what Apollo has read is a conversation that goes on', async () => {
  const apollo = createApollo(connection);
  const assistantId = await createAssistant(skein);
  const input = { assistantId, thread: { messages: [{ content: [{ text: 'count to 5' }] }] } };
  const { data } = await apollo.mutate({ mutation: StartRunDocument, variables: { input } });
  const threadId = data!.startRun.run!.thread.id;
  const read = await apollo.query({ query: ConversationDocument, variables: { threadId } });
  const known = conversationOf(read.data!)!;
  expect(known.messages[0]).toMatchObject({ role: 'USER', text: 'count to 5' });
  const store = followThread(connection, threadId, known);
  await eventually(() => expect(store.get().conversation.runs[0]?.status).toBe('COMPLETED'));
  store.close();
  // It has a `__typename` on each object beside.
  const whole = visible(await stored(skein, threadId));
  expect(visible(store.get().conversation)).toMatchObject(whole);

  // Its cache tells objects behind interfaces apart.
  const again = await apollo.query({ query: ConversationDocument, variables: { threadId }, fetchPolicy: 'network-only' });
  expect(visible(conversationOf(again.data!)!)).toMatchObject(whole);
});
