import { mkdirSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { openDatabase } from './db/open-database.ts';
import type { HostedTools } from './tools/tool.ts';

export interface Skein {
  /** Where it listens, `http://127.0.0.1:4000`. */
  readonly url: string;
  /** A key with all scopes, as long as this process knows one. */
  readonly key: string | null;
  /** Where the first key was written, when this start has made it. */
  readonly newKeyFile: string | null;
  /** Things that are open: for tests that prove that nothing leaks. */
  counts(): { followers: number; listeners: number; sockets: number; activeRuns: number };
  /** Drains and closes; what is still running after the drain time is handed back. */
  close(): Promise<void>;
}

/** Starts a server. `tools`: what it does for a model, in place of its own. */
export async function createSkein(config: Config, logger: Logger, tools: HostedTools | null = null): Promise<Skein> {
  mkdirSync(config.dataDir, { recursive: true });
  const { databaseUrl, dataDir, databasePoolSize: poolSize } = config;
  // It takes a second to come up in a thread of its own when it is embedded, and the code as long to be read in this one.
  const database = openDatabase({ databaseUrl, dataDir, poolSize, logger });
  const opened = database.catch(() => null); // its failure is told by whoever waits for it
  const closing: (() => Promise<void> | void)[] = [async () => (await opened)?.close()];
  try {
    const { start } = await import('./wiring/start.ts');
    return await start(config, logger, database, tools, closing);
  } catch (error) {
    for (const close of closing.reverse()) await close();
    throw error;
  }
}
