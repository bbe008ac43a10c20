import { print } from '@0no-co/graphql.web';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { createClient } from 'graphql-ws';
import { errorOf, type SentError, SkeinError } from './skein-error.ts';

/** A key, a client token, or what fetches one: asked for again for every request and connection. */
export type Token = string | (() => string | Promise<string>);

export interface ConnectionOptions {
  /** Where GraphQL is, `https://skein.example/graphql`. */
  url: string;
  token: Token;
  /** A WebSocket class where there is none in the language's surroundings. */
  webSocketImpl?: unknown;
}

/** Where the results of a subscription go. Exactly one of `error` and `complete` is its last word. */
export interface Sink<Result> {
  /** It is on its way, on a connection that stands. */
  opened?(): void;
  next(result: Result): void;
  error(error: SkeinError): void;
  complete(): void;
}

/** Begins a subscription; the answer ends it. */
export type Subscribe = <Result, Variables>(
  document: TypedDocumentNode<Result, Variables>,
  variables: Variables,
  sink: Sink<Result>,
) => () => void;

/** Runs a query or a mutation; rejects with a `SkeinError`. */
export type Request = <Result, Variables>(
  document: TypedDocumentNode<Result, Variables>,
  variables: Variables,
) => Promise<Result>;

/** One server, one token, and one WebSocket for all subscriptions, open while there are any. */
export interface Connection {
  readonly url: string;
  readonly request: Request;
  readonly subscribe: Subscribe;
  /** `subscribe` for those who have the operation as a text. */
  subscribeText(operation: { query: string; variables?: object }, sink: Sink<never>): () => void;
  /** `fetch` with the token in its head: for other GraphQL clients. */
  readonly fetch: typeof globalThis.fetch;
  /** Ends all subscriptions and closes the WebSocket. */
  close(): void;
}

/** Milliseconds. A server that does not answer a ping so soon, or lets nobody in for so long, is not there any more. */
const PONG_MS = 5000;
const PING_MS = 10_000;
const GREETING_MS = 15_000;
/** The WebSocket outlives its last subscription by this long: pages leave one thread to open another. */
const LINGER_MS = 3000;

export function connect({ url, token, webSocketImpl }: ConnectionOptions): Connection {
  const authorization = async () => `Bearer ${typeof token === 'string' ? token : await token()}`;
  let connected = false;
  let closed = false;
  const waiting = new Set<() => void>();
  let silence: ReturnType<typeof setTimeout> | undefined;
  const expectWithin = (ms: number) => {
    clearTimeout(silence);
    silence = setTimeout(() => client.terminate(), ms);
  };

  const client = createClient({
    url: url.replace(/^http/, 'ws'),
    webSocketImpl,
    connectionParams: async () => ({ Authorization: await authorization() }),
    // It would repeat a subscription with its first cursor. Who follows comes back with the newest.
    retryAttempts: 0,
    lazyCloseTimeout: LINGER_MS,
    keepAlive: PING_MS,
    on: {
      connecting: () => expectWithin(GREETING_MS),
      connected() {
        clearTimeout(silence);
        connected = true;
        for (const open of waiting) open();
        waiting.clear();
      },
      ping(received) {
        if (!received) expectWithin(PONG_MS);
      },
      pong(received) {
        if (received) clearTimeout(silence);
      },
      closed() {
        connected = false;
        clearTimeout(silence);
      },
    },
  });

  const fetchWithToken: typeof globalThis.fetch = async (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set('authorization', await authorization());
    return globalThis.fetch(input, { ...init, headers });
  };

  const subscribeText: Connection['subscribeText'] = (operation, { opened, next, error, complete }) => {
    let over = false;
    // Never from within the caller's own call.
    const open = () => queueMicrotask(() => over || opened?.());
    /** There is one last word, and none behind the caller's own. */
    const last = (say?: () => void) => {
      if (over) return;
      over = true;
      waiting.delete(open);
      say?.();
    };
    if (closed) {
      queueMicrotask(() => last(complete));
      return () => last();
    }
    if (connected) open();
    else waiting.add(open);
    const end = client.subscribe(operation as { query: string; variables?: Record<string, unknown> }, {
      next({ data, errors }) {
        if (over) return;
        if (!errors) return next(data as never);
        end();
        last(() => error(errorOf(errors)));
      },
      error: (reason) => last(closed ? complete : () => error(failureOf(reason))),
      complete: () => last(complete),
    });
    return () => {
      last();
      end();
    };
  };

  return {
    url,
    fetch: fetchWithToken,
    async request(document, variables) {
      const response = await fetchWithToken(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: print(document), variables }),
      }).catch((reason: unknown) => {
        throw failureOf(reason);
      });
      const { data, errors } = (await response.json().catch((reason: unknown) => {
        throw new SkeinError('UNREACHABLE', `${url} answered with HTTP ${response.status}, and not with JSON.`, reason);
      })) as { data?: never; errors?: SentError[] };
      if (errors) throw errorOf(errors);
      return data as never;
    },
    subscribe: (document, variables, sink) =>
      subscribeText({ query: print(document), variables: variables as object }, sink as Sink<never>),
    subscribeText,
    close() {
      closed = true;
      // It rejects when there was no connection yet, and there will be none: whoever waited for it is told by its sink.
      void Promise.resolve(client.dispose()).catch(() => {});
    },
  };
}

/** What the WebSocket client throws: a close event, errors of GraphQL's, or what went wrong before there was a socket. */
function failureOf(reason: unknown): SkeinError {
  if (Array.isArray(reason)) return errorOf(reason as SentError[]);
  if (reason instanceof SkeinError) return reason;
  const { code, reason: said } = reason as Partial<CloseEvent>;
  // Below 1002, and 1006, nobody has said anything: the connection is simply gone.
  if (typeof code === 'number' && code !== 1006 && code !== 1005 && code !== 4499) {
    return new SkeinError(`CLOSED_${code}`, said || `The connection was closed with code ${code}.`, reason);
  }
  return new SkeinError('UNREACHABLE', reason instanceof Error ? reason.message : 'The connection was lost.', reason);
}

/** The part of the browser's own that is read here. */
interface CloseEvent {
  code: number;
  reason: string;
}
