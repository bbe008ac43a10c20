import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type ExecutionArgs, GraphQLError } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import type { Logger } from 'pino';
import type { Viewer } from '../auth/keys.ts';
import type { Context } from '../graphql/context.ts';
import { RequestError } from '../graphql/errors.ts';
import { maskError } from '../graphql/mask-error.ts';
import type { Operations } from '../graphql/operation.ts';
import type { Connections } from './connections.ts';
import { graphiqlPage } from './graphiql.ts';
import { answerHealth, type CheckReadiness } from './health.ts';
import { type FileRoutes, isUploadPath } from './files.ts';
import { isKnownHost, isKnownOrigin, originOf } from './hosts.ts';
import { refuse } from './json-answer.ts';
import { isMultipart, readMultipart } from './multipart.ts';
import type { PlaygroundRoutes } from './playground.ts';
import { requestIdOf } from './request-id.ts';

export interface HttpOptions {
  operations: Operations;
  /** Makes the context of one operation, or throws UNAUTHENTICATED or TOKEN_EXPIRED. */
  context(authorization: string | null, requestId: string, origin: string): Promise<Context>;
  /** Downloads and uploads. */
  files: FileRoutes;
  playground: PlaygroundRoutes;
  /** Which of these keys are still good. */
  stillGood(keyIds: string[]): Promise<Set<string>>;
  /** Calls back with the id of every key that is revoked, and asks to look again when some may have been missed. */
  onRevoked(listener: (keyId: string) => void, missed: () => void): () => void;
  check: CheckReadiness;
  allowedHosts: readonly string[];
  corsOrigins: readonly string[] | null;
  maxBodyBytes: number;
  connections: Connections;
  logger: Logger;
}

export const GRAPHQL_PATH = '/graphql';
/** A request is whole within this time, but for uploads: they have limits of their own. */
const REQUEST_MS = 300_000;
/** When those who are refused because there are too many may try again. */
export const RETRY_SECONDS = 5;

/** The HTTP side: GraphQL (queries, mutations, and subscriptions as SSE), GraphiQL, the playground, files and health. */
export function createHttpServer(options: HttpOptions): Server {
  const { allowedHosts, logger } = options;
  const yoga = createGraphqlHandler(options);
  // By the key of their reader. An open stream outlives the check of its key: it is cut off when that is revoked, or when
  // the client token ends that it was opened with.
  const streams = new Map<ServerResponse, string>();
  const cutOff = (isGone: (keyId: string) => boolean) => {
    for (const [response, reader] of streams) if (isGone(reader) && isStream(response)) response.destroy();
  };
  const recheck = () => {
    if (streams.size === 0) return;
    options.stillGood([...new Set(streams.values())]).then(
      (good) => cutOff((keyId) => !good.has(keyId)),
      (error: unknown) => logger.warn({ err: error }, 'checking the keys of open streams failed'),
    );
  };
  const offRevoked = options.onRevoked((revoked) => cutOff((keyId) => keyId === revoked), recheck);
  const answer = (request: IncomingMessage, response: ServerResponse) => {
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
    if (!isUploadPath(request.url!)) cutOffLate(request);
    route(request, response, requestId).catch((error: unknown) => {
      logger.error({ err: error, requestId }, 'a request failed');
      if (response.headersSent) response.destroy();
      else refuse(response, 500, 'INTERNAL', `Something went wrong here; the log has it under request ${requestId}.`);
    });
  };
  const server = createServer(answer);
  server.requestTimeout = 0;
  // Whether a body may come is for an upload to say, which can be refused by what it says of itself.
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    if (!isUploadPath(request.url!)) response.writeContinue();
    answer(request, response);
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
        origin: originOf(request),
        identify(keyId) {
          streams.set(response, keyId);
          response.once('close', () => streams.delete(response));
        },
        admit({ keyId, token }) {
          const place = options.connections.enter();
          if (!place) return refusal(503, 'The server has as many connections as MAX_CONNECTIONS allows.');
          const end = token && setTimeout(() => response.destroy(), token.expiresAt.getTime() - Date.now());
          const leave = () => {
            place.leave();
            if (end) clearTimeout(end);
          };
          response.once('close', leave);
          if (response.closed) leave();
          if (place.belongsTo(keyId)) return null;
          place.leave();
          return refusal(429, 'The key has as many connections as MAX_CONNECTIONS_PER_KEY allows.');
        },
      });
    } else if (
      !(await answerHealth(path, response, options.check)) &&
      !(await options.files(request, response)) &&
      !(await options.playground(request, response))
    ) {
      refuse(response, 404, 'NOT_FOUND', `There is nothing at ${path}; GraphQL is at ${GRAPHQL_PATH}.`);
    }
  }
}

/** What is known of a request from its first moment on. */
interface Arrival {
  requestId: string;
  origin: string;
  identify(keyId: string): void;
  /** Counts the answer, which is to be a stream, among the connections, or says why it may not be one. */
  admit(viewer: Viewer): GraphQLError | null;
  /** Set once its key is known to be good. */
  operation?: Context;
}

function createGraphqlHandler({ operations, context, corsOrigins, maxBodyBytes, logger }: HttpOptions) {
  const ours: Plugin<Context, Arrival> = {
    // The key comes before everything: who has none learns nothing of the schema, and none of their body is read.
    async onRequestParse({ request, requestParser, setRequestParser, serverContext: arrival }) {
      arrival.operation = await authenticate(request.headers.get('authorization'), arrival);
      arrival.identify(arrival.operation.viewer.keyId);
      if (isMultipart(request)) {
        setRequestParser((body) => readMultipart(body, maxBodyBytes));
      } else if (request.method === 'POST' && !requestParser) {
        throw new GraphQLError('The content-type must be application/json, or multipart/form-data with files.', {
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
    onSubscribe: ({ setSubscribeFn }) =>
      setSubscribeFn(async (args: ExecutionArgs) => {
        const { admit, viewer } = args.contextValue as Arrival & Context;
        const refused = admit(viewer);
        return refused ? { errors: [refused] } : operations.subscribe(args);
      }),
  };

  async function authenticate(authorization: string | null, { requestId, origin }: Arrival): Promise<Context> {
    try {
      return await context(authorization, requestId, origin);
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
            `The request is larger than ${maxBodyBytes} bytes, which MAX_BODY_BYTES allows. Large files go through createUpload.`,
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

/** Node's own limit of this kind is for all requests alike. */
function cutOffLate(request: IncomingMessage): void {
  const late = setTimeout(() => request.complete || request.destroy(), REQUEST_MS).unref();
  request.once('close', () => clearTimeout(late));
}

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

function refusal(status: number, message: string): GraphQLError {
  const http = { status, headers: { 'retry-after': String(RETRY_SECONDS) } };
  return new GraphQLError(message, { extensions: { code: 'LIMIT_EXCEEDED', http } });
}
