import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { PGlite } from '@electric-sql/pglite';
import { FrontendMessages, type Unit } from './frontend-messages.ts';

/** One client of the embedded server. */
interface Connection {
  socket: Socket;
  messages: FrontendMessages;
  /** Whole units that wait for the session. */
  ready: Unit[];
  closed: boolean;
}

/**
 * Lets many connections use PGlite, which is one PostgreSQL session without a network side.
 *
 * The session is handed over in units that end where a client waits for an answer (Sync, or a simple query), and never
 * inside of a transaction: unnamed statements and portals belong to the session, so clients that alternate message by
 * message would get each other's rows. What the session does share is everything else: settings, temporary tables,
 * LISTEN.
 */
export async function serveConnections(pglite: PGlite, path: string): Promise<{ close(): Promise<void> }> {
  const open = new Set<Connection>();
  const waiting: Connection[] = [];
  /** Whose transaction, or whose unfinished unit, the session is in. */
  let holder: Connection | undefined;
  let pumping: Promise<void> | undefined;
  let opened = 0;
  let closing = false;

  async function pump(): Promise<void> {
    for (;;) {
      const connection = holder ?? waiting[0];
      if (!connection || !waiting.includes(connection)) return;
      waiting.splice(waiting.indexOf(connection), 1);
      const units = connection.closed
        ? [connection.messages.farewell(holder === connection)]
        : connection.ready.splice(0);
      await pglite.execProtocolRawStream(Buffer.concat(units.map((unit) => unit.bytes)), {
        onRawData: (data) => {
          if (!connection.closed) connection.socket.write(Buffer.from(data)); // a copy: the bytes are the session's memory
        },
      });
      holder = pglite.isInTransaction() || !units.at(-1)!.complete ? connection : undefined;
    }
  }

  function enqueue(connection: Connection): void {
    if (closing) return; // the session ends, and takes transactions and statements with it
    if (!waiting.includes(connection)) waiting.push(connection);
    // A failure here is the session's own (the database inside is broken): it must end the worker, so nobody catches it.
    pumping ??= pump().finally(() => (pumping = undefined));
  }

  const server = createServer((socket) => {
    const connection: Connection = {
      socket,
      messages: new FrontendMessages(`${(opened++).toString(36)}:`),
      ready: [],
      closed: false,
    };
    open.add(connection);
    socket.on('data', (data) => {
      const { units, reply, end } = connection.messages.push(data);
      if (reply) socket.write(reply);
      connection.ready.push(...units);
      if (units.length) enqueue(connection);
      if (end) socket.end();
    });
    socket.on('error', () => socket.destroy()); // the client went away in the middle of an answer; `close` follows
    socket.on('close', () => {
      open.delete(connection);
      connection.closed = true;
      enqueue(connection);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    async close() {
      closing = true;
      const closed = new Promise((resolve) => server.close(resolve));
      for (const { socket } of open) socket.destroy();
      await closed;
      await pumping;
      rmSync(path, { force: true });
    },
  };
}
