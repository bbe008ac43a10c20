import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import pg from 'pg';
import type { Logger } from 'pino';
import type { DbOptions } from './db.ts';

export interface ListenOptions {
  connection: DbOptions['connection'];
  /** The channel of NOTIFY; an identifier. */
  channel: string;
  /** What another connection has sent. */
  onPayload(payload: string): void;
  /** Another connection has begun to listen. */
  onGreeting(): void;
  /** From now on everything is heard; what was sent before was not. */
  onListening(): void;
  onLost(): void;
  /** Milliseconds to wait before the attempt after `failures` of them. */
  backoffMs(failures: number): number;
  logger: Logger;
}

/** One connection that listens to a channel, and speaks on it. It is made again whenever it is lost. */
export interface Listening {
  /** Settled behind the first attempt, whatever came of it. */
  readonly tried: Promise<void>;
  /** Why nothing is heard now; null = everything is. */
  readonly problem: string | null;
  /** Sends payloads of less than 8000 bytes each, in one transaction. Rejects when there is no connection. */
  notify(payloads: string[]): Promise<void>;
  close(): Promise<void>;
}

/** A statement that takes longer has lost its connection; so has a connection that does not answer when asked. */
const STATEMENT_MS = 5000;
const ASK_EVERY_MS = 10_000;

export function createListening(options: ListenOptions): Listening {
  const { connection, channel, onPayload, onGreeting, onListening, onLost, backoffMs, logger } = options;
  const tried = Promise.withResolvers<void>();
  const closing = Promise.withResolvers<void>();
  let closed = false;
  let client: pg.Client | null = null;
  let problem: string | null = 'It is not connected yet.';
  let failures = 0;
  const life = live();

  async function live(): Promise<void> {
    while (!closed) {
      const lost = await listenOnce();
      if (closed) break;
      problem = `The connection is lost: ${lost.message}.`;
      // Once for each time it is lost, not for each attempt.
      if (failures === 0) logger.warn({ err: lost }, 'the connection that listens for wake-ups is lost; trying again');
      tried.resolve();
      await orClosing(backoffMs(failures++));
    }
    tried.resolve();
  }

  /** Answers with what ended it, once it is over. */
  async function listenOnce(): Promise<Error> {
    const own = new pg.Client({
      ...connection,
      application_name: 'skein wake-ups',
      keepAlive: true,
      connectionTimeoutMillis: STATEMENT_MS,
      query_timeout: STATEMENT_MS,
    });
    const over = Promise.withResolvers<Error>();
    own.on('error', over.resolve);
    own.on('end', () => over.resolve(new Error('the server has closed it')));
    let asking: NodeJS.Timeout | undefined;
    try {
      await Promise.race([own.connect(), closing.promise]);
      if (closed) return new Error('closed');
      await listen(own);
      client = own;
      if (failures > 0) logger.info('wake-ups are heard again');
      failures = 0;
      problem = null;
      onListening();
      tried.resolve();
      asking = setInterval(() => own.query('select 1').catch(over.resolve), ASK_EVERY_MS);
      return await Promise.race([over.promise, closing.promise.then(() => new Error('closed'))]);
    } catch (error) {
      return error as Error;
    } finally {
      clearInterval(asking);
      if (client === own) {
        client = null;
        onLost();
      }
      await end(own);
    }
  }

  async function listen(own: pg.Client): Promise<void> {
    // What is sent here has no rows: it must not wait for the disk while it keeps other senders waiting.
    await own.query('set synchronous_commit = off');
    const greeting = `hello ${randomBytes(9).toString('base64url')}`;
    const greeted = Promise.withResolvers<number>();
    own.on('notification', ({ payload, processId }) => {
      if (payload === greeting) greeted.resolve(processId);
      else if (!payload || processId === pidOf(own)) return;
      else if (payload.startsWith('hello ')) onGreeting();
      else onPayload(payload);
    });
    await own.query(`listen ${channel}`);
    await own.query('select pg_notify($1, $2)', [channel, greeting]);
    // A pooler that lends connections out by the transaction listens with one and speaks with another.
    const timer = setTimeout(() => greeted.resolve(-1), STATEMENT_MS);
    const heardFrom = await greeted.promise;
    clearTimeout(timer);
    if (heardFrom !== pidOf(own)) {
      throw new Error('it does not hear itself: LISTEN needs a session, which a connection pooler may not keep');
    }
  }

  async function orClosing(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([new Promise((resolve) => (timer = setTimeout(resolve, ms))), closing.promise]);
    clearTimeout(timer);
  }

  return {
    tried: tried.promise,
    get problem() {
      return problem;
    },
    async notify(payloads) {
      const speaker = client;
      if (!speaker) throw new Error('there is no connection to notify with');
      try {
        await speaker.query({
          name: 'notify',
          text: 'select pg_notify($1, payload) from unnest($2::text[]) payload',
          values: [channel, payloads],
        });
      } catch (error) {
        cut(speaker);
        throw error;
      }
    },
    async close() {
      closed = true;
      closing.resolve();
      await life;
    },
  };
}

/** The server's process behind a connection, which is not part of pg's types. */
const pidOf = (client: pg.Client): number => (client as unknown as { processID: number }).processID;

/** Says good-bye, but does not wait for a server that does not answer. */
async function end(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => cut(client), 1000);
  await client.end().catch(() => cut(client)); // it was never connected, or is gone
  clearTimeout(timer);
}

const cut = (client: pg.Client): void =>
  void (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
