import { appendFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openEmbedded } from '../../src/db/embedded.ts';
import { MIGRATIONS, migrate } from '../../src/db/migrate.ts';
import { openDatabase } from '../../src/db/open-database.ts';
import { serverDatabase, silent, TEST_DATABASE_URL } from '../database.ts';

/** A place for migrations to be tried in: `fresh` empties it. */
interface Place {
  connection: pg.ClientConfig;
  fresh(): Promise<void>;
  remove(): Promise<void>;
}

async function embeddedPlace(): Promise<Place> {
  const dataDir = await mkdtemp(join(tmpdir(), 'skein-test-'));
  const embedded = await openEmbedded({ dataDir, logger: silent });
  const connection = { host: embedded.socketDir, port: 5432, user: 'postgres', database: 'postgres', ssl: false };
  return {
    connection,
    async fresh() {
      await connected(connection, (client) => client.query('drop schema public cascade; create schema public'));
    },
    async remove() {
      await embedded.close();
      await rm(dataDir, { recursive: true });
    },
  };
}

async function serverPlace(): Promise<Place> {
  let database = await serverDatabase();
  const connection = { connectionString: database.url };
  return {
    connection,
    async fresh() {
      await database.drop();
      database = await serverDatabase();
      connection.connectionString = database.url;
    },
    remove: () => database.drop(),
  };
}

async function connected<T>(connection: pg.ClientConfig, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

describe.each([
  { name: 'the embedded database', make: embeddedPlace },
  ...(TEST_DATABASE_URL ? [{ name: 'a PostgreSQL server', make: serverPlace }] : []),
])('migrations of $name', ({ make }) => {
  let place: Place;
  let folder: string;
  beforeAll(async () => void (place = await make()), 60_000);
  beforeEach(async () => {
    await place.fresh();
    folder = await mkdtemp(join(tmpdir(), 'skein-test-'));
    cpSync(MIGRATIONS, folder, { recursive: true });
  });
  afterEach(() => rm(folder, { recursive: true }));
  afterAll(() => place.remove());

  const run = () => connected(place.connection, (client) => migrate(client, silent, folder));
  const rows = <Row>(text: string) =>
    connected(place.connection, async (client) => (await client.query(text)).rows as Row[]);
  const add = (name: string, sql: string) => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'migration.sql'), sql);
  };

  test('each is applied once, in the order of the names, with the row that Prisma would write', async () => {
    add('20990102000000_second', 'insert into extra values (2);');
    add('20990101000000_first', 'create table extra (id int);');
    await run();
    await run();
    expect(await rows('select id from extra')).toEqual([{ id: 2 }]);
    const applied = await rows<{ migration_name: string }>('select * from _prisma_migrations order by started_at');
    expect(applied.map((row) => row.migration_name).slice(-2)).toEqual([
      '20990101000000_first',
      '20990102000000_second',
    ]);
    expect(applied.at(-1)).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      checksum: expect.stringMatching(/^[0-9a-f]{64}$/),
      finished_at: expect.any(Date),
      started_at: expect.any(Date),
      logs: null,
      rolled_back_at: null,
      applied_steps_count: 1,
    });
  });

  test('one that was changed after it had been applied stops the start and is named', async () => {
    add('20990101000000_extra', 'create table extra (id int);');
    await run();
    appendFileSync(join(folder, '20990101000000_extra', 'migration.sql'), '-- edited\n');
    add('20990102000000_later', 'create table later (id int);');
    await expect(run()).rejects.toThrow('The migration 20990101000000_extra was changed after it had been applied');
    expect(await rows(`select to_regclass('later') as later`)).toEqual([{ later: null }]);
  });

  test('one that fails leaves nothing of itself, keeps those before it, and works once it is mended', async () => {
    add('20990101000000_good', 'create table good (id int);');
    add('20990102000000_bad', 'create table bad (id int); select 1/0;');
    await expect(run()).rejects.toThrow(
      'The migration 20990102000000_bad failed and was rolled back: division by zero',
    );
    expect(await rows(`select to_regclass('good') as good, to_regclass('bad') as bad`)).toEqual([
      { good: 'good', bad: null },
    ]);
    writeFileSync(join(folder, '20990102000000_bad', 'migration.sql'), 'create table bad (id int);');
    await run();
    expect(await rows(`select to_regclass('bad') as bad`)).toEqual([{ bad: 'bad' }]);
  });

  test("one that Prisma's command began and did not finish stops the start", async () => {
    await run();
    await rows(
      `insert into _prisma_migrations (id, checksum, migration_name) values ('x', 'x', '20980101000000_begun')`,
    );
    await expect(run()).rejects.toThrow('20980101000000_begun was begun');
  });

  test('a database that a newer version has migrated is left as it is', async () => {
    add('20990101000000_newer', 'create table newer (id int);');
    await run();
    await rm(join(folder, '20990101000000_newer'), { recursive: true });
    await run();
    expect(await rows(`select to_regclass('newer') as newer`)).toEqual([{ newer: 'newer' }]);
  });

  test('a server before PostgreSQL 15 is refused in plain words', async () => {
    await connected(place.connection, async (client) => {
      const query = client.query.bind(client) as (text: string) => Promise<pg.QueryResult>;
      const old = {
        query: (text: string) =>
          query(text.includes('server_version_num') ? `select '140010' as number, '14.10' as version` : text),
      };
      await expect(migrate(old as unknown as pg.ClientBase, silent, folder)).rejects.toThrow(
        'names a PostgreSQL 14.10, and Skein needs PostgreSQL 15 or newer',
      );
    });
  });
});

if (TEST_DATABASE_URL) {
  test('processes that start at the same time on one empty server migrate it once', async () => {
    const { url, drop } = await serverDatabase();
    const options = { databaseUrl: url, dataDir: '', poolSize: 2, logger: silent };
    const databases = await Promise.all(Array.from({ length: 4 }, () => openDatabase(options)));
    const names = { name: 'names', text: 'select migration_name from _prisma_migrations', values: [] };
    const rows = await databases[0]!.query<{ migration_name: string }>(names);
    expect(new Set(rows.map((row) => row.migration_name)).size).toBe(rows.length);
    expect(rows.length).toBeGreaterThan(0);
    await Promise.all(databases.map((db) => db.close()));
    await drop();
  });
}

test('a server that cannot be reached is named without its password', async () => {
  const options = {
    databaseUrl: 'postgres://someone:secret@127.0.0.1:1/skein',
    dataDir: '',
    poolSize: 1,
    logger: silent,
  };
  const error = await openDatabase(options).then(
    () => null,
    (failed: Error) => failed,
  );
  expect(error?.message).toMatch(/^The database skein at 127\.0\.0\.1:1 cannot be reached: .*ECONNREFUSED/);
  expect(error?.message).not.toContain('secret');
});
