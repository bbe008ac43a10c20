import { createServer, connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { connect, type Connection, type Token } from '../../src/client/connection.ts';
import type { TestSkein } from '../skein.ts';

/** What a client asked for on a WebSocket. */
export interface Subscribed {
  /** Of the sockets that were opened, the how manieth: 1 is the first. */
  socket: number;
  operation: string;
  variables: Record<string, unknown>;
}

/** The way from one client to a server, in the hands of a test: it can be cut and held, and is written down. */
export interface Wire {
  /** A client behind it. */
  readonly connection: Connection;
  /** Every subscription that was begun. */
  readonly subscribed: readonly Subscribed[];
  /** The payload of every `connection_init`. */
  readonly greetings: readonly unknown[];
  /** HTTP requests that were made. */
  readonly requests: readonly string[];
  /** TCP connections that are open now. */
  readonly open: number;
  /** Ends every connection that is open, without a word to either side. */
  cut(): void;
  /** From now on each connection to the server ends, in the middle of whatever it is, behind so many bytes of the server's. */
  cutAfter(bytes: () => number): void;
  /** Lets nothing through any more, and leaves everything open: a network that is gone without having said so. */
  hold(): void;
  /** Lets nobody in, until `admit`. */
  refuse(): Promise<void>;
  admit(): Promise<void>;
  /** Called for each HTTP request: the answer in place of the server's, or null. */
  answer: ((body: string) => string | null) | null;
  close(): Promise<void>;
}

interface WireOptions {
  token?: Token;
}

export async function openWire(skein: Pick<TestSkein, 'url' | 'key'>, { token = skein.key }: WireOptions = {}): Promise<Wire> {
  const behind = new URL(skein.url);
  const pairs = new Set<[Socket, Socket]>();
  const requests: string[] = [];
  let held = false;
  let bytesOf = () => Infinity;

  const server = createServer((socket) => {
    const other = connectTcp(Number(behind.port), behind.hostname);
    const pair: [Socket, Socket] = [socket, other];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      for (const one of pair) one.destroy();
    };
    for (const one of pair) one.on('error', end).on('close', end);
    let left = bytesOf();
    other.on('data', (chunk: Buffer) => {
      if (chunk.length < left) {
        left -= chunk.length;
        socket.write(chunk);
        return;
      }
      socket.write(chunk.subarray(0, left), end);
      left = 0;
    });
    socket.on('data', (chunk: Buffer) => {
      const text = String(chunk);
      if (!text.startsWith('POST ')) {
        other.write(chunk);
        return;
      }
      requests.push(text);
      const answered = wire.answer?.(text) ?? null;
      if (answered === null) other.write(chunk);
      else socket.end(answered);
    });
    if (held) for (const one of pair) one.pause();
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const unlisten = () => new Promise<void>((resolve) => void server.close(() => resolve()));
  await listen(0);
  const { port } = server.address() as AddressInfo;

  const subscribed: Subscribed[] = [];
  const greetings: unknown[] = [];
  let sockets = 0;
  class WrittenDown extends WebSocket {
    readonly #number = ++sockets;
    override send(data: string): void {
      const { type, payload } = JSON.parse(data) as { type: string; payload?: never };
      if (type === 'connection_init') greetings.push(payload);
      if (type === 'subscribe') subscribed.push({ socket: this.#number, ...operationOf(payload!) });
      super.send(data);
    }
  }

  const cut = () => {
    for (const [socket, other] of pairs) {
      socket.resetAndDestroy();
      other.destroy();
    }
  };
  const wire: Wire = {
    connection: connect({ url: `http://127.0.0.1:${port}/graphql`, token, webSocketImpl: WrittenDown }),
    subscribed,
    greetings,
    requests,
    get open() {
      return pairs.size;
    },
    cut,
    cutAfter: (bytes) => (bytesOf = bytes),
    hold() {
      held = true;
      for (const pair of pairs) for (const one of pair) one.pause();
    },
    async refuse() {
      const gone = unlisten();
      cut();
      await gone;
    },
    async admit() {
      held = false;
      await listen(port);
    },
    answer: null,
    async close() {
      wire.connection.close();
      const gone = unlisten();
      cut();
      await gone;
    },
  };
  return wire;
}

function operationOf({ query, variables }: { query: string; variables?: Record<string, unknown> }) {
  return { operation: /\bsubscription (\w+)/.exec(query)?.[1] ?? '', variables: variables ?? {} };
}
