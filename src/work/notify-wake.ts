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
/** Milliseconds in which those who are there answer a greeting, busy as they may be. */
const ANSWER_MS = 3000;
/** Says that there is somebody, and nothing else. */
const HERE = 'here';

/**
 * Wake-ups through PostgreSQL's LISTEN and NOTIFY, on one connection that does nothing else: a NOTIFY inside of
 * somebody's transaction would make its commit wait for those of all others. Whoever has no answer to its greeting is
 * alone, and says nothing until it hears of another: then it says that something may have been missed. Ready behind the
 * first attempt to connect.
 */
export async function createNotifyWake(options: {
  connection: ListenOptions['connection'];
  logger: Logger;
  answerMs?: number;
}): Promise<Wake> {
  const { answerMs = ANSWER_MS, ...rest } = options;
  const listeners = createListeners();
  let alone = false;
  let met = false;
  let unanswered: NodeJS.Timeout | undefined;
  const outbox = createOutbox<string>({
    windowMs: WINDOW_MS,
    sizeOf: (line) => line.length,
    limit: MOST_WAITING,
    lost: LOST,
    send: (lines) => listening.notify(packLines(lines, PAYLOAD_BYTES)),
  });
  /** There is another process. That it may be gone by now is not worth finding out. */
  const meet = (): void => {
    met = true;
    clearTimeout(unanswered);
    if (alone) outbox.put(LOST, LOST);
    alone = false;
  };
  const listening = createListening({
    ...rest,
    channel: 'skein_wake',
    onPayload(payload) {
      meet();
      wakeByLines(payload.split('\n'), listeners);
    },
    onGreeting() {
      meet();
      outbox.put(HERE, HERE);
    },
    onListening() {
      listeners.missed();
      outbox.connected(true);
      if (!met) unanswered = setTimeout(() => (alone = true), answerMs).unref();
    },
    onLost() {
      clearTimeout(unanswered);
      outbox.connected(false);
    },
    backoffMs,
  });
  const wakeOthers: Wake['wakeOthers'] = (topic, subject, key = subject) => {
    if (!alone) outbox.put(`${topic} ${key}`, wakeLine(topic, subject));
  };
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
      get alone() {
        return alone;
      },
    },
    async close() {
      clearTimeout(unanswered);
      await outbox.close();
      await listening.close();
    },
  };
}
