import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createYoga, type Plugin } from 'graphql-yoga';
import type { Logger } from 'pino';
import type { Context } from '../graphql/context.ts';
import { maskError } from '../graphql/mask-error.ts';
import type { Operations } from '../graphql/operation.ts';
import { graphiqlPage } from './graphiql.ts';
import { isKnownHost, isKnownOrigin } from './hosts.ts';
import { requestIdOf } from './request-id.ts';

export interface HttpOptions {
  operations: Operations;
  /** Makes the context of one operation, or throws UNAUTHENTICATED. */
  context(authorization: string | null, requestId: string): Promise<Context>;
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
  return createServer((request, response) => {
    const requestId = requestIdOf(request);
    const started = performance.now();
    response.setHeader('x-request-id', requestId);
    response.setHeader('x-content-type-options', 'nosniff');
    response.once('close', () => {
      const ms = Math.round(performance.now() - started);
      logger.debug({ requestId, method: request.method, path: pathOf(request), status: response.statusCode, ms }, 'request');
    });
    if (!isKnownHost(request.headers.host, allowedHosts)) {
      const host = String(request.headers.host).slice(0, 100);
      return refuse(response, 421, 'FOREIGN_HOST', `This server does not go by the name '${host}'; ALLOWED_HOSTS lists those it does.`);
    }
    route(request, response, requestId).catch((error: unknown) => {
      logger.error({ err: error, requestId }, 'a request failed');
      if (response.headersSent) response.destroy();
      else refuse(response, 500, 'INTERNAL', `Something went wrong here; the log has it under request ${requestId}.`);
    });
  });

  async function route(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    const path = pathOf(request);
    if (path === GRAPHQL_PATH) {
      if (request.method === 'GET' && request.headers.accept?.includes('text/html')) return sendPage(response);
      await yoga(request, response, { requestId });
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

function createGraphqlHandler({ operations, context, corsOrigins, maxBodyBytes, logger }: HttpOptions) {
  const ours: Plugin = {
    onExecute: ({ setExecuteFn }) => setExecuteFn(operations.execute),
    onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(operations.subscribe),
  };
  return createYoga<{ requestId: string }, Context>({
    schema: operations.schema,
    graphqlEndpoint: GRAPHQL_PATH,
    graphiql: false,
    landingPage: false,
    healthCheckEndpoint: '/health/yoga',
    batching: false,
    multipart: false,
    logging: false,
    maxRequestBodySize: maxBodyBytes,
    cors: (request) => {
      const origin = request.headers.get('origin');
      if (!origin || !isKnownOrigin(origin, corsOrigins)) return false;
      return {
        origin,
        methods: ['GET', 'POST', 'OPTIONS'],
        allowedHeaders: ['authorization', 'content-type', 'x-request-id'],
        exposedHeaders: ['x-request-id'],
        maxAge: 600,
      };
    },
    context: ({ request, requestId }) => context(request.headers.get('authorization'), requestId),
    maskedErrors: { maskError: (error) => maskError(error, 'see the header x-request-id', logger) },
    plugins: [ours],
  });
}

const pathOf = (request: IncomingMessage): string => request.url!.split('?', 1)[0]!;

/** The page holds no key and no data; what it shows, it asks for with a key that its user brings. */
function sendPage(response: ServerResponse): void {
  const { html, headers } = graphiqlPage(GRAPHQL_PATH);
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', ...headers }).end(html);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  sendJson(response, status, { errors: [{ message, extensions: { code } }] });
}
