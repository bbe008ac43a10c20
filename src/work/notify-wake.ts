import type { Logger } from 'pino';
import { createListening, type ListenOptions } from '../db/listen.ts';
import { backoffMs } from './backoff.ts';
import { createOutbox } from './outbox.ts';
import { createListeners, type Wake } from './wake.ts';
import { LOST, packLines, wakeByLines, wakeLine } from './wake-line.ts';

/** PostgreSQL takes less than 8000 bytes. */
const PAYLOAD_BYTES = 7900;
/** Milliseconds between two NOTIFYs: senders of all processes take turns in the server, so few and large ones. */
const WINDOW_MS = 5;
/** Characters. */
const MOST_WAITING = 1_000_000;

/**
 * Wake-ups through PostgreSQL's LISTEN and NOTIFY, on one connection that does nothing else: a NOTIFY inside of
 * somebody's transaction would make its commit wait for those of all others. Ready behind the first attempt to connect.
 */
export async function createNotifyWake(options: {
  connection: ListenOptions['connection'];
  logger: Logger;
}): Promise<Wake> {
  const listeners = createListeners();
  const outbox = createOutbox<string>({
    windowMs: WINDOW_MS,
    sizeOf: (line) => line.length,
    limit: MOST_WAITING,
    lost: LOST,
    send: (lines) => listening.notify(packLines(lines, PAYLOAD_BYTES)),
  });
  const listening = createListening({
    ...options,
    channel: 'skein_wake',
    onPayload: (payload) => wakeByLines(payload.split('\n'), listeners),
    onListening() {
      listeners.missed();
      outbox.connected(true);
    },
    onLost: () => outbox.connected(false),
    backoffMs,
  });
  const wakeOthers: Wake['wakeOthers'] = (topic, subject, key = subject) =>
    outbox.put(`${topic} ${key}`, wakeLine(topic, subject));
  await listening.tried;
  return {
    wake(topic, subject = '') {
      listeners.wake(topic, subject);
      wakeOthers(topic, subject);
    },
    wakeOthers,
    on: listeners.on,
    get listeners() {
      return listeners.count;
    },
    carrier: {
      driver: 'notify',
      get problem() {
        return listening.problem;
      },
      channels: null,
    },
    async close() {
      await outbox.close();
      await listening.close();
    },
  };
}
