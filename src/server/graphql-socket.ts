import type { Socket } from 'node:net';
import { CloseCode, MessageType, type Server, stringifyMessage } from 'graphql-ws';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import { corkForNow } from '../cork.ts';

export interface GraphqlSocketOptions<Extra> {
  ws: WebSocket;
  /** What `ws` writes to. */
  socket: Socket;
  protocol: Server<Extra>;
  extra: Extra;
  /** While this many bytes are unsent, no other result is made. */
  bufferBytes: number;
  /** Messages that may be at work at once; while there are more, no other is read. */
  mostAtWork: number;
  /** The client has sent something. */
  onHeard(): void;
  logger: Logger;
}

export interface GraphqlSocket {
  /** To be waited for before a result is sent; null = there is room now. */
  room(): Promise<void> | null;
  /** Settled when nothing of the socket is at work any more. */
  readonly idle: Promise<void>;
}

/** Characters of a ping's payload, as JSON, that the pong repeats; it may leave them out. */
const ECHO_CHARACTERS = 1000;

/**
 * Connects a WebSocket with the protocol. Results are made one at a time and wait for room, so that what is unsent is
 * at most the buffer and one result, however large; and what a client asks for faster than it is answered stays on its
 * own side.
 */
export function openGraphqlSocket<Extra>(options: GraphqlSocketOptions<Extra>): GraphqlSocket {
  const { ws, socket, protocol, bufferBytes, mostAtWork, logger } = options;
  let unsent = 0;
  // Whether a result is being made; how large it is shows when it is sent.
  let isMaking = false;
  const waiting: (() => void)[] = [];
  let atWork = 0;
  const idle = Promise.withResolvers<void>();
  const isOpen = () => ws.readyState === ws.OPEN;

  function letIn(): void {
    if (!isOpen()) for (const goOn of waiting.splice(0)) goOn();
    if (isMaking || unsent >= bufferBytes || waiting.length === 0) return;
    isMaking = true;
    waiting.shift()!();
  }

  function send(text: string): Promise<void> {
    isMaking = false;
    if (!isOpen()) {
      letIn();
      return Promise.resolve();
    }
    const size = Buffer.byteLength(text);
    unsent += size;
    return new Promise((resolve) => {
      // A burst of events is one write, not one for each of its frames.
      corkForNow(socket);
      ws.send(text, (error) => {
        unsent -= size;
        // One that is not sent is on a socket that is gone; its subscriptions end by that.
        if (error) logger.debug({ err: error }, 'a message was not sent');
        resolve();
        letIn();
      });
      letIn();
    });
  }

  async function work(handle: (text: string) => Promise<void>, text: string): Promise<void> {
    atWork += 1;
    if (atWork >= mostAtWork) ws.pause();
    try {
      await handle(text);
    } catch (error) {
      logger.error({ err: error }, 'a message of a socket failed');
      ws.close(CloseCode.InternalServerError, 'Something went wrong here');
    } finally {
      atWork -= 1;
      if (ws.isPaused && atWork < mostAtWork) ws.resume();
      if (atWork === 0 && ws.readyState === ws.CLOSED) idle.resolve();
    }
  }

  const closed = protocol.opened(
    {
      protocol: ws.protocol,
      send,
      close: (code, reason) => ws.close(code, reason),
      onPing(payload) {
        const short = payload && JSON.stringify(payload).length <= ECHO_CHARACTERS;
        return send(stringifyMessage({ type: MessageType.Pong, ...(short ? { payload } : {}) }));
      },
      onMessage: (handle) =>
        ws.on('message', (data) => {
          options.onHeard();
          if (isOpen()) void work(handle, String(data));
        }),
    },
    options.extra,
  );
  ws.on('ping', options.onHeard);
  ws.on('pong', options.onHeard);
  ws.once('close', (code, reason) => {
    letIn();
    closed(code, String(reason)).then(
      () => {
        if (atWork === 0) idle.resolve();
      },
      (error: unknown) => {
        logger.error({ err: error }, 'closing a socket failed');
        idle.resolve();
      },
    );
  });

  return {
    room() {
      if (!isOpen()) return null;
      if (!isMaking && unsent < bufferBytes && waiting.length === 0) {
        isMaking = true;
        return null;
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
    idle: idle.promise,
  };
}
