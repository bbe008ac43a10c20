import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { getOperationAST, GraphQLError, type GraphQLFormattedError } from 'graphql';
import { CloseCode, handleProtocols, makeServer } from 'graphql-ws';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ClientToken } from '../auth/client-tokens.ts';
import type { Context } from '../graphql/context.ts';
import { RequestError } from '../graphql/errors.ts';
import { maskError } from '../graphql/mask-error.ts';
import type { Operations } from '../graphql/operation.ts';
import type { Connections, Place } from './connections.ts';
import { type GraphqlSocket, openGraphqlSocket } from './graphql-socket.ts';
import { isKnownHost, isKnownOrigin, originOf } from './hosts.ts';
import { GRAPHQL_PATH, RETRY_SECONDS } from './http.ts';
import { mintRequestId } from './request-id.ts';
import type { SocketWatch } from './socket-watch.ts';

export interface WebSocketOptions {
  server: Server;
  operations: Operations;
  /** Makes the context of one operation, or throws UNAUTHENTICATED or TOKEN_EXPIRED. */
  context(authorization: string | null, requestId: string, origin: string): Promise<Context>;
  /** Which of these keys are still good. */
  stillGood(keyIds: string[]): Promise<Set<string>>;
  /** Calls back with the id of every key that is revoked, and asks to look again when some may have been missed. */
  onRevoked(listener: (keyId: string) => void, missed: () => void): () => void;
  connections: Connections;
  watch: SocketWatch;
  allowedHosts: readonly string[];
  corsOrigins: readonly string[] | null;
  maxMessageBytes: number;
  /** While this many bytes of a socket are unsent, none of its results is made. */
  bufferBytes: number;
  maxSubscriptions: number;
  logger: Logger;
}

export interface WebSockets {
  /** Open sockets. */
  readonly connections: number;
  /** Sends everybody away with 1012, service restart: they come back with their cursors. */
  close(): Promise<void>;
}

/** What we know of a socket from its ConnectionInit on. */
interface Session {
  authorization: string;
  keyId: string;
}
interface Extra {
  ws: WebSocket;
  place: Place;
  /** Where the caller reaches this server. */
  origin: string;
  graphql: GraphqlSocket | null;
  session: Session | null;
  /** Ids of subscriptions that were let in; those that the protocol no longer knows have ended. */
  subscriptions: Set<string>;
}

/** Keys of open sockets are looked at again this often, in case a revocation was not heard of. */
const RECHECK_MS = 30_000;
/** How long a socket may take to say goodbye before it is cut off: when we end, and when it is the socket that is slow. */
const CLOSE_MS = 1000;
const PARTING_MS = 5000;
const INIT_MS = 10_000;
/** Messages that may be at work on a socket at once, beside its subscriptions. */
const BESIDE_SUBSCRIPTIONS = 100;
/** Sockets that are opened only to be told that there are too many; beyond them an upgrade is refused outright. */
const TURNED_AWAY = 100;
const SERVICE_RESTART = 1012;
const TRY_AGAIN_LATER = 1013;
/** Ours, as 419 is for pages: graphql-ws tries again by itself, with what `connectionParams` answers then. */
const TOKEN_EXPIRED = 4419;

/**
 * GraphQL over WebSockets (graphql-transport-ws). A socket says who it is once, in its ConnectionInit; the key is
 * checked on every operation, and a socket whose key is revoked is closed.
 */
export function createWebSockets(options: WebSocketOptions): WebSockets {
  const { server, operations, logger } = options;
  const wss = new WebSocketServer({
    noServer: true,
    maxPayload: options.maxMessageBytes,
    perMessageDeflate: false,
    handleProtocols,
  });
  const open = new Map<WebSocket, Extra>();
  const sessions = new Map<WebSocket, Session>();
  // Keys that were ever heard to be revoked: the check of one may still be on its way back when that is heard.
  const revoked = new Set<string>();
  let turnedAway = 0;
  let closing = false;

  const upgrade = (request: IncomingMessage, duplex: Duplex, head: Buffer): void => {
    const socket = duplex as Socket; // what a server without TLS of its own always has
    // Until a WebSocket takes it over, nobody else listens; a peer that resets must not take the process down.
    socket.on('error', (error) => logger.debug({ err: error }, 'a socket failed on its way up'));
    const { host, origin } = request.headers;
    const own = origin === `http://${host}` || origin === `https://${host}`;
    const path = request.url!.split('?', 1)[0];
    if (path !== GRAPHQL_PATH) return reject(socket, '404 Not Found');
    if (!isKnownHost(host, options.allowedHosts)) return reject(socket, '421 Misdirected Request');
    if (origin && !own && !isKnownOrigin(origin, options.corsOrigins)) return reject(socket, '403 Forbidden');
    const place = closing ? null : options.connections.enter();
    if (!place && (closing || turnedAway >= TURNED_AWAY)) return reject(socket, '503 Service Unavailable');
    if (place) socket.once('close', () => place.leave());
    wss.handleUpgrade(request, socket, head, (ws) => {
      // The WebSocket closes itself, with the code that fits.
      ws.on('error', (error) => logger.debug({ err: error }, 'a socket failed'));
      if (place) opened(ws, socket, place, originOf(request));
      else turnAway(ws);
    });
  };
  server.on('upgrade', upgrade);

  /**
   * Browsers do not tell their pages why an upgrade was refused, and graphql-ws takes it for final; a close code is
   * seen by both, and by this one clients come again.
   */
  function turnAway(ws: WebSocket): void {
    turnedAway += 1;
    ws.once('close', () => (turnedAway -= 1));
    closeSoon(ws, TRY_AGAIN_LATER, 'Too many connections (MAX_CONNECTIONS)', CLOSE_MS);
  }

  function opened(ws: WebSocket, socket: Socket, place: Place, origin: string): void {
    const extra: Extra = { ws, place, origin, graphql: null, session: null, subscriptions: new Set() };
    open.set(ws, extra);
    ws.once('close', () => open.delete(ws));
    const onHeard = options.watch.adopt(socket, {
      isUnheard: () => ws.isPaused,
      ping: () => ws.ping(),
      stalled(unsent) {
        const { keyId } = extra.session ?? {};
        logger.info({ keyId, code: TRY_AGAIN_LATER, unsent }, 'a socket was sent away that takes nothing any more');
        closeSoon(ws, TRY_AGAIN_LATER, 'Too slow: come back with your cursor', PARTING_MS);
      },
      silent() {
        logger.info({ keyId: extra.session?.keyId }, 'a socket did not answer a ping and was cut off');
        ws.terminate();
      },
    });
    extra.graphql = openGraphqlSocket({
      ws,
      socket,
      protocol,
      extra,
      bufferBytes: options.bufferBytes,
      mostAtWork: options.maxSubscriptions + BESIDE_SUBSCRIPTIONS,
      onHeard,
      logger,
    });
  }

  const protocol = makeServer<Record<string, unknown>, Extra>({
    connectionInitWaitTimeout: INIT_MS,
    async onConnect({ connectionParams, extra }) {
      const requestId = mintRequestId();
      const authorization = authorizationOf(connectionParams);
      const { ws } = extra;
      try {
        const { viewer } = await options.context(authorization, requestId, extra.origin);
        if (revoked.has(viewer.keyId)) return refuse(ws);
        if (ws.readyState !== ws.OPEN) return false;
        if (!extra.place.belongsTo(viewer.keyId)) {
          ws.close(CloseCode.TooManyInitialisationRequests, 'Too many connections of this key');
          return false;
        }
        extra.session = { authorization: authorization!, keyId: viewer.keyId };
        sessions.set(ws, extra.session);
        ws.once('close', () => sessions.delete(ws));
        if (viewer.token) endWith(ws, viewer.token);
        return true;
      } catch (error) {
        const { message, extensions } = maskError(error, requestId, logger);
        if (extensions.code === 'UNAUTHENTICATED') ws.close(CloseCode.Unauthorized, message);
        else if (extensions.code === 'TOKEN_EXPIRED') expire(ws);
        else ws.close(TRY_AGAIN_LATER, 'The key cannot be checked now');
        return false;
      }
    },
    async onSubscribe({ extra, subscriptions }, id, { query, operationName, variables }) {
      const requestId = mintRequestId();
      try {
        const contextValue = await options.context(extra.session!.authorization, requestId, extra.origin);
        const document = operations.document(query);
        if (!('kind' in document)) return document;
        const operation = getOperationAST(document, operationName);
        if (!operation) return [unknownOperation(operationName)];
        if (operation.operation === 'subscription') admit(extra.subscriptions, subscriptions, id);
        else extra.subscriptions.delete(id);
        return { schema: operations.schema, document, operationName, variableValues: variables, contextValue };
      } catch (error) {
        const masked = maskError(error, requestId, logger);
        if (masked.extensions.code === 'UNAUTHENTICATED') refuse(extra.ws);
        if (masked.extensions.code === 'TOKEN_EXPIRED') expire(extra.ws);
        return [masked];
      }
    },
    execute: operations.execute,
    subscribe: operations.subscribe,
    async onNext({ extra }, _id, _payload, _args, { errors, ...result }) {
      await extra.graphql!.room();
      if (errors) return { ...result, errors: errors.map(withoutStatus) };
    },
    onError: (_context, _id, _payload, errors) => errors.map(withoutStatus),
  });

  /** Of the socket's own subscriptions one more, if there may be one. */
  function admit(admitted: Set<string>, known: Record<string, unknown>, id: string): void {
    const most = options.maxSubscriptions;
    if (admitted.size >= most) for (const one of admitted) if (!(one in known)) admitted.delete(one);
    if (admitted.size >= most && !admitted.has(id)) {
      throw new RequestError(
        'LIMIT_EXCEEDED',
        `This connection has ${most} subscriptions, which is as many as MAX_SUBSCRIPTIONS_PER_CONNECTION allows.`,
      );
    }
    admitted.add(id);
  }

  const sendAway = (isGone: (session: Session) => boolean) => {
    for (const [ws, session] of sessions) if (isGone(session)) refuse(ws);
  };
  const recheck = () => {
    const keyIds = [...new Set([...sessions.values()].map(({ keyId }) => keyId))];
    if (keyIds.length === 0) return;
    options.stillGood(keyIds).then(
      (good) => sendAway(({ keyId }) => !good.has(keyId)),
      (error: unknown) => logger.warn({ err: error }, 'checking the keys of open sockets failed; trying again'),
    );
  };
  const rechecks = setInterval(recheck, RECHECK_MS);
  const offRevoked = options.onRevoked((keyId) => {
    revoked.add(keyId);
    sendAway((session) => session.keyId === keyId);
  }, recheck);

  return {
    get connections() {
      return open.size;
    },
    async close() {
      closing = true;
      offRevoked();
      clearInterval(rechecks);
      const all = [...open.values()];
      for (const ws of wss.clients)
        closeSoon(ws, SERVICE_RESTART, 'The server stops: come back with your cursor', CLOSE_MS);
      await new Promise<void>((resolve) => wss.close(() => resolve()));
      // What is still at work reads what is about to be closed.
      await Promise.race([
        Promise.all(all.map(({ graphql }) => graphql!.idle)),
        setTimeout(CLOSE_MS, null, { ref: false }),
      ]);
    },
  };
}

/** Says goodbye, and cuts a socket off that does not take it. */
function closeSoon(ws: WebSocket, code: number, reason: string, ms: number): void {
  ws.close(code, reason);
  const cut = globalThis.setTimeout(() => ws.terminate(), ms);
  ws.once('close', () => clearTimeout(cut));
}

/** A socket is open for as long as its token is good, whatever it does. */
function endWith(ws: WebSocket, { expiresAt }: ClientToken): void {
  const end = globalThis.setTimeout(() => expire(ws), expiresAt.getTime() - Date.now());
  ws.once('close', () => clearTimeout(end));
}

function expire(ws: WebSocket): void {
  closeSoon(ws, TOKEN_EXPIRED, 'The client token has expired: come back with another one, and your cursor', PARTING_MS);
}

function refuse(ws: WebSocket): false {
  ws.close(CloseCode.Forbidden, 'The key is revoked');
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
  const later = status.startsWith('503') ? `Retry-After: ${RETRY_SECONDS}\r\n` : '';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n${later}Content-Length: 0\r\n\r\n`);
}
