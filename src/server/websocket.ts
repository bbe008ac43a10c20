import type { Server } from 'node:http';
import { CloseCode } from 'graphql-ws';
import { type Extra, useServer } from 'graphql-ws/use/ws';
import type { Logger } from 'pino';
import { WebSocketServer } from 'ws';
import type { Context } from '../graphql/context.ts';
import type { Operations } from '../graphql/operation.ts';
import { isKnownHost, isKnownOrigin } from './hosts.ts';
import { GRAPHQL_PATH } from './http.ts';
import { mintRequestId } from './request-id.ts';

export interface WebSocketOptions {
  server: Server;
  operations: Operations;
  /** Makes the context of one operation, or throws UNAUTHENTICATED. */
  context(authorization: string | null, requestId: string): Promise<Context>;
  /** Which of these keys are still good. */
  stillGood(keyIds: string[]): Promise<Set<string>>;
  /** Calls back with the id of every key that is revoked. */
  onRevoked(listener: (keyId: string) => void): () => void;
  allowedHosts: readonly string[];
  corsOrigins: readonly string[] | null;
  maxMessageBytes: number;
  keepAliveMs: number;
  logger: Logger;
}

export interface WebSockets {
  /** Open sockets. */
  readonly connections: number;
  /** Sends everybody away with 1001, going away. */
  close(): Promise<void>;
}

/** What we know of a socket from its ConnectionInit on. */
interface Session {
  authorization: string;
  keyId: string;
}
type SocketExtra = Extra & { session?: Session } & Record<PropertyKey, unknown>;

/** Keys of open sockets are looked at again this often, in case a revocation was not heard of. */
const RECHECK_MS = 30_000;

/**
 * GraphQL over WebSockets (graphql-transport-ws). A socket says who it is once, in its ConnectionInit; the key is
 * checked on every operation, and a socket whose key is revoked is closed.
 */
export function createWebSockets(options: WebSocketOptions): WebSockets {
  const { server, operations, logger } = options;
  const wss = new WebSocketServer({ noServer: true, maxPayload: options.maxMessageBytes, perMessageDeflate: false });
  const sessions = new Map<SocketExtra['socket'], Session>();

  const upgrade: Parameters<typeof server.on>[1] = (request, socket, head) => {
    const { host, origin } = request.headers;
    const own = origin === `http://${host}` || origin === `https://${host}`;
    const path = request.url!.split('?', 1)[0];
    if (path !== GRAPHQL_PATH) return reject(socket, '404 Not Found');
    if (!isKnownHost(host, options.allowedHosts)) return reject(socket, '421 Misdirected Request');
    if (origin && !own && !isKnownOrigin(origin, options.corsOrigins)) return reject(socket, '403 Forbidden');
    wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request));
  };
  server.on('upgrade', upgrade);

  const graphql = useServer<Record<string, unknown>, SocketExtra>(
    {
      connectionInitWaitTimeout: 10_000,
      async onConnect({ connectionParams, extra }) {
        const authorization = authorizationOf(connectionParams);
        try {
          const { viewer } = await options.context(authorization, mintRequestId());
          extra.session = { authorization: authorization!, keyId: viewer.keyId };
          sessions.set(extra.socket, extra.session);
          return true;
        } catch (error) {
          logger.debug({ err: error }, 'a socket without a good key');
          extra.socket.close(CloseCode.Unauthorized, 'Unauthorized: connectionParams need { "Authorization": "Bearer <key>" }');
          return false;
        }
      },
      async onSubscribe({ extra }, _id, { query, operationName, variables }) {
        const document = operations.document(query);
        if (!('kind' in document)) return document;
        try {
          const contextValue = await options.context(extra.session!.authorization, mintRequestId());
          return { schema: operations.schema, document, operationName, variableValues: variables, contextValue };
        } catch (error) {
          extra.socket.close(CloseCode.Forbidden, 'The key is revoked');
          throw error;
        }
      },
      execute: operations.execute,
      subscribe: operations.subscribe,
      onDisconnect({ extra }) {
        sessions.delete(extra.socket);
      },
    },
    wss,
    options.keepAliveMs,
  );

  const sendAway = (isGone: (session: Session) => boolean) => {
    for (const [socket, session] of sessions) if (isGone(session)) socket.close(CloseCode.Forbidden, 'The key is revoked');
  };
  const offRevoked = options.onRevoked((keyId) => sendAway((session) => session.keyId === keyId));
  const recheck = setInterval(() => {
    const keyIds = [...new Set([...sessions.values()].map(({ keyId }) => keyId))];
    if (keyIds.length === 0) return;
    options.stillGood(keyIds).then(
      (good) => sendAway(({ keyId }) => !good.has(keyId)),
      (error: unknown) => logger.warn({ err: error }, 'checking the keys of open sockets failed; trying again'),
    );
  }, RECHECK_MS);

  return {
    get connections() {
      return wss.clients.size;
    },
    async close() {
      offRevoked();
      clearInterval(recheck);
      server.off('upgrade', upgrade);
      await graphql.dispose();
    },
  };
}

/** `Authorization: Bearer …` in the connection's parameters, by either spelling. */
function authorizationOf(params: Record<string, unknown> | undefined): string | null {
  const given = params?.Authorization ?? params?.authorization;
  return typeof given === 'string' ? given : null;
}

function reject(socket: { end(text: string): void }, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
