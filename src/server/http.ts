import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { GraphQLError } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import type { Logger } from 'pino';
import type { Context } from '../graphql/context.ts';
import { RequestError } from '../graphql/errors.ts';
import { maskError } from '../graphql/mask-error.ts';
import type { Operations } from '../graphql/operation.ts';
import { graphiqlPage } from './graphiql.ts';
import { isKnownHost, isKnownOrigin } from './hosts.ts';
import { requestIdOf } from './request-id.ts';

export interface HttpOptions {
  operations: Operations;
  /** Makes the context of one operation, or throws UNAUTHENTICATED. */
  context(authorization: string | null, requestId: string): Promise<Context>;
  /** Calls back with the id of every key that is revoked. */
  onRevoked(listener: (keyId: string) => void): () => void;
  /** What keeps the server from working now, by the part that does; null = nothing. */
  notReady(): Promise<Record<string, string> | null>;
  allowedHosts: readonly string[];
  corsOrigins: readonly string[] | null;
  maxBodyBytes: number;
  logger: Logger;
}

export const GRAPHQL_PATH = '/graphql';

/** The HTTP side: GraphQL (queries, mutations, and subscriptions as SSE), GraphiQL and health. */
export function createHttpServer(options: HttpOptions): Server {
  const { allowedHosts, logger } = options;
  const yoga = createGraphqlHandler(options);
  // By the key of their reader. An open stream outlives the check of its key: it is cut off when that is revoked.
  const streams = new Map<ServerResponse, string>();
  const offRevoked = options.onRevoked((keyId) => {
    for (const [response, reader] of streams) if (reader === keyId && isStream(response)) response.destroy();
  });
  const server = createServer((request, response) => {
    const requestId = requestIdOf(request);
    const started = performance.now();
    response.setHeader('x-request-id', requestId);
    response.setHeader('x-content-type-options', 'nosniff');
    response.once('close', () => {
      const ms = Math.round(performance.now() - started);
      logger.debug(
        { requestId, method: request.method, path: pathOf(request), status: response.statusCode, ms },
        'request',
      );
    });
    if (!isKnownHost(request.headers.host, allowedHosts)) {
      const host = String(request.headers.host).slice(0, 100);
      return refuse(
        response,
        421,
        'FOREIGN_HOST',
        `This server does not go by the name '${host}'; ALLOWED_HOSTS lists those it does.`,
      );
    }
    route(request, response, requestId).catch((error: unknown) => {
      logger.error({ err: error, requestId }, 'a request failed');
      if (response.headersSent) response.destroy();
      else refuse(response, 500, 'INTERNAL', `Something went wrong here; the log has it under request ${requestId}.`);
    });
  });
  server.once('close', offRevoked);
  return server;

  async function route(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    const path = pathOf(request);
    if (path === GRAPHQL_PATH) {
      response.setHeader('vary', 'origin');
      if (request.method === 'GET' && request.headers.accept?.includes('text/html'))
        return await sendPage(request, response);
      await yoga(request, response, {
        requestId,
        identify(keyId) {
          streams.set(response, keyId);
          response.once('close', () => streams.delete(response));
        },
      });
    } else if (path === '/health/live') {
      sendJson(response, 200, { status: 'ok' });
    } else if (path === '/health/ready') {
      const reasons = await options.notReady();
      sendJson(response, reasons ? 503 : 200, reasons ? { status: 'not ready', reasons } : { status: 'ok' });
    } else if (path === '/' && request.method === 'GET') {
      response.writeHead(302, { location: GRAPHQL_PATH }).end();
    } else {
      refuse(response, 404, 'NOT_FOUND', `There is nothing at ${path}; GraphQL is at ${GRAPHQL_PATH}.`);
    }
  }
}

/** What is known of a request from its first moment on. */
interface Arrival {
  requestId: string;
  identify(keyId: string): void;
  /** Set once its key is known to be good. */
  operation?: Context;
}

function createGraphqlHandler({ operations, context, corsOrigins, maxBodyBytes, logger }: HttpOptions) {
  const ours: Plugin<Context, Arrival> = {
    // The key comes before everything: who has none learns nothing of the schema, and none of their body is read.
    async onRequestParse({ request, requestParser, serverContext: arrival }) {
      arrival.operation = await authenticate(request.headers.get('authorization'), arrival.requestId);
      arrival.identify(arrival.operation.viewer.keyId);
      if (request.method === 'POST' && !requestParser) {
        throw new GraphQLError('The content-type must be application/json.', {
          extensions: { code: 'BAD_REQUEST', http: { status: 415 } },
        });
      }
    },
    onParse: ({ params: { source }, setParsedDocument }) => {
      const document = operations.document(typeof source === 'string' ? source : source.body);
      if (!('kind' in document)) throw new AggregateError(document.map(badRequest));
      setParsedDocument(document);
    },
    onValidate: ({ setResult }) => setResult([]),
    onExecute: ({ setExecuteFn }) => setExecuteFn(operations.execute),
    onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(operations.subscribe),
  };

  async function authenticate(authorization: string | null, requestId: string): Promise<Context> {
    try {
      return await context(authorization, requestId);
    } catch (error) {
      const masked = maskError(error, requestId, logger);
      if (masked.extensions.code !== 'INTERNAL') throw masked;
      throw new GraphQLError(masked.message, { extensions: { ...masked.extensions, http: { status: 500 } } });
    }
  }

  return createYoga<Arrival, Context>({
    schema: operations.schema,
    graphqlEndpoint: GRAPHQL_PATH,
    graphiql: false,
    landingPage: false,
    healthCheckEndpoint: '/health/yoga',
    batching: false,
    multipart: false,
    logging: false,
    parserAndValidationCache: false,
    maxRequestBodySize: maxBodyBytes,
    cors: (request) => {
      const origin = request.headers.get('origin');
      if (!origin || !isKnownOrigin(origin, corsOrigins)) return false;
      return {
        origin,
        // Keys come in a header that pages set themselves; there are no cookies.
        credentials: false,
        methods: ['GET', 'POST', 'OPTIONS'],
        allowedHeaders: ['authorization', 'content-type', 'x-request-id'],
        exposedHeaders: ['x-request-id'],
        maxAge: 600,
      };
    },
    context: ({ operation }) => operation!,
    maskedErrors: {
      maskError(error) {
        if (error instanceof GraphQLError && error.extensions.code === 'REQUEST_ENTITY_TOO_LARGE') {
          return new RequestError(
            'PAYLOAD_TOO_LARGE',
            `The request is larger than ${maxBodyBytes} bytes, which MAX_BODY_BYTES allows.`,
          );
        }
        return maskError(error, 'see the header x-request-id', logger);
      },
    },
    plugins: [ours],
  });
}

/** 400, except to clients that ask for `application/json` alone, which take any other status than 200 for no answer. */
const badRequest = ({ message, nodes, source, positions, extensions }: GraphQLError): GraphQLError =>
  new GraphQLError(message, {
    nodes,
    source,
    positions,
    extensions: { ...extensions, http: { status: 400, spec: true } },
  });

const isStream = (response: ServerResponse): boolean =>
  String(response.getHeader('content-type')).startsWith('text/event-stream');

const pathOf = (request: IncomingMessage): string => request.url!.split('?', 1)[0]!;

/** The page holds no key and no data; what it shows, it asks for with a key that its user brings. */
async function sendPage(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { html, gzipped, headers } = await graphiqlPage(GRAPHQL_PATH);
  const zips = /\bgzip\b/.test(String(request.headers['accept-encoding']));
  response.writeHead(200, {
    ...headers(request.headers.host!),
    'content-type': 'text/html; charset=utf-8',
    ...(zips ? { 'content-encoding': 'gzip' } : {}),
  });
  response.end(zips ? gzipped : html);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
  response.writeHead(status, headers).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  sendJson(response, status, { errors: [{ message, extensions: { code } }] });
}
