import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashOf } from '../../src/auth/keys.ts';
import { rowsOf } from '../besides.ts';
import { connectedSocket, openSocket } from '../server/raw-socket.ts';
import { jsonWith, operation } from '../server/send.ts';
import { waitFor } from '../server/wait-for.ts';
import { startSkein, type TestSkein } from '../skein.ts';

const CREATE_KEY = `mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) {
    created { secret apiKey { id name hint scopes revokedAt project { id } } }
    userErrors { code path }
  }
}`;
const CREATE_PROJECT = `mutation ($input: CreateProjectInput!) {
  createProject(input: $input) {
    created { project { id name } firstKey { secret apiKey { id scopes } } }
    userErrors { code path }
  }
}`;
const REVOKE = `mutation ($input: RevokeApiKeyInput!) {
  revokeApiKey(input: $input) { apiKey { id revokedAt } userErrors { code path } }
}`;

interface MadeKey {
  secret: string;
  apiKey: {
    id: string;
    name: string;
    hint: string;
    scopes: string[];
    revokedAt: string | null;
    project: { id: string };
  };
}

describe('keys', () => {
  let skein: TestSkein;
  beforeAll(async () => {
    skein = await startSkein();
  });
  afterAll(() => skein.close());

  const createKey = async (input: object): Promise<MadeKey> => {
    const { createApiKey } = await skein.query<{ createApiKey: { created: MadeKey } }, object>(CREATE_KEY, { input });
    return createApiKey.created;
  };
  const revoke = (apiKeyId: string) => skein.query<{ revokeApiKey: object }, object>(REVOKE, { input: { apiKeyId } });

  test('are made by an admin, shown once and good at once', async () => {
    const made = await createKey({ name: 'ci' });
    expect(made.apiKey).toMatchObject({
      name: 'ci',
      scopes: ['PROJECT'],
      hint: made.secret.slice(-4),
      revokedAt: null,
    });
    const { viewer } = await skein.query<{ viewer: object }, object>(
      '{ viewer { scopes apiKey { id } } }',
      {},
      made.secret,
    );
    expect(viewer).toEqual({ scopes: ['PROJECT'], apiKey: { id: made.apiKey.id } });
  });

  test('without the scope ADMIN make and revoke none', async () => {
    const { secret, apiKey } = await createKey({ name: 'plain' });
    const attempts: [string, object][] = [
      [CREATE_PROJECT, { name: 'mine' }],
      [CREATE_KEY, { name: 'more', scopes: ['ADMIN'] }],
      [REVOKE, { apiKeyId: apiKey.id }],
    ];
    for (const [document, input] of attempts) {
      const { errors, data } = await skein.raw(document, { input }, secret);
      expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['FORBIDDEN']);
      expect(data ?? null).toBeNull();
    }
    expect(await skein.query('{ viewer { version } }', {}, secret)).toBeTruthy();
  });

  test('of a new project see that project alone', async () => {
    const { createProject } = await skein.query<
      { createProject: { created: { project: { id: string }; firstKey: MadeKey } } },
      object
    >(CREATE_PROJECT, { input: { name: 'other' } });
    const { project, firstKey } = createProject.created;
    expect(firstKey.apiKey.scopes).toEqual(['PROJECT']);
    const thread = 'mutation { createThread(input: { title: "mine" }) { thread { id } } }';
    type Made = { createThread: { thread: { id: string } } };
    const ours = (await skein.query<Made, object>(thread)).createThread.thread.id;
    const theirs = (await skein.query<Made, object>(thread, {}, firstKey.secret)).createThread.thread.id;
    const threads = '{ viewer { project { id } } threads { nodes { id } } }';
    expect(await skein.query(threads, {}, firstKey.secret)).toEqual({
      viewer: { project: { id: project.id } },
      threads: { nodes: [{ id: theirs }] },
    });
    const read = 'query ($id: ID!) { thread(id: $id) { id } node(id: $id) { id } }';
    expect((await skein.raw(read, { id: ours }, firstKey.secret)).data ?? { thread: null, node: null }).toEqual({
      thread: null,
      node: null,
    });
    const remove = await skein.query<{ deleteThread: { userErrors: { code: string }[] } }, object>(
      'mutation ($id: ID!) { deleteThread(input: { threadId: $id }) { deletedId userErrors { code } } }',
      { id: ours },
      firstKey.secret,
    );
    expect(remove.deleteThread.userErrors).toEqual([{ code: 'NOT_FOUND' }]);
    const watched = await skein.raw(
      'subscription ($id: ID!) { threadEvents(threadId: $id) { __typename } }',
      { id: ours },
      firstKey.secret,
    );
    expect(JSON.stringify(watched.errors)).toMatch(/NOT_FOUND/);
    expect(await skein.query('{ threads { nodes { id } } }')).toEqual({ threads: { nodes: [{ id: ours }] } });
  });

  test('of another project are made by an admin that names it, and not for one that does not exist', async () => {
    const { createProject } = await skein.query<{ createProject: { created: { project: { id: string } } } }, object>(
      CREATE_PROJECT,
      { input: { name: 'third' } },
    );
    const projectId = createProject.created.project.id;
    expect(
      (await createKey({ name: 'for the third', projectId, scopes: ['PROJECT', 'PROJECT'] })).apiKey,
    ).toMatchObject({ project: { id: projectId }, scopes: ['PROJECT'] });
    const lost = await skein.query(CREATE_KEY, { input: { name: 'x', projectId: 'proj_00000000000000000000000000' } });
    expect(lost).toEqual({
      createApiKey: { created: null, userErrors: [{ code: 'NOT_FOUND', path: ['input', 'projectId'] }] },
    });
    const empty = await skein.query(CREATE_KEY, { input: { name: '', scopes: [] } });
    expect(empty).toMatchObject({
      createApiKey: { created: null, userErrors: [{ code: 'INVALID_INPUT' }, { code: 'INVALID_INPUT' }] },
    });
  });

  test('that are revoked are refused by the next request, and revoking again changes nothing', async () => {
    const { secret, apiKey } = await createKey({ name: 'short' });
    await skein.query('{ viewer { version } }', {}, secret);
    const first = await revoke(apiKey.id);
    const refused = await skein.raw('{ viewer { version } }', {}, secret);
    expect([refused.status, refused.errors?.[0]?.extensions?.code]).toEqual([401, 'UNAUTHENTICATED']);
    expect(await revoke(apiKey.id)).toEqual(first);
    expect(await revoke('key_00000000000000000000000000')).toEqual({
      revokeApiKey: { apiKey: null, userErrors: [{ code: 'NOT_FOUND', path: ['input', 'apiKeyId'] }] },
    });
  });

  test('that are revoked lose their sockets with 4403, and others keep theirs', async () => {
    const { secret, apiKey } = await createKey({ name: 'connected' });
    const idle = await connectedSocket(skein.url, secret);
    const following = await connectedSocket(skein.url, secret);
    const other = await connectedSocket(skein.url, skein.key);
    const { createThread } = await skein.query<{ createThread: { thread: { id: string } } }, object>(
      'mutation { createThread(input: {}) { thread { id } } }',
    );
    const payload = {
      query: 'subscription ($id: ID!) { threadEvents(threadId: $id) { __typename } }',
      variables: { id: createThread.thread.id },
    };
    following.send({ id: '1', type: 'subscribe', payload });
    await following.message('next');
    const started = performance.now();
    await revoke(apiKey.id);
    for (const { closed } of [idle, following])
      expect(await closed).toEqual({ code: 4403, reason: 'The key is revoked' });
    expect(performance.now() - started).toBeLessThan(2000);
    expect(following.messages.some(({ type }) => type === 'complete')).toBe(false);
    other.send({ id: '1', type: 'subscribe', payload });
    await other.message('next');
    other.ws.close();
    const again = openSocket(skein.url);
    again.ws.once('open', () =>
      again.send({ type: 'connection_init', payload: { Authorization: `Bearer ${secret}` } }),
    );
    expect((await again.closed).code).toBe(4401);
    await waitFor(
      'everybody to leave',
      () => skein.skein.counts().sockets === 0 && skein.skein.counts().followers === 0,
    );
  });

  test('that are revoked lose their event streams', async () => {
    const { secret, apiKey } = await createKey({ name: 'streaming' });
    const { createThread } = await skein.query<{ createThread: { thread: { id: string } } }, object>(
      'mutation { createThread(input: {}) { thread { id } } }',
    );
    const response = await fetch(`${skein.url}/graphql`, {
      method: 'POST',
      headers: { ...jsonWith(secret), accept: 'text/event-stream' },
      body: operation('subscription ($id: ID!) { threadEvents(threadId: $id) { __typename } }', {
        variables: { id: createThread.thread.id },
      }),
    });
    const reader = response.body!.getReader();
    await reader.read();
    await revoke(apiKey.id);
    const drain = async () => {
      for (;;) if ((await reader.read()).done) return 'ended';
    };
    await expect(drain()).rejects.toThrow();
    await waitFor('the follower to leave', () => skein.skein.counts().followers === 0);
  });

  test('may revoke themselves and still get their answer', async () => {
    const { secret, apiKey } = await createKey({ name: 'self', scopes: ['ADMIN'] });
    expect(await skein.query(REVOKE, { input: { apiKeyId: apiKey.id } }, secret)).toMatchObject({
      revokeApiKey: { apiKey: { id: apiKey.id } },
    });
    expect((await skein.raw('{ viewer { version } }', {}, secret)).status).toBe(401);
  });

  test('are in the database as hashes alone', async () => {
    const { secret } = await createKey({ name: 'secret' });
    const everything = JSON.stringify(await rowsOf(skein.database, 'api_key'));
    expect(everything).toContain(hashOf(secret));
    for (const known of [secret, skein.key]) expect(everything).not.toContain(known.slice(0, -4));
  });
});
