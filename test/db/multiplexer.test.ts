import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Embedded, openEmbedded } from '../../src/db/embedded.ts';
import { FrontendMessages } from '../../src/db/frontend-messages.ts';
import { silent } from '../database.ts';

let dataDir: string;
let embedded: Embedded;
const clients: pg.Client[] = [];

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'skein-test-'));
  embedded = await openEmbedded({ dataDir, logger: silent });
}, 60_000);
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
});
afterAll(async () => {
  await embedded.close();
  await rm(dataDir, { recursive: true });
});

async function client(options: object = {}): Promise<pg.Client> {
  const made = new pg.Client({
    host: embedded.socketDir,
    port: 5432,
    user: 'postgres',
    database: 'postgres',
    ssl: false,
    ...options,
  });
  await made.connect();
  clients.push(made);
  return made;
}

test('clients that send unnamed statements of any size at the same time each get their own answers and errors', async () => {
  const pool = await Promise.all(Array.from({ length: 5 }, (_, index) => client({ pipeline: index % 2 === 0 })));
  await Promise.all(
    pool.map(async (own, number) => {
      for (let round = 0; round < 150; round++) {
        const text = 'x'.repeat((round * 7919 * (number + 1)) % 90_000);
        const column = `c${number}_${round % 7}`;
        const { rows } = await own.query(`select $1::int as ${column}, $2::text as text`, [round, text]);
        expect(rows[0][column]).toBe(round);
        expect(rows[0].text === text).toBe(true);
        if (round % 5 === 0) await expect(own.query('select 1 / $1::int', [0])).rejects.toThrow('division by zero');
      }
    }),
  );
}, 60_000);

test('the same name is another statement on another connection, and on the next one after a connection is gone', async () => {
  const one = await client();
  const two = await client();
  const named = (text: string) => ({ name: 'same', text });
  expect((await one.query(named('select 1 as it'))).rows).toEqual([{ it: 1 }]);
  expect((await two.query(named('select 2 as it'))).rows).toEqual([{ it: 2 }]);
  expect((await one.query(named('select 1 as it'))).rows).toEqual([{ it: 1 }]);
  clients.splice(clients.indexOf(one), 1);
  await one.end();
  const three = await client();
  expect((await three.query(named('select 3 as it'))).rows).toEqual([{ it: 3 }]);
  expect((await two.query('select count(*)::int as count from pg_prepared_statements')).rows).toEqual([{ count: 2 }]);
});

test('the transaction of a client that goes away is rolled back, and those who waited for it go on', async () => {
  const leaving = await client();
  const other = await client();
  await other.query('create table thing (id int)');
  await leaving.query('begin');
  await leaving.query('insert into thing values (1)');
  const waiting = other.query('select count(*)::int as count from thing');
  clients.splice(clients.indexOf(leaving), 1);
  leaving.on('error', () => {}); // the connection is cut on purpose
  (leaving as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  expect((await waiting).rows).toEqual([{ count: 0 }]);
});

test('a client that reads in pages keeps the session between its pages', async () => {
  const paging = await client();
  const other = await client({ pipeline: true });
  const pages = new pg.Query({
    text: 'select * from generate_series(1, 50) as n',
    rows: 7,
    values: [],
  } as pg.QueryConfig);
  const numbers: number[] = [];
  const done = new Promise((resolve, reject) => {
    pages.on('row', (row: { n: number }) => numbers.push(row.n));
    pages.on('end', resolve);
    pages.on('error', reject);
  });
  paging.query(pages);
  const others = Promise.all(Array.from({ length: 20 }, (_, index) => other.query('select $1::int as n', [index])));
  await done;
  expect(numbers).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  expect((await others).map(({ rows }) => rows[0].n)).toEqual(Array.from({ length: 20 }, (_, index) => index));
});

test('an offer to encrypt is declined and a request to cancel closes the connection', async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(join(embedded.socketDir, '.s.PGSQL.5432'));
    let seen = '';
    socket.on('data', (data) => {
      seen += data.toString('latin1');
      socket.write(request(80877102, 1, 2)); // cancel
    });
    socket.on('end', () => resolve(seen)).on('error', reject);
    socket.write(request(80877103)); // encrypt
  });
  expect(answer).toBe('N');
});

test('messages that arrive byte by byte make the same units as those that arrive at once', () => {
  const startup = request(196608, 0);
  const parse = message('P', 'one\0select 1\0\0\0');
  const bind = message('B', '\0one\0\0\0\0\0\0\0');
  const sync = message('S', '');
  const bytes = Buffer.concat([startup, parse, bind, message('H', ''), sync, message('Q', 'select 2\0')]);
  const whole = new FrontendMessages('p:').push(bytes).units;
  const messages = new FrontendMessages('p:');
  const pieces = [...bytes].flatMap((byte) => messages.push(Buffer.from([byte])).units);
  expect(pieces).toEqual(whole);
  expect(whole.map((unit) => unit.complete)).toEqual([true, false, true, true]);
  expect(whole[1]!.bytes.toString('latin1')).toContain('p:one\0select 1');
});

function request(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(4 + 4 * numbers.length);
  [bytes.length, ...numbers].forEach((number, index) => bytes.writeInt32BE(number, 4 * index));
  return bytes;
}

function message(type: string, body: string): Buffer {
  const bytes = Buffer.concat([Buffer.from(type), Buffer.alloc(4), Buffer.from(body)]);
  bytes.writeInt32BE(bytes.length - 1, 1);
  return bytes;
}
