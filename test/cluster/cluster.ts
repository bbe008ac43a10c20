import {
  CreateAssistantDocument,
  FollowRunDocument,
  type FollowRunSubscription,
  StartRunDocument,
  type StartRunInput,
} from '../../src/generated/graphql/graphql.ts';
import { TEST_DATABASE_URL } from '../database.ts';
import type { Scene } from '../engine/stage.ts';
import { answerOk, type ModelServer, openModelServer } from '../llm/model-server.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { type Gate, openGate } from '../work/gate.ts';

export type RunEvent = FollowRunSubscription['runEvents'];

export const KEY = 'sk-test-key-of-a-whole-cluster';
export const TEST_REDIS_URL = process.env.TEST_REDIS_URL || null;

/** What tells the nodes of each other, and why it is not tested where it is not. */
export const CARRIERS = [
  { carrier: 'notify', skip: !TEST_DATABASE_URL, name: 'with NOTIFY (needs TEST_DATABASE_URL)', environment: {} },
  {
    carrier: 'redis',
    skip: !TEST_DATABASE_URL || !TEST_REDIS_URL,
    name: 'with Redis (needs TEST_DATABASE_URL and TEST_REDIS_URL)',
    environment: { REDIS_URL: TEST_REDIS_URL ?? '' },
  },
] as const;

for (const { skip, name } of CARRIERS) if (skip) console.warn(`several nodes ${name} are NOT tested`);

/** A way to the Redis that can be cut. */
export interface RedisWay {
  readonly gate: Gate;
  readonly environment: { REDIS_URL: string };
}

export async function openRedisWay(): Promise<RedisWay> {
  const url = new URL(TEST_REDIS_URL!);
  const gate = await openGate({ host: url.hostname, port: Number(url.port || 6379) });
  url.hostname = '127.0.0.1';
  url.port = String(gate.port);
  return { gate, environment: { REDIS_URL: url.href } };
}

/** Several nodes on one database, with one model server. */
export interface Cluster {
  readonly nodes: readonly TestSkein[];
  readonly model: ModelServer;
  /** How the next model calls are answered, the next one first; "Hi!" when nothing is written. */
  readonly scenes: Scene[];
  /** One more node. */
  join(environment?: Record<string, string>): Promise<TestSkein>;
  /** Starts a run through a node, in a new thread unless told otherwise. */
  start(node: TestSkein, input?: Partial<StartRunInput>): Promise<{ runId: string; threadId: string; cursor: string }>;
  /** The run's events from a cursor to its end, as a node tells them. */
  follow(node: TestSkein, runId: string, after?: string): Promise<RunEvent[]>;
  close(): Promise<void>;
}

export async function openCluster(...environments: Record<string, string>[]): Promise<Cluster> {
  const scenes: Scene[] = [];
  const model = await openModelServer((exchange) => {
    const scene = exchange.request.method === 'GET' ? answerOk : (scenes.shift() ?? answerOk);
    scene(exchange);
  });
  const nodes: TestSkein[] = [];
  let assistant: Promise<string> | null = null;
  const cluster: Cluster = {
    nodes,
    model,
    scenes,
    async join(environment = {}) {
      const first = nodes[0];
      const node = await startSkein({
        OPENAI_BASE_URL: model.url,
        SKEIN_BOOTSTRAP_KEY: KEY,
        ...(first ? { DATABASE_URL: first.database.databaseUrl! } : {}),
        ...environment,
      });
      nodes.push(node);
      return node;
    },
    async start(node, input = {}) {
      assistant ??= node
        .query(CreateAssistantDocument, { input: { model: 'test-model' } }, KEY)
        .then(({ createAssistant }) => createAssistant.assistant!.id);
      const where = input.threadId ? {} : { thread: { messages: [{ content: [{ text: 'Hello' }] }] } };
      const { startRun } = await node.query(
        StartRunDocument,
        { input: { assistantId: await assistant, ...where, ...input } },
        KEY,
      );
      if (!startRun.run) throw new Error(JSON.stringify(startRun.userErrors));
      const { id, thread, cursor } = startRun.run;
      return { runId: id, threadId: thread.id, cursor: cursor! };
    },
    async follow(node, runId, after) {
      const events: RunEvent[] = [];
      for await (const { runEvents } of node.follow(FollowRunDocument, { runId, after }, KEY)) events.push(runEvents);
      return events;
    },
    async close() {
      // The first one's database is everybody's.
      for (const node of nodes.toReversed()) await node.close();
      await model.close();
    },
  };
  for (const environment of environments) await cluster.join(environment);
  return cluster;
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
