import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunDetailsDocument } from '../../src/generated/graphql/graphql.ts';
import { calls, says } from '../engine/stage.ts';
import type { TestSkein } from '../skein.ts';
import { CARRIERS, type Cluster, openCluster } from './cluster.ts';

const python = (code: string) => ({ name: 'code_interpreter', arguments: JSON.stringify({ code }) });

const { skip, name, environment } = CARRIERS[0];

describe.skipIf(skip)(`a thread's code with several workers, ${name}`, { timeout: 240_000 }, () => {
  let cluster: Cluster;
  const code = { SANDBOX_DRIVER: 'auto', ...environment };
  beforeAll(async () => {
    cluster = await openCluster({ ROLE: 'api', ...code }, { ROLE: 'worker', ...code }, { ROLE: 'worker', ...code });
  }, 240_000);
  afterAll(() => cluster.close());

  /** What a run of the thread prints that runs the code; the thread is a new one when there is none. */
  async function print(api: TestSkein, code: string, threadId?: string): Promise<{ threadId: string; logs: string }> {
    cluster.scenes.push(calls([python(code)]), says('So.'));
    const started = await cluster.start(api, { ...(threadId ? { threadId } : {}), tools: [{ codeInterpreter: {} }] });
    await cluster.follow(api, started.runId, started.cursor);
    const { run } = await api.query(RunDetailsDocument, { id: started.runId });
    expect(run).toMatchObject({ status: 'COMPLETED' });
    const { details } = run!.steps.nodes[0]!;
    const [call] = details.__typename === 'ToolCallsDetails' ? details.toolCalls : [];
    const outputs = call?.__typename === 'CodeInterpreterToolCall' ? call.outputs : [];
    const logs = outputs.map((one) => (one.__typename === 'CodeInterpreterLogs' ? one.logs : '')).join('');
    return { threadId: started.threadId, logs };
  }

  test('comes to the worker that has its variables, run after run, and elsewhere once that one is gone', async () => {
    const [api, first, second] = cluster.nodes as [TestSkein, TestSkein, TestSkein];
    const threads: string[] = [];
    while (threads.length < 4) threads.push((await print(api, 'kept = 1')).threadId);
    for (const _round of [1, 2, 3]) {
      for (const threadId of threads) expect((await print(api, 'print(kept)', threadId)).logs).toBe('1\n');
    }
    // Whichever of the two it was: the model is told where it was the one that is gone, and nowhere else.
    await first.skein.close();
    const gone: boolean[] = [];
    for (const threadId of threads) {
      const { logs } = await print(api, "print('kept' in globals())", threadId);
      gone.push(logs.startsWith('False'));
      expect(logs).toMatch(/^(True\n|False\n\[The earlier Python session was closed: .*\]\n)$/);
    }
    console.log(`of ${threads.length} threads ${gone.filter(Boolean).length} had their session in the process that stopped`);
    expect(second.skein.counts().activeRuns).toBe(0);
  });
});
