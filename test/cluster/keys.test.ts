import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CreateClientTokenDocument, type CreateClientTokenInput } from '../../src/generated/graphql/graphql.ts';
import { eventually } from '../eventually.ts';
import { connectedSocket } from '../server/raw-socket.ts';
import { jsonWith, operation } from '../server/send.ts';
import type { TestSkein } from '../skein.ts';
import { CARRIERS, type Cluster, KEY, openCluster, openRedisWay, type RedisWay } from './cluster.ts';

const CREATE = `mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { created { secret apiKey { id } } }
}`;
const REVOKE = `mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { apiKey { id } } }`;
const FOLLOW = 'subscription ($threadId: ID!) { threadEvents(threadId: $threadId) { __typename } }';

/** Sockets are looked through every 30 s as well: this is not that. A busy machine takes its time. */
const SOON_MS = 10_000;

for (const { skip, name, carrier, environment } of CARRIERS) {
  describe.skipIf(skip)(`a key that is revoked on another node, ${name}`, () => {
    let cluster: Cluster;
    let admin: pg.Client;
    let way: RedisWay | null = null;
    beforeAll(async () => {
      way = carrier === 'redis' ? await openRedisWay() : null;
      cluster = await openCluster(
        { ROLE: 'api', ...environment },
        { ROLE: 'api', ...environment, ...way?.environment },
      );
      admin = new pg.Client({ connectionString: cluster.nodes[0]!.database.databaseUrl! });
      await admin.connect();
    });
    afterAll(async () => {
      await admin.end();
      await cluster.close();
      await way?.gate.close();
    });

    /** Cuts the connections that carry wake-ups, as a network does. */
    async function cut(): Promise<void> {
      if (way) return way.gate.cut();
      const { rowCount } = await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
where application_name = 'skein wake-ups' and datname = current_database()`,
      );
      expect(rowCount).toBe(2);
    }

    async function createKey(): Promise<{ id: string; secret: string }> {
      type Created = { createApiKey: { created: { secret: string; apiKey: { id: string } } } };
      const { createApiKey } = await cluster.nodes[0]!.query<Created, object>(
        CREATE,
        { input: { name: 'short' } },
        KEY,
      );
      return { id: createApiKey.created.apiKey.id, secret: createApiKey.created.secret };
    }

    /** A socket and an event stream with the key, and a belief in it. */
    async function useEverywhere(node: TestSkein, secret: string, tokenOf?: (threadId: string) => Promise<string>) {
      const { createThread } = await node.query<{ createThread: { thread: { id: string } } }, object>(
        'mutation { createThread(input: {}) { thread { id } } }',
        {},
        secret,
      );
      const variables = { threadId: createThread.thread.id };
      const used = (await tokenOf?.(variables.threadId)) ?? secret;
      const socket = await connectedSocket(node.url, used);
      socket.send({ id: '1', type: 'subscribe', payload: { query: FOLLOW, variables } });
      await socket.message('next');
      const response = await fetch(`${node.url}/graphql`, {
        method: 'POST',
        headers: { ...jsonWith(used), accept: 'text/event-stream' },
        body: operation(FOLLOW, { variables }),
      });
      expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
      const cut = response.text().then(
        () => false,
        () => true,
      );
      const other = await connectedSocket(node.url, KEY);
      return { socket, cut, other, used };
    }

    async function expectSentAway(
      node: TestSkein,
      { socket, cut, other, used }: Awaited<ReturnType<typeof useEverywhere>>,
      since: number,
    ): Promise<void> {
      expect(await socket.closed).toMatchObject({ code: 4403 });
      expect(await cut).toBe(true);
      const { status, errors } = await node.raw('{ threads { nodes { id } } }', {}, used);
      expect([status, errors![0]!.extensions!.code]).toEqual([401, 'UNAUTHENTICATED']);
      expect(performance.now() - since).toBeLessThan(SOON_MS);
      expect(other.ws.readyState).toBe(other.ws.OPEN);
      other.ws.close();
      await other.closed;
      await eventually(() => expect(node.skein.counts()).toMatchObject({ sockets: 0, followers: 0 }));
    }

    test('is refused at once, and its sockets and event streams are closed', async () => {
      const [a, b] = [cluster.nodes[0]!, cluster.nodes[1]!];
      const { id, secret } = await createKey();
      const uses = await useEverywhere(b, secret);
      const since = performance.now();
      await a.query(REVOKE, { input: { apiKeyId: id } }, KEY);
      await expectSentAway(b, uses, since);
    });

    test('takes the client tokens with it that it has made on either', async () => {
      const [a, b] = [cluster.nodes[0]!, cluster.nodes[1]!];
      const { id, secret } = await createKey();
      const uses = await useEverywhere(b, secret, async (threadId) => {
        const input = { threadIds: [threadId], scopes: ['READ' as const] } as CreateClientTokenInput;
        return (await a.query(CreateClientTokenDocument, { input }, secret)).createClientToken.token!;
      });
      expect(uses.used).toMatch(/^ct-skein-/);
      const since = performance.now();
      await a.query(REVOKE, { input: { apiKeyId: id } }, KEY);
      await expectSentAway(b, uses, since);
    });

    test('while this one was deaf is refused as soon as it hears again', async () => {
      const b = cluster.nodes[1]!;
      const { id, secret } = await createKey();
      const uses = await useEverywhere(b, secret);
      // Without a word to anybody, as if the word had been lost.
      await admin.query('update api_key set revoked_at = now() where id = $1', [id]);
      expect((await b.raw('{ viewer { version } }', {}, secret)).status).toBe(200); // it believes what it knows
      const since = performance.now();
      await cut();
      await expectSentAway(b, uses, since);
    });
  });
}
