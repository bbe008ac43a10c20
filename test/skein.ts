import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { type DocumentNode, print } from 'graphql';
import { type Client, createClient } from 'graphql-ws';
import pino from 'pino';
import WebSocket from 'ws';
import { readConfig } from '../src/config.ts';
import { createSkein, type Skein } from '../src/skein.ts';
import type { HostedTools } from '../src/tools/tool.ts';
import { withFiles } from './files/with-files.ts';
import { testDatabase, type TestDatabase } from './database.ts';

/** A whole server of its own for a test: its database, its port, its key. */
export interface TestSkein {
  readonly url: string;
  readonly key: string;
  readonly skein: Skein;
  readonly database: TestDatabase;
  /** Runs a document over HTTP; fails on GraphQL errors. */
  query<Result, Variables>(
    document: TypedDocumentNode<Result, Variables> | string,
    variables?: Variables,
    key?: string,
  ): Promise<Result>;
  /** The whole answer, errors included. */
  raw(document: DocumentNode | string, variables?: unknown, key?: string | null): Promise<RawAnswer>;
  /** A WebSocket client; disposed of with the server. */
  socket(key?: string): Client;
  /** Events of a subscription over a socket of its own; ends with the subscription, or when left. */
  follow<Result, Variables>(
    document: TypedDocumentNode<Result, Variables>,
    variables: Variables,
    key?: string,
  ): AsyncIterableIterator<Result>;
  /** Stops the server and starts it again on the same database and port. */
  restart(environment?: Record<string, string>): Promise<void>;
  /** What is looked at in the end, while the server still runs. */
  beforeClose(look: () => Promise<void>): void;
  close(): Promise<void>;
}

export interface RawAnswer {
  status: number;
  data?: Record<string, unknown> | null;
  errors?: { message: string; path?: (string | number)[]; extensions?: { code?: string } }[];
}

/** `tools`: the hosted tools that it has, in place of its own. */
export async function startSkein(environment: Record<string, string> = {}, tools?: HostedTools): Promise<TestSkein> {
  const database = await testDatabase();
  const logger = pino({ level: process.env.TEST_LOG_LEVEL || 'silent' });
  const configure = (more: Record<string, string>) =>
    readConfig({
      PORT: '0',
      DRAIN_SECONDS: '0',
      // Tests of chores have them done often; in all others nothing happens that nobody asked for.
      CHORES_EVERY_SECONDS: '86400',
      SANDBOX_DRIVER: 'none',
      DATA_DIR: database.dataDir,
      DATABASE_URL: database.databaseUrl ?? '',
      ...environment,
      ...more,
    });
  let skein = await createSkein(configure({}), logger, tools);
  const { key } = skein;
  const clients = new Set<Client>();
  const looks: (() => Promise<void>)[] = [];

  async function raw(
    document: DocumentNode | string,
    variables: unknown = {},
    as: string | null = key,
  ): Promise<RawAnswer> {
    const response = await fetch(`${skein.url}/graphql`, {
      method: 'POST',
      ...withFiles({ query: textOf(document), variables }, as ? { authorization: `Bearer ${as}` } : {}),
    });
    return { status: response.status, ...((await response.json()) as object) };
  }

  const self: TestSkein = {
    get url() {
      return skein.url;
    },
    key: key!,
    get skein() {
      return skein;
    },
    database,
    raw,
    async query(document, variables, as) {
      const { data, errors } = await raw(document, variables, as ?? key);
      if (errors) throw new Error(errors.map(({ message, path }) => `${message} (at ${path?.join('.')})`).join('\n'));
      return data as never;
    },
    socket(as = key!) {
      const client = createClient({
        url: `${skein.url.replace('http', 'ws')}/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: { Authorization: `Bearer ${as}` },
        retryAttempts: 0,
      });
      clients.add(client);
      return client;
    },
    async *follow(document, variables, as) {
      const client = self.socket(as);
      try {
        for await (const { data, errors } of client.iterate({
          query: textOf(document),
          variables: variables as Record<string, unknown>,
        })) {
          if (errors) throw new Error(errors.map(({ message }) => message).join('\n'));
          yield data as never;
        }
      } finally {
        clients.delete(client);
        await client.dispose();
      }
    },
    async restart(more = {}) {
      const { port } = new URL(skein.url);
      await skein.close();
      skein = await createSkein(configure({ PORT: port, ...more }), logger, tools);
    },
    beforeClose: (look) => void looks.push(look),
    async close() {
      for (const client of clients) await client.dispose();
      try {
        for (const look of looks) await look();
      } finally {
        await skein.close();
        await database.dispose();
      }
    },
  };
  return self;
}

const textOf = (document: DocumentNode | string): string => (typeof document === 'string' ? document : print(document));
