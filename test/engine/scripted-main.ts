import { pino } from 'pino';
import { readConfig } from '../../src/config.ts';
import { errorForLog } from '../../src/errors.ts';
import { createSkein } from '../../src/skein.ts';
import { scriptedTools } from './scripted-tools.ts';

/** A server whose hosted tools ask a test what to do: `TOOL_URL` answers a search with lines of text, in its own time. */
const { TOOL_URL, LOG_LEVEL } = process.env;
const ask = async (path: string, text: string, signal: AbortSignal): Promise<string[]> => {
  const response = await fetch(`${TOOL_URL}/${path}`, { method: 'POST', body: text, signal });
  return (await response.text()).split('\n');
};
const logger = pino({ level: LOG_LEVEL ?? 'error', serializers: { err: (error: unknown) => errorForLog(error) } });
const skein = await createSkein(
  readConfig(),
  logger,
  scriptedTools({
    search: (query, signal) => ask('search', query, signal),
    async run(code, report, signal) {
      for (const line of await ask('run', code, signal)) report({ type: 'logs', logs: `${line}\n` });
    },
  }),
);
process.stdout.write(`Skein listens on ${skein.url}\n`);
process.on('SIGTERM', () => void skein.close().then(() => process.exit(0)));
