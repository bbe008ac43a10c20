import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import WebSocket from 'ws';
import {
  CreateAssistantDocument,
  FollowRunDocument,
  RunDetailsDocument,
  StartRunDocument,
} from '../../src/generated/graphql/graphql.ts';
import { TEST_DATABASE_URL, testDatabase, type TestDatabase } from '../database.ts';
import { type ServerProcess, startServerProcess } from '../engine/server-process.ts';
import { live, says, type Scene } from '../engine/stage.ts';
import { answerOk, delta, finish, type ModelServer, openModelServer } from '../llm/model-server.ts';
import { spawnMain } from '../server/skein-process.ts';
import { startSkein } from '../skein.ts';
import type { RunEvent } from './cluster.ts';

if (!TEST_DATABASE_URL) console.warn('processes of different roles are NOT tested: TEST_DATABASE_URL is not set');

test('the embedded database has one process, which has every role', async () => {
  const { child, ended, output } = spawnMain({ ROLE: 'worker' });
  expect((await ended).code).toBe(1);
  expect(output()).toMatch(/ROLE=worker needs other processes.*embedded database.*DATABASE_URL/);
  expect(child.exitCode).toBe(1);
});

describe.skipIf(!TEST_DATABASE_URL)(
  'processes of different roles (needs TEST_DATABASE_URL)',
  { timeout: 240_000 },
  () => {
    const scenes: Scene[] = [];
    const processes: ServerProcess[] = [];
    let model: ModelServer;
    let database: TestDatabase;
    beforeAll(async () => {
      model = await openModelServer((exchange) => (scenes.shift() ?? answerOk)(exchange));
    });
    afterAll(() => model.close());
    beforeEach(async () => {
      scenes.length = 0;
      database = await testDatabase();
    });
    afterEach(async () => {
      for (const process of processes.splice(0)) await process.kill();
      await database.dispose();
    });

    async function node(ROLE: 'api' | 'worker', environment: Record<string, string> = {}): Promise<ServerProcess> {
      const started = await startServerProcess(database, { OPENAI_BASE_URL: model.url, ROLE, ...environment });
      processes.push(started);
      return started;
    }

    async function start(on: ServerProcess): Promise<{ runId: string; cursor: string }> {
      const { createAssistant } = await on.query(CreateAssistantDocument, { input: { model: 'test-model' } });
      const thread = { messages: [{ content: [{ text: 'Hello' }] }] };
      const { startRun } = await on.query(StartRunDocument, {
        input: { assistantId: createAssistant.assistant!.id, thread },
      });
      return { runId: startRun.run!.id, cursor: startRun.run!.cursor! };
    }

    /** The run's events behind a cursor, as they come. */
    function follow(on: ServerProcess, runId: string, after: string) {
      const events: RunEvent[] = [];
      const ended = (async () => {
        for await (const { runEvents } of on.follow(FollowRunDocument, { runId, after })) events.push(runEvents);
      })();
      return { events, ended };
    }

    async function sql<Row>(text: string): Promise<[Row, ...Row[]]> {
      const client = new pg.Client({ connectionString: database.databaseUrl! });
      await client.connect();
      try {
        return (await client.query(text)).rows as [Row, ...Row[]];
      } finally {
        await client.end();
      }
    }

    const statusOf = async (on: ServerProcess, runId: string) =>
      (await on.query(RunDetailsDocument, { id: runId })).run!.status;

    test('an api starts no run by itself; a worker that comes takes it up', async () => {
      const script = live();
      scenes.push(script.scene);
      const api = await node('api');
      expect(api.output()).toMatch(/Skein listens on/);
      const { runId, cursor } = await start(api);
      const watch = follow(api, runId, cursor);
      expect(await statusOf(api, runId)).toBe('QUEUED');
      const worker = await node('worker');
      const stream = await script.asked;
      const [{ owner }] = await sql<{ owner: string }>('select owner from run');
      expect(owner).toMatch(new RegExp(`:${worker.pid}:`));
      stream.send(delta({ content: 'Here I am' }), finish('stop'));
      stream.end();
      await watch.ended;
      expect(watch.events.at(-1)).toMatchObject({ status: 'COMPLETED' });
      expect(worker.output()).not.toMatch(/GraphiQL|#key=|sk-test/);
    });

    test('a worker answers whether it is ready, and nothing else', async () => {
      const worker = await node('worker');
      await eventually(() => expect(worker.output()).toMatch(/^It is a worker: .*\/health\/ready/m));
      for (const path of ['/health/live', '/health/ready']) {
        const response = await fetch(`${worker.url}${path}`);
        expect([response.status, await response.json()]).toMatchObject([200, { status: 'ok' }]);
      }
      for (const [path, method] of [
        ['/graphql', 'POST'],
        ['/graphql', 'GET'],
        ['/', 'GET'],
        ['/health', 'GET'],
      ] as const) {
        const response = await fetch(`${worker.url}${path}`, { method, redirect: 'manual' });
        expect(response.status).toBe(404);
        const { errors } = (await response.json()) as { errors: { message: string; extensions: { code: string } }[] };
        expect(errors[0]).toMatchObject({
          message: expect.stringMatching(/this process is a worker \(ROLE=worker\)/),
          extensions: { code: 'NOT_FOUND' },
        });
      }
      const socket = new WebSocket(`${worker.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
      const refused = await new Promise<string>((resolve) => socket.on('error', ({ message }) => resolve(message)));
      expect(refused).toMatch(/404/);
    });

    test('a worker that is killed is replaced by another, under the eyes of a reader who notices nothing else', async () => {
      const script = live();
      scenes.push(script.scene, says('The whole answer'));
      const [api, first] = [await node('api'), await node('worker')];
      const { runId, cursor } = await start(api);
      const watch = follow(api, runId, cursor);
      (await script.asked).send(delta({ content: 'The who' }));
      await eventually(() => expect(watch.events.some((event) => event.__typename === 'MessageDelta')).toBe(true));
      await node('worker');
      await first.kill();
      await watch.ended;
      const { run } = await api.query(RunDetailsDocument, { id: runId });
      expect(run).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(run!.messages.nodes.map(({ text }) => text)).toEqual(['The whole answer']);
      expect(watch.events.at(-1)).toMatchObject({ status: 'COMPLETED' });
    });

    test('two that start at once on an empty database make one key and one project between them', async () => {
      await Promise.all([node('api'), node('api'), node('worker')]);
      expect(
        await sql(
          'select (select count(*) from api_key)::int as keys, (select count(*) from project)::int as projects',
        ),
      ).toEqual([{ keys: 1, projects: 1 }]);
    });
  },
);

describe.skipIf(!TEST_DATABASE_URL)('whether a server is ready (needs TEST_DATABASE_URL)', () => {
  async function ready(url: string) {
    const response = await fetch(`${url}/health/ready`);
    return { http: response.status, ...((await response.json()) as object) };
  }

  test.each(['all', 'worker'])('is said with the reason when it is not (ROLE=%s)', async (ROLE) => {
    const skein = await startSkein({ ROLE, SKEIN_BOOTSTRAP_KEY: 'sk-test-key-of-a-lonely-node' });
    const admin = new pg.Client({ connectionString: skein.database.databaseUrl! });
    await admin.connect();
    try {
      expect(await ready(skein.url)).toMatchObject({ http: 200, status: 'ok' });

      const { rows } = await admin.query(
        'delete from _prisma_migrations where migration_name = (select max(migration_name) from _prisma_migrations) returning *',
      );
      const [{ migration_name: name }] = rows as [{ migration_name: string }];
      expect(await ready(skein.url)).toEqual({
        http: 503,
        status: 'not ready',
        reasons: { database: `Its schema is older than this version: it lacks ${name}.` },
      });
      await admin.query('alter table _prisma_migrations rename to elsewhere');
      expect(await ready(skein.url)).toMatchObject({
        http: 503,
        reasons: { database: expect.stringMatching(/migrations are not applied/) },
      });
      await admin.query('alter table elsewhere rename to _prisma_migrations');
      const columns = Object.keys(rows[0] as object);
      await admin.query(
        `insert into _prisma_migrations (${columns.join(', ')}) values (${columns.map((_, i) => `$${i + 1}`).join(', ')})`,
        Object.values(rows[0] as object),
      );
      expect(await ready(skein.url)).toMatchObject({ http: 200, status: 'ok' });

      // A database that hangs is as good as none.
      await admin.query('begin');
      await admin.query('lock table _prisma_migrations in access exclusive mode');
      expect(await ready(skein.url)).toEqual({
        http: 503,
        status: 'not ready',
        reasons: { database: 'It did not answer within 3 s.' },
      });
      const live = await fetch(`${skein.url}/health/live`);
      expect([live.status, await live.json()]).toEqual([200, { status: 'ok' }]);
      await admin.query('rollback');
      await eventually(async () => expect(await ready(skein.url)).toMatchObject({ http: 200, status: 'ok' }));
    } finally {
      await admin.end();
      await skein.close();
    }
  });
});
