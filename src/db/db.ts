import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import pg from 'pg';
import { PrismaPg } from '@prisma/adapter-pg';
import { corkForNow } from '../cork.ts';
import { PrismaClient } from '../generated/prisma/client.ts';
import { exclusively } from './exclusively.ts';

/** One prepared statement. `name` identifies its text for the life of a connection: same name, same text. */
export interface Sql {
  name: string;
  text: string;
  values: unknown[];
}

export interface Queryable {
  /** Runs one statement. Calls that are not awaited between each other share a round trip inside a transaction. */
  query<Row = Record<string, unknown>>(sql: Sql): Promise<Row[]>;
}

/**
 * A transaction. Whatever writes takes one as its first argument, so that callers compose; whatever must only happen
 * once it is committed (a wake-up, a publication) goes through `afterCommit`.
 */
export interface Tx extends Queryable {
  /**
   * Runs one statement whose result nobody needs: it travels with the next one, or with the COMMIT, in the same round
   * trip, and its failure fails the transaction.
   */
  write(sql: Sql): void;
  afterCommit(action: () => void): void;
}

export interface Db extends Queryable {
  /** Prisma's client, for the quiet nouns (projects, keys, assistants). */
  readonly prisma: PrismaClient;
  readonly embedded: boolean;
  /**
   * A connection apart, for what all runs of the process wait for: it does not stand in line behind everybody's
   * transactions, which are hundreds when hundreds of runs begin or end at once.
   */
  readonly express: Queryable;
  /** READ COMMITTED unless said otherwise. `snapshot` = REPEATABLE READ, READ ONLY. */
  tx<T>(work: (tx: Tx) => Promise<T>, mode?: 'write' | 'snapshot'): Promise<T>;
  /**
   * Runs `work` unless another process is at the work of this name on this database; null then. `lost` is aborted when
   * the database no longer knows of it, so that another process may begin.
   */
  exclusively<T>(name: string, work: (lost: AbortSignal) => Promise<T>): Promise<T | null>;
  close(): Promise<void>;
}

export interface DbOptions {
  /** How to reach the server: a connection string, or the folder of a unix socket (embedded). */
  connection:
    | { connectionString: string }
    | { host: string; port: number; user: string; database: string; password: string; ssl: boolean };
  embedded: boolean;
  poolSize: number;
  logger: Logger;
}

const BEGIN = {
  write: { name: 'begin', text: 'begin', values: [] },
  snapshot: { name: 'begin-snapshot', text: 'begin isolation level repeatable read, read only', values: [] },
};
const COMMIT = { name: 'commit', text: 'commit', values: [] };
const ROLLBACK = { name: 'rollback', text: 'rollback', values: [] };

export function createDb({ connection, embedded, poolSize, logger }: DbOptions): Db {
  const openPool = (max: number): pg.Pool => {
    const pool = new pg.Pool({
      ...connection,
      max,
      // A server's connections stay: what they have prepared is worth more than the place they take.
      idleTimeoutMillis: 0,
      connectionTimeoutMillis: 30_000,
      pipeline: true,
    } as pg.PoolConfig);
    pool.on('error', (error) => logger.warn({ err: error }, 'an idle database connection failed'));
    // While a connection is lent out the pool does not listen to it, and an error nobody listens to ends the process.
    pool.on('connect', (client) =>
      client.on('error', (error) => logger.debug({ err: error }, 'a database connection failed')),
    );
    return pool;
  };
  // The embedded server runs one session behind all of its sockets, so transactions exclude each other there: waiting
  // for the one connection costs less than waiting inside of the server.
  const pool = openPool(embedded ? 1 : poolSize);
  const express = openPool(1);
  const prisma = new PrismaClient({
    adapter: new PrismaPg({
      ...connection,
      max: embedded ? 2 : Math.max(2, Math.ceil(poolSize / 2)),
      connectionTimeoutMillis: 30_000,
    }),
    // Its other formats put arguments into the text of errors, and so what people said into the log.
    errorFormat: 'minimal',
  });

  const run = async <Row>(client: pg.PoolClient, sql: Sql): Promise<Row[]> => {
    corkForNow(socketOf(client));
    return (await client.query({ name: sql.name, text: sql.text, values: sql.values })).rows as Row[];
  };

  // Not pool.query: that drops the connection, and with it every prepared statement, after each error.
  const by = (lender: pg.Pool): Queryable => ({
    async query(sql) {
      const client = await lender.connect();
      try {
        return await run(client, sql);
      } finally {
        client.release();
      }
    },
  });

  return {
    prisma,
    embedded,
    query: by(pool).query,
    express: by(express),
    async tx(work, mode = 'write') {
      const client = await pool.connect();
      const after: (() => void)[] = [];
      let broken: Error | undefined;
      let committed = false;
      let over = false;
      let failure = undefined as { error: unknown } | undefined;
      /** Of a query: whoever awaits it decides what it means, unless it has aborted the transaction. */
      let rejected = undefined as { error: unknown } | undefined;
      const sent: Promise<unknown>[] = [];
      const send = <Row>(sql: Sql): Promise<Row[]> => {
        const answer = over ? Promise.reject(late(sql)) : run<Row>(client, sql);
        sent.push(answer);
        return answer;
      };
      try {
        const note = (error: unknown) => {
          failure ??= { error };
        };
        send(BEGIN[mode]).catch(note);
        const result = await work({
          query<Row>(sql: Sql) {
            const answer = send<Row>(sql);
            // One that never reached the server has not aborted the transaction there.
            answer.catch((error: unknown) => (sqlState(error) === null ? note(error) : (rejected ??= { error })));
            return answer;
          },
          write(sql) {
            if (over) throw late(sql);
            send(sql).catch(note);
          },
          afterCommit: (action) => after.push(action),
        });
        over = true;
        // The server answers COMMIT of a failed transaction with ROLLBACK and no error: a statement whose failure
        // nobody awaited must not pass for a commit.
        corkForNow(socketOf(client));
        const { command } = await client.query(COMMIT);
        committed = true;
        await Promise.allSettled(sent); // answered before the COMMIT, but perhaps not yet noted
        if (failure) throw failure.error;
        if (command !== 'COMMIT')
          throw rejected?.error ?? new Error(`the transaction was rolled back by the server (${command})`);
        for (const action of after) {
          try {
            action();
          } catch (error) {
            logger.error({ err: error }, 'an action after a commit failed'); // which the commit has not
          }
        }
        return result;
      } catch (error) {
        over = true;
        if (!committed) await run(client, ROLLBACK).catch((failed: Error) => (broken = failed));
        throw failure?.error ?? error; // what failed first; the rest only says that the transaction is aborted
      } finally {
        client.release(broken);
      }
    },
    exclusively: (name, work) =>
      // The process that holds the data folder is alone.
      embedded ? work(new AbortController().signal) : exclusively(connection, name, work, logger),
    async close() {
      await prisma.$disconnect();
      await Promise.all([pool.end(), express.end()]);
    },
  };
}

/** The socket under a connection, which is not part of pg's types. */
const socketOf = (client: pg.PoolClient): Socket =>
  (client as unknown as { connection: { stream: Socket } }).connection.stream;

const late = (sql: Sql): Error => new Error(`the statement ${sql.name} came after the end of its transaction`);

/** SQLSTATE of a database error, or null. */
export function sqlState(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}

export const UNIQUE_VIOLATION = '23505';
/** Two transactions waited for each other, and the database has rolled this one back: it may be tried again. */
export const DEADLOCK = '40P01';
export const NO_TABLE = '42P01';

/** Name of the unique key that an error says was violated, or null when it says something else. */
export function violatedKey(error: unknown): string | null {
  if (sqlState(error) !== UNIQUE_VIOLATION) return null;
  return (error as { constraint?: string }).constraint ?? null;
}
