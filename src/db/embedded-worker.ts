import { parentPort, workerData } from 'node:worker_threads';
import { serveConnections } from './multiplexer.ts';
import { openData } from './prepare-data.ts';

/** What the worker is started with. */
export interface EmbeddedWorkerData {
  path: string;
  templates: string;
  socketPath: string;
}

/** What the worker says. The one thing it is told is to close. */
export type EmbeddedWorkerMessage = { type: 'ready' } | { type: 'warning'; error: string; message: string };

const { path, templates, socketPath } = workerData as EmbeddedWorkerData;
const say = (message: EmbeddedWorkerMessage) => parentPort!.postMessage(message);

const warn = (error: unknown, message: string) =>
  say({ type: 'warning', error: String((error as Error).stack ?? error), message });

const pglite = await openData({ path, templates, warn });
const server = await serveConnections(pglite, socketPath);
parentPort!.once('message', async () => {
  await server.close();
  await pglite.close();
  // With nothing listening on the port the thread ends, and that is the answer.
});
say({ type: 'ready' });
