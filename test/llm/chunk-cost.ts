/**
 * CPU time that a process spends per streamed chunk, in microseconds: our driver against the SDK's own stream.
 * Run it by hand: node test/llm/chunk-cost.ts [streams] [chunks] [ms between chunks]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import OpenAI from 'openai';
import { pino } from 'pino';
import { createOpenAi } from '../../src/llm/openai.ts';
import { requestOf } from './llm-contract.ts';
import { delta, finish, openModelServer, streamTo, USAGE } from './model-server.ts';

const [streams = 100, chunks = 100, pace = 20] = process.argv.slice(2).map(Number);

/** The paced server is a process of its own, so that its cost is not ours. */
async function serve(send: (message: string) => void): Promise<void> {
  const server = await openModelServer(({ response }) => {
    const stream = streamTo(response);
    let sent = 0;
    const beat = setInterval(() => {
      if (sent++ < chunks) return stream.send(delta({ content: 'token ' }));
      clearInterval(beat);
      stream.send(finish('stop'), USAGE);
      stream.end();
    }, pace);
  });
  send(server.url);
  process.on('disconnect', () => void server.close());
}

async function measure(name: string, read: () => Promise<number>): Promise<void> {
  await read(); // compiles the code and opens the first socket
  const before = process.cpuUsage();
  const seen = await Promise.all(Array.from({ length: streams }, read));
  const { user, system } = process.cpuUsage(before);
  const total = seen.reduce((sum, count) => sum + count, 0);
  const cost = ((user + system) / total).toFixed(1);
  console.log(`${name}: ${cost} µs CPU per chunk (${total} chunks in ${streams} streams)`);
}

async function compare(): Promise<void> {
  const child = fork(import.meta.filename, process.argv.slice(2));
  const [baseUrl] = (await once(child, 'message')) as [string];
  const llm = createOpenAi({ apiKey: 'sk-test', baseUrl, timeoutMs: 60_000, logger: pino({ level: 'silent' }) });
  const sdk = new OpenAI({ apiKey: 'sk-test', baseURL: baseUrl, maxRetries: 0 });
  for (let round = 0; round < 3; round++) {
    await measure('driver', async () => {
      let count = 0;
      for await (const chunk of llm.stream(requestOf('hello'), new AbortController().signal)) {
        if (chunk.type === 'text') count++;
      }
      return count;
    });
    await measure('SDK stream', async () => {
      let count = 0;
      const stream = await sdk.chat.completions.create({ model: 'm', messages: [], stream: true });
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) count++;
      return count;
    });
  }
  await llm.close();
  child.disconnect();
}

if (process.send) await serve((url) => process.send?.(url));
else await compare();
