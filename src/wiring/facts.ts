import type { Config } from '../config.ts';
import type { Db } from '../db/db.ts';
import type { Storage } from '../files/storage.ts';
import type { Rooms } from '../graphql/context.ts';
import { PAGE_MAX } from '../graphql/load.ts';
import { describeEmbeddings, type Embeddings } from '../llm/embeddings.ts';
import type { Llm } from '../llm/llm.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Retrieval } from '../vector-stores/retrieval.ts';
import { describeWake } from '../work/open-wake.ts';
import type { Wake } from '../work/wake.ts';
import { describeSandbox } from './sandbox.ts';

export const VERSION = '0.1.0';

/** What a server tells of itself in `viewer`. */
export function facts(parts: {
  config: Config;
  db: Db;
  wake: Wake;
  llm: Llm;
  storage: Storage;
  sandbox: Sandbox | null;
  embeddings: Embeddings;
  retrieval: Retrieval;
}): Rooms['server'] {
  const { config, db, wake, llm, storage, sandbox, embeddings, retrieval } = parts;
  return {
    version: VERSION,
    modelServer:
      llm.driver === 'offline'
        ? {
            driver: 'offline',
            detail: 'No model server is set up: the built-in offline model answers. It is not a language model.',
          }
        : { driver: 'openai', detail: `OpenAI-compatible server at ${llm.baseUrl}.` },
    database: db.embedded
      ? {
          driver: 'embedded',
          detail:
            'PGlite in this process. Safe against its death, not against a power cut: use PostgreSQL for what matters.',
        }
      : { driver: 'postgresql', detail: 'The server that DATABASE_URL names.' },
    get wakeUps() {
      return describeWake(wake);
    },
    storage: { driver: storage.driver, detail: storage.detail },
    sandbox: describeSandbox(config, sandbox),
    embeddings: describeEmbeddings(embeddings),
    search: retrieval.describe(),
    limits: {
      requestBytes: config.maxBodyBytes,
      fileBytes: config.maxFileBytes,
      projectFileBytes: config.maxProjectFileBytes,
      connectionsPerKey: config.maxConnectionsPerKey,
      subscriptionsPerConnection: config.maxSubscriptionsPerConnection,
      pageSize: PAGE_MAX,
      runExpiresAfterSeconds: config.runExpiresAfterMs / 1000,
      runMaxTurns: config.runMaxTurns,
      modelContextTokens: config.modelContextTokens,
    },
  };
}
