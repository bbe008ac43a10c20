import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A port in front of another server's, through which nothing passes while it is shut. */
export interface Gate {
  readonly port: number;
  /** Cuts what is open, and refuses what comes. */
  shut(): void;
  open(): void;
  /** Cuts what is open; what comes is let in. */
  cut(): void;
  readonly connections: number;
  /** The addresses under which the server knows what passes. */
  readonly ways: string[];
  close(): Promise<void>;
}

export async function openGate(target: { host: string; port: number }): Promise<Gate> {
  const pairs = new Set<[Socket, Socket]>();
  let isShut = false;
  const server = createServer((near) => {
    if (isShut) return void near.destroy();
    const far = connect(target.port, target.host);
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const [near, far] of pairs) {
      near.destroy();
      far.destroy();
    }
  };
  return {
    port: (server.address() as AddressInfo).port,
    shut() {
      isShut = true;
      cut();
    },
    open() {
      isShut = false;
    },
    cut,
    get connections() {
      return pairs.size;
    },
    get ways() {
      return [...pairs].map(([, far]) => `${far.localAddress}:${far.localPort}`);
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
}
