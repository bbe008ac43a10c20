import { createClient } from 'graphql-ws';
import { print } from 'graphql';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { type ClientToken, type ClientTokens, createClientTokens } from '../../src/auth/client-tokens.ts';
import { emptyConversation, fold } from '../../src/client/fold.ts';
import {
  CreateClientTokenDocument,
  CreateMessageDocument,
  type CreateClientTokenInput,
  FollowRunDocument,
  FollowThreadDocument,
  RunDetailsDocument,
  StartRunDocument,
  type StartRunInput,
  SubmitToolOutputsDocument,
  ThreadsDocument,
  UpdateThreadDocument,
  UploadFileDocument,
} from '../../src/generated/graphql/graphql.ts';
import { besides } from '../besides.ts';
import { calls, live, openStage, refuses, says, type Stage, WEATHER } from '../engine/stage.ts';
import { delta, finish } from '../llm/model-server.ts';
import { answerOf, connectedSocket, openSocket } from '../server/raw-socket.ts';
import { jsonWith, operation } from '../server/send.ts';
import { waitFor } from '../server/wait-for.ts';
import { watchThreads } from '../threads/watch-threads.ts';

let stage: Stage;
let assistantId: string;
let threadId: string;
/** Signs what no mutation makes: tokens that end soon. */
let signer: ClientTokens;
let keyId: string;

beforeAll(async () => {
  stage = await openStage();
  assistantId = await stage.createAssistant({ tools: [WEATHER], name: 'Guide' });
  threadId = await stage.createThread('Hello');
  const database = besides(stage.app.database);
  await database.connect();
  signer = await createClientTokens({
    db: { query: async ({ text, values }) => (await database.query(text, values)).rows },
  });
  await database.end();
  const { viewer } = await stage.app.query<{ viewer: { apiKey: { id: string } } }, object>('{ viewer { apiKey { id } } }');
  keyId = viewer.apiKey.id;
});
afterAll(async () => {
  await stage?.close();
});
afterEach(() => {
  stage.scenes.length = 0;
});

const create = async (input: Partial<CreateClientTokenInput> = {}, key?: string) =>
  (
    await stage.app.query(
      CreateClientTokenDocument,
      { input: { threadIds: [threadId], scopes: ['READ'], ...input } as CreateClientTokenInput },
      key,
    )
  ).createClientToken;
const tokenFor = async (input: Partial<CreateClientTokenInput> = {}, key?: string): Promise<string> => {
  const { token, userErrors } = await create(input, key);
  expect(userErrors).toEqual([]);
  return token!;
};
const ending = (ms: number, more: Partial<ClientToken> = {}): string =>
  signer.mint(keyId, {
    threadIds: [threadId],
    scopes: ['RUN'],
    assistantIds: null,
    expiresAt: new Date(Date.now() + ms),
    ...more,
  });
const start = (token: string, input: Partial<StartRunInput> = {}) =>
  stage.app.raw(StartRunDocument, { input: { assistantId, threadId, ...input } }, token);

const READ = 'query ($id: ID!) { thread(id: $id) { id title } }';
const FOLLOW = print(FollowThreadDocument);

describe('a client token', () => {
  test('is made by a key, for its threads and its time', async () => {
    const before = Date.now();
    const { token, expiresAt } = await create({ expiresInSeconds: 120 });
    expect(token).toMatch(/^ct-skein-[\w-]+\.[\w-]+$/);
    expect(new Date(expiresAt!).getTime() - before).toBeGreaterThan(118_000);
    expect(new Date(expiresAt!).getTime() - before).toBeLessThan(125_000);
    const byDefault = (await create()).expiresAt!;
    expect(new Date(byDefault).getTime() - before).toBeGreaterThan(3_598_000);
    expect((await stage.app.raw(READ, { id: threadId }, token!)).data).toEqual({ thread: { id: threadId, title: null } });
  });

  test.each<[string, Partial<CreateClientTokenInput>, string, string[]]>([
    ['a thread that is not there', { threadIds: ['thread_00000000000000000000000000'] }, 'NOT_FOUND', ['threadIds', '0']],
    ['an id of something else', { threadIds: ['asst_00000000000000000000000000'] }, 'NOT_FOUND', ['threadIds', '0']],
    ['no thread', { threadIds: [] }, 'INVALID_INPUT', ['threadIds']],
    ['too many threads', { threadIds: Array.from({ length: 101 }, () => 'x') }, 'INVALID_INPUT', ['threadIds']],
    ['no scope', { scopes: [] }, 'INVALID_INPUT', ['scopes']],
    ['too short a time', { expiresInSeconds: 59 }, 'INVALID_INPUT', ['expiresInSeconds']],
    ['too long a time', { expiresInSeconds: 86_401 }, 'INVALID_INPUT', ['expiresInSeconds']],
    ['assistants that could not be asked', { assistantIds: ['x'] }, 'INVALID_INPUT', ['assistantIds']],
    [
      'an assistant that is not there',
      { scopes: ['RUN'], assistantIds: ['asst_00000000000000000000000000'] },
      'NOT_FOUND',
      ['assistantIds', '0'],
    ],
    ['no assistant', { scopes: ['RUN'], assistantIds: [] }, 'INVALID_INPUT', ['assistantIds']],
  ])('is not made for %s', async (_, input, code, path) => {
    const { token, expiresAt, userErrors } = await create(input);
    expect([token, expiresAt]).toEqual([null, null]);
    expect(userErrors).toMatchObject([{ code, path: ['input', ...path] }]);
  });

  test('fits into a header with as many threads and assistants as it may have', async () => {
    const threadIds = await Promise.all(Array.from({ length: 100 }, () => stage.createThread()));
    const assistantIds = await Promise.all(Array.from({ length: 20 }, () => stage.createAssistant()));
    const token = await tokenFor({ threadIds, assistantIds, scopes: ['READ', 'RUN'] });
    console.log(`a token for 100 threads and 20 assistants: ${token.length} characters`);
    // What proxies take for one header.
    expect(token.length).toBeLessThan(8000);
    const { threads } = await stage.app.query(ThreadsDocument, { first: 100 }, token);
    expect(new Set(threads.nodes.map(({ id }) => id))).toEqual(new Set(threadIds));
  });

  test('that was changed, or is of another server, is no token', async () => {
    const token = await tokenFor();
    const [claims, signature] = token.slice('ct-skein-'.length).split('.') as [string, string];
    const read = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
    const forged = (change: object) =>
      `ct-skein-${Buffer.from(JSON.stringify({ ...read, ...change })).toString('base64url')}.${signature}`;
    const others = await createClientTokens({
      db: { query: async () => [{ value: Buffer.alloc(32, 7).toString('base64url') }] as never },
    });
    for (const bad of [
      forged({ threads: [await stage.createThread()] }),
      forged({ expires: (read.expires as number) + 1 }),
      forged({ scopes: ['RUN'] }),
      `${token}.`,
      `${token}x`,
      token.slice(0, -2),
      `ct-skein-${claims}.`,
      'ct-skein-',
      'ct-skein-.',
      others.mint(keyId, { threadIds: [threadId], scopes: ['READ'], assistantIds: null, expiresAt: new Date(Date.now() + 1e6) }),
      signer.mint('key_00000000000000000000000000', {
        threadIds: [threadId],
        scopes: ['READ'],
        assistantIds: null,
        expiresAt: new Date(Date.now() + 1e6),
      }),
    ]) {
      const { status, errors, data } = await stage.app.raw(READ, { id: threadId }, bad);
      expect([bad, status, errors?.[0]?.extensions?.code, data]).toEqual([bad, 401, 'UNAUTHENTICATED', undefined]);
      expect((await answerOf(openSocket(stage.app.url), bad))!.code).toBe(4401);
    }
  });

  test('is worth nothing in the end: its time is over for requests, sockets and event streams alike', async () => {
    const token = ending(5000);
    const socket = await connectedSocket(stage.app.url, token);
    socket.send({ id: '1', type: 'subscribe', payload: { query: FOLLOW, variables: { threadId } } });
    const first = (await socket.message('next')) as { payload: any };
    const idle = await connectedSocket(stage.app.url, token);
    const lasting = await connectedSocket(stage.app.url, await tokenFor());
    const response = await fetch(`${stage.app.url}/graphql`, {
      method: 'POST',
      headers: { ...jsonWith(token), accept: 'text/event-stream' },
      body: operation(FOLLOW, { variables: { threadId } }),
    });
    const cut = response.text().then(
      () => false,
      () => true,
    );
    const expired = 'The client token has expired: come back with another one, and your cursor';
    for (const { closed } of [socket, idle]) expect(await closed).toEqual({ code: 4419, reason: expired });
    expect(await cut).toBe(true);
    // An end would say that there is nothing more to come.
    expect(socket.messages.some(({ type }) => type === 'complete')).toBe(false);
    const { status, errors } = await stage.app.raw(READ, { id: threadId }, token);
    expect([status, errors![0]!.extensions!.code]).toEqual([401, 'TOKEN_EXPIRED']);
    expect(await answerOf(openSocket(stage.app.url), token)).toEqual({ code: 4419, reason: expired });
    expect(lasting.ws.readyState).toBe(WebSocket.OPEN);
    lasting.ws.close();
    await waitFor('nobody to be left', () => {
      const { sockets, followers } = stage.app.skein.counts();
      return sockets === 0 && followers === 0;
    });

    // With a fresh one its reader goes on behind the cursor that it had.
    await stage.say(threadId, 'meanwhile');
    const after = first.payload.data.threadEvents.cursor as string;
    for await (const { threadEvents } of stage.app.follow(FollowThreadDocument, { threadId, after }, await tokenFor())) {
      expect(threadEvents).toMatchObject({ __typename: 'MessageCreated', message: { text: 'meanwhile' } });
      break;
    }
  });

  test('that has expired makes graphql-ws fetch another by itself', async () => {
    const tokens = [ending(-1000), ending(1500), await tokenFor()];
    const used: string[] = [];
    const client = createClient({
      url: `${stage.app.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: 5,
      retryWait: () => Promise.resolve(),
      connectionParams() {
        used.push(tokens[0]!);
        return { Authorization: `Bearer ${tokens.length > 1 ? tokens.shift()! : tokens[0]!}` };
      },
    });
    for await (const { data } of client.iterate<{ threadEvents: { cursor: string } }>({
      query: 'subscription ($id: ID!) { threadEvents(threadId: $id) { cursor } }',
      variables: { id: threadId },
    })) {
      expect(data!.threadEvents.cursor).toBeTruthy();
      // A snapshot with the second token, and another, when that is over, with the third.
      if (used.length === 3) break;
    }
    expect(used).toHaveLength(3);
    await client.dispose();
  });
});

describe('a key that is revoked', () => {
  test('takes its tokens with it, and nobody else’s', async () => {
    const { createApiKey } = await stage.app.query<any, object>(
      'mutation { createApiKey(input: { name: "pages" }) { created { secret apiKey { id } } } }',
    );
    const { secret, apiKey } = createApiKey.created;
    const token = await tokenFor({}, secret);
    const other = await connectedSocket(stage.app.url, await tokenFor());
    const socket = await connectedSocket(stage.app.url, token);
    socket.send({ id: '1', type: 'subscribe', payload: { query: FOLLOW, variables: { threadId } } });
    await socket.message('next');
    const response = await fetch(`${stage.app.url}/graphql`, {
      method: 'POST',
      headers: { ...jsonWith(token), accept: 'text/event-stream' },
      body: operation(FOLLOW, { variables: { threadId } }),
    });
    const cut = response.text().then(
      () => false,
      () => true,
    );
    await stage.app.query(`mutation { revokeApiKey(input: { apiKeyId: "${apiKey.id}" }) { apiKey { id } } }`);
    expect(await socket.closed).toMatchObject({ code: 4403 });
    expect(await cut).toBe(true);
    const { status, errors } = await stage.app.raw(READ, { id: threadId }, token);
    expect([status, errors![0]!.extensions!.code]).toEqual([401, 'UNAUTHENTICATED']);
    expect((await answerOf(openSocket(stage.app.url), token))!.code).toBe(4401);
    expect(other.ws.readyState).toBe(WebSocket.OPEN);
    other.ws.close();
  });
});

describe('a page with a token', () => {
  test('starts a run, answers its call, and follows it as one with a key would', async () => {
    const token = await tokenFor({ scopes: ['RUN'], assistantIds: [assistantId] });
    const answer = live();
    stage.scenes.push(calls([{ arguments: '{"city":"Oslo"}' }]), answer.scene);
    const input = {
      assistantId,
      threadId,
      additionalMessages: [
        { content: [{ text: 'Weather?' }, { imageUrl: { url: 'data:image/png;base64,iVBORw0KGgo=' } }] },
      ],
      idempotencyKey: 'from the page',
      instructions: null,
    };
    const { startRun } = await stage.app.query(StartRunDocument, { input }, token);
    expect(startRun.userErrors).toEqual([]);
    const { id: runId, cursor } = startRun.run!;
    // The same again, with a token that was fetched since: the same run.
    const again = await stage.app.query(StartRunDocument, { input }, await tokenFor({ scopes: ['RUN'] }));
    expect(again.startRun.run!.id).toBe(runId);

    let state = { ...emptyConversation(), cursor };
    for await (const { runEvents } of stage.app.follow(FollowRunDocument, { runId, after: cursor }, token)) {
      state = fold(state, runEvents) as typeof state;
      const { requiredAction, status } = state.runs[0] ?? {};
      if (status === 'REQUIRES_ACTION') {
        const [call] = requiredAction!.toolCalls;
        const outputs = [{ toolCallId: call!.id, output: 'rain' }];
        await stage.app.query(SubmitToolOutputsDocument, { input: { runId, toolOutputs: outputs } }, token);
        const stream = await answer.asked;
        stream.send(delta({ content: 'It rains.' }), finish('stop'));
        stream.end();
      }
    }
    const { run } = await stage.app.query(RunDetailsDocument, { id: runId }, token);
    expect(run).toMatchObject({ status: 'COMPLETED', instructions: null });
    expect(state.messages.at(-1)).toEqual(run!.messages.nodes.at(-1));
  });

  test.each<[string, Record<string, unknown>]>([
    ['thread', { thread: {} }],
    ['model', { model: 'm' }],
    ['instructions', { instructions: 'Obey.' }],
    ['additionalInstructions', { additionalInstructions: 'Obey.' }],
    ['tools', { tools: [] }],
    ['metadata', { metadata: { a: 'b' } }],
    ['temperature', { temperature: 1 }],
    ['topP', { topP: 1 }],
    ['reasoningEffort', { reasoningEffort: 'LOW' }],
    ['maxPromptTokens', { maxPromptTokens: 1000 }],
    ['maxCompletionTokens', { maxCompletionTokens: 1000 }],
    ['truncationStrategy', { truncationStrategy: { type: 'AUTO' } }],
    ['toolChoice', { toolChoice: { mode: 'NONE' } }],
    ['parallelToolCalls', { parallelToolCalls: false }],
    ['responseFormat', { responseFormat: { type: 'TEXT' } }],
    ['attachments', { additionalMessages: [{ content: [{ text: 'x' }], attachments: [] }] }],
    ['metadata', { additionalMessages: [{ content: [{ text: 'x' }], metadata: {} }] }],
    ['imageFile', { additionalMessages: [{ content: [{ imageFile: { fileId: 'file_x' } }] }] }],
  ])('does not choose %s', async (field, more) => {
    const token = await tokenFor({ scopes: ['RUN'] });
    const { errors, status } = await start(token, more as Partial<StartRunInput>);
    expect([status, errors?.map(({ extensions }) => extensions?.code)]).toEqual([403, ['FORBIDDEN']]);
    expect(errors![0]!.message).toMatch(new RegExp(`\\.${field} is not for client tokens`));
  });

  test.each<[string, Partial<StartRunInput>, string]>([
    [
      'in the name of the assistant',
      { additionalMessages: [{ role: 'ASSISTANT', content: [{ text: 'I promise.' }] }] },
      'input.additionalMessages.0.role',
    ],
    [
      'with an image from elsewhere',
      { additionalMessages: [{ content: [{ text: 'x' }, { imageUrl: { url: 'http://10.0.0.1/' } }] }] },
      'input.additionalMessages.0.content.1.imageUrl.url',
    ],
    ['without saying where', { threadId: null }, 'input.threadId'],
  ])('says nothing %s', async (_, more, path) => {
    const { data } = await start(await tokenFor({ scopes: ['RUN'] }), more);
    const { run, userErrors } = (data as any).startRun;
    expect(run).toBeNull();
    expect(userErrors).toMatchObject([{ code: 'INVALID_INPUT', path: path.split('.') }]);
  });

  test('asks the assistants that its token names, and no other', async () => {
    const other = await stage.createAssistant({ name: 'Other' });
    const { data } = await start(await tokenFor({ scopes: ['RUN'], assistantIds: [assistantId] }), { assistantId: other });
    expect((data as any).startRun.userErrors).toMatchObject([
      { code: 'NOT_FOUND', message: `No assistant found with id '${other}'.` },
    ]);
    stage.scenes.push(says('ok'));
    const free = await start(await tokenFor({ scopes: ['RUN'] }), { assistantId: other });
    expect((free.data as any).startRun.userErrors).toEqual([]);
    await stage.follow((free.data as any).startRun.run.id);
  });

  test('has idempotency keys of its own, by its thread', async () => {
    const idempotencyKey = 'the same';
    const mine = await stage.createThread('mine');
    stage.scenes.push(says('1'), says('2'), says('3'));
    const ids = new Set<string>();
    // The server's key first, with other inputs: neither a conflict nor an answer of it.
    for (const [key, input] of [
      [stage.app.key, { metadata: { a: 'b' } }],
      [await tokenFor({ scopes: ['RUN'] }), {}],
      [await tokenFor({ scopes: ['RUN'], threadIds: [mine] }), { threadId: mine }],
    ] as const) {
      const { data } = await start(key, { ...input, idempotencyKey });
      expect((data as any).startRun.userErrors).toEqual([]);
      ids.add((data as any).startRun.run.id);
      await stage.follow((data as any).startRun.run.id);
    }
    expect(ids.size).toBe(3);
    const { data } = await start(await tokenFor({ scopes: ['RUN'] }), {
      idempotencyKey,
      additionalMessages: [{ content: [{ text: 'other' }] }],
    });
    expect((data as any).startRun.userErrors).toMatchObject([{ code: 'CONFLICT' }]);
  });

  test('is not told what the model server says of itself', async () => {
    const token = await tokenFor({ scopes: ['RUN'] });
    stage.scenes.push(refuses(401, { message: 'Incorrect API key sk-1234 of org-secret' }));
    const { data } = await start(token);
    const { id: runId, cursor } = (data as any).startRun.run;
    await stage.follow(runId);
    expect((await stage.details(runId)).lastError!.message).toMatch(/org-secret/);
    const answers: unknown[] = [await stage.app.query(RunDetailsDocument, { id: runId }, token)];
    for await (const event of stage.app.follow(FollowRunDocument, { runId, after: cursor }, token)) answers.push(event);
    const seen = JSON.stringify(answers);
    expect(seen).toContain('"lastError":{"code":"SERVER_ERROR","message":"The model server or Skein failed."}');
    expect(seen).not.toMatch(/org-secret|sk-1234/);
  });

  test('gets links to files that end with its token', async () => {
    const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');
    const { uploadFile } = await stage.app.query(UploadFileDocument, {
      input: { file: new File([png], 'x.png'), purpose: 'VISION' },
    });
    const { createMessage } = await stage.app.query(CreateMessageDocument, {
      input: { threadId, content: [{ imageFile: { fileId: uploadFile.file!.id } }] },
    });
    const query = 'query ($id: ID!) { node(id: $id) { ... on Message { content { ... on ImageFileContent { file { url } } } } } }';
    const seconds = async (key: string) => {
      const { data } = await stage.app.raw(query, { id: createMessage.message!.id }, key);
      const { url } = (data as any).node.content[0].file;
      expect((await fetch(url)).status).toBe(200);
      return Number(new URL(url).searchParams.get('expires')) - Date.now() / 1000;
    };
    expect(await seconds(stage.app.key)).toBeGreaterThan(3500);
    expect(await seconds(await tokenFor({ expiresInSeconds: 60 }))).toBeLessThanOrEqual(60);
    expect(await seconds(await tokenFor({ expiresInSeconds: 86_400 }))).toBeLessThanOrEqual(3601);
  });

  test('sees its threads move in a list, and no other', async () => {
    const token = await tokenFor();
    const list = await watchThreads(stage.app, undefined, token);
    const rename = (id: string, title: string) =>
      stage.app.query(UpdateThreadDocument, { input: { threadId: id, title } });
    await rename(await stage.createThread(), 'not theirs');
    await rename(threadId, 'theirs');
    await list.until('its own thread', ({ thread }) => thread?.title === 'theirs');
    expect(new Set(list.hints.map((hint) => hint.threadId))).toEqual(new Set([threadId]));
    await list.leave();
  });

  test('counts among the connections of the key that made it', async () => {
    await stage.app.restart({ MAX_CONNECTIONS_PER_KEY: '2' });
    const token = await tokenFor();
    const sockets = [await connectedSocket(stage.app.url, token), await connectedSocket(stage.app.url, stage.app.key)];
    expect((await answerOf(openSocket(stage.app.url), token))!.code).toBe(4429);
    for (const { ws } of sockets) ws.close();
  });
});
