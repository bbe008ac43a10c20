import type { Server } from 'node:http';
import { getOperationAST, GraphQLError, type GraphQLFormattedError } from 'graphql';
import { CloseCode } from 'graphql-ws';
import { type Extra, useServer } from 'graphql-ws/use/ws';
import type { Logger } from 'pino';
import { WebSocketServer } from 'ws';
import { corkForNow } from '../cork.ts';
import type { Context } from '../graphql/context.ts';
import { maskError } from '../graphql/mask-error.ts';
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
/** How long a socket may take to say goodbye before it is cut off. */
const CLOSE_MS = 1000;
const TRY_AGAIN_LATER = 1013;

/**
 * GraphQL over WebSockets (graphql-transport-ws). A socket says who it is once, in its ConnectionInit; the key is
 * checked on every operation, and a socket whose key is revoked is closed.
 */
export function createWebSockets(options: WebSocketOptions): WebSockets {
  const { server, operations, logger } = options;
  const wss = new WebSocketServer({ noServer: true, maxPayload: options.maxMessageBytes, perMessageDeflate: false });
  const sessions = new Map<SocketExtra['socket'], Session>();
  // Keys that were ever heard to be revoked: the check of one may still be on its way back when that is heard.
  const revoked = new Set<string>();

  const upgrade: Parameters<typeof server.on>[1] = (request, socket, head) => {
    // Until a WebSocket takes it over, nobody else listens; a peer that resets must not take the process down.
    socket.on('error', (error) => logger.debug({ err: error }, 'a socket failed on its way up'));
    const { host, origin } = request.headers;
    const own = origin === `http://${host}` || origin === `https://${host}`;
    const path = request.url!.split('?', 1)[0];
    if (path !== GRAPHQL_PATH) return reject(socket, '404 Not Found');
    if (!isKnownHost(host, options.allowedHosts)) return reject(socket, '421 Misdirected Request');
    if (origin && !own && !isKnownOrigin(origin, options.corsOrigins)) return reject(socket, '403 Forbidden');
    wss.handleUpgrade(request, socket, head, (ws) => {
      const { send } = ws;
      // A burst of events is one write, not one for each of its frames.
      ws.send = function (...args: [never, never]) {
        corkForNow(request.socket);
        return send.apply(this, args);
      };
      wss.emit('connection', ws, request);
      // In place of a listener that writes to the console. The WebSocket closes itself, with the code that fits.
      ws.removeAllListeners('error');
      ws.on('error', (error) => logger.debug({ err: error }, 'a socket failed'));
    });
  };
  server.on('upgrade', upgrade);

  const graphql = useServer<Record<string, unknown>, SocketExtra>(
    {
      connectionInitWaitTimeout: 10_000,
      // Otherwise it tells peers the text of errors.
      isProd: true,
      async onConnect({ connectionParams, extra }) {
        const requestId = mintRequestId();
        const authorization = authorizationOf(connectionParams);
        try {
          const { viewer } = await options.context(authorization, requestId);
          const { socket } = extra;
          if (revoked.has(viewer.keyId)) return refuse(socket);
          if (socket.readyState !== socket.OPEN) return false;
          extra.session = { authorization: authorization!, keyId: viewer.keyId };
          sessions.set(socket, extra.session);
          socket.once('close', () => sessions.delete(socket));
          return true;
        } catch (error) {
          const { message, extensions } = maskError(error, requestId, logger);
          if (extensions.code === 'UNAUTHENTICATED') extra.socket.close(CloseCode.Unauthorized, message);
          else extra.socket.close(TRY_AGAIN_LATER, 'The key cannot be checked now');
          return false;
        }
      },
      async onSubscribe({ extra }, _id, { query, operationName, variables }) {
        const requestId = mintRequestId();
        try {
          const contextValue = await options.context(extra.session!.authorization, requestId);
          const document = operations.document(query);
          if (!('kind' in document)) return document;
          if (!getOperationAST(document, operationName)) return [unknownOperation(operationName)];
          return { schema: operations.schema, document, operationName, variableValues: variables, contextValue };
        } catch (error) {
          const masked = maskError(error, requestId, logger);
          if (masked.extensions.code === 'UNAUTHENTICATED') refuse(extra.socket);
          return [masked];
        }
      },
      execute: operations.execute,
      subscribe: operations.subscribe,
      onNext(_context, _id, _payload, _args, { errors, ...result }) {
        if (errors) return { ...result, errors: errors.map(withoutStatus) };
      },
    },
    wss,
    options.keepAliveMs,
  );

  const sendAway = (isGone: (session: Session) => boolean) => {
    for (const [socket, session] of sessions) if (isGone(session)) refuse(socket);
  };
  const offRevoked = options.onRevoked((keyId) => {
    revoked.add(keyId);
    sendAway((session) => session.keyId === keyId);
  });
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
      const cut = setTimeout(() => wss.clients.forEach((client) => client.terminate()), CLOSE_MS);
      await graphql.dispose();
      clearTimeout(cut);
    },
  };
}

function refuse(socket: SocketExtra['socket']): false {
  socket.close(CloseCode.Forbidden, 'The key is revoked');
  return false;
}

/** The status that HTTP would answer with is of no use here. */
function withoutStatus(error: GraphQLError): GraphQLFormattedError {
  const { extensions = {}, ...rest } = error.toJSON();
  const { http: _status, ...others } = extensions;
  return { ...rest, extensions: others };
}

function unknownOperation(operationName: string | null | undefined): GraphQLError {
  const message = operationName
    ? `The document has no operation ${operationName}.`
    : 'operationName must say which operation is meant.';
  return new GraphQLError(message, { extensions: { code: 'OPERATION_RESOLUTION_FAILURE' } });
}

/** `Authorization: Bearer …` in the connection's parameters, by either spelling. */
function authorizationOf(params: Record<string, unknown> | undefined): string | null {
  const given = params?.Authorization ?? params?.authorization;
  return typeof given === 'string' ? given : null;
}

function reject(socket: { end(text: string): void }, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
