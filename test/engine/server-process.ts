import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import type { TestDatabase } from '../database.ts';

const KEY = 'sk-test-key-of-a-server-process';
const MAIN = join(import.meta.dirname, '../../src/main.ts');
/** The same with hosted tools that ask the test: for those that give a TOOL_URL. */
const SCRIPTED_MAIN = join(import.meta.dirname, 'scripted-main.ts');

/** A server in a process of its own, that can be killed. */
export interface ServerProcess {
  readonly pid: number;
  readonly url: string;
  readonly key: string;
  query<Result, Variables>(document: TypedDocumentNode<Result, Variables>, variables: Variables): Promise<Result>;
  follow<Result, Variables>(
    document: TypedDocumentNode<Result, Variables>,
    variables: Variables,
  ): AsyncIterableIterator<Result>;
  /** Everything that it wrote to stdout, and to stderr. */
  output(): string;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Ends it without a chance to say good-bye. */
  kill(): Promise<void>;
}

export async function startServerProcess(
  database: TestDatabase,
  environment: Record<string, string>,
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [environment.TOOL_URL ? SCRIPTED_MAIN : MAIN], {
    env: {
      PATH: process.env.PATH,
      TMPDIR: process.env.TMPDIR,
      PORT: '0',
      DATA_DIR: database.dataDir,
      DATABASE_URL: database.databaseUrl ?? '',
      SKEIN_BOOTSTRAP_KEY: KEY,
      LOG_LEVEL: process.env.TEST_LOG_LEVEL || 'error',
      SANDBOX_DRIVER: 'none',
      LEASE_SECONDS: '2',
      HEARTBEAT_SECONDS: '1',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout!.on('data', (part: Buffer) => (output += String(part)));
  child.stderr!.on('data', (part: Buffer) => {
    output += String(part);
    process.stderr.write(part);
  });
  const url = await listening(child);
  return {
    pid: child.pid!,
    url,
    key: KEY,
    async query(document, variables) {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
        body: JSON.stringify({ query: print(document), variables }),
      });
      const { data, errors } = (await response.json()) as { data: never; errors?: { message: string }[] };
      if (errors) throw new Error(errors.map(({ message }) => message).join('\n'));
      return data;
    },
    async *follow(document, variables) {
      const client = createClient({
        url: `${url.replace('http', 'ws')}/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: { Authorization: `Bearer ${KEY}` },
        retryAttempts: 0,
      });
      try {
        for await (const { data, errors } of client.iterate({
          query: print(document),
          variables: variables as Record<string, unknown>,
        })) {
          if (errors) throw new Error(errors.map(({ message }) => message).join('\n'));
          yield data as never;
        }
      } finally {
        await client.dispose();
      }
    },
    output: () => output,
    signal: (signal) => void child.kill(signal),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

async function listening(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  for await (const line of lines) {
    const url = /^Skein listens on (\S+)$/.exec(line)?.[1];
    if (!url) continue;
    lines.close();
    child.stdout!.resume();
    return url;
  }
  throw new Error(`the server ended without having listened (${child.exitCode ?? child.signalCode})`);
}
