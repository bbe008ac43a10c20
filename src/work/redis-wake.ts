import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { backoffMs } from './backoff.ts';
import { createOutbox } from './outbox.ts';
import { type Channels, createListeners, type Wake } from './wake.ts';
import { LOST, wakeByLines, wakeLine } from './wake-line.ts';

/** A command that takes longer has lost its connection; so has a connection that does not answer when asked. */
const COMMAND_MS = 5000;
const ASK_EVERY_MS = 10_000;
/** Characters: what is carried may be large, and is of no use when it is late. */
const MOST_WAITING = 16_000_000;
const NOT_YET = 'It is not connected yet.';

interface Message {
  channel: string;
  text: string;
}

interface Subscriber {
  heard: (text: string) => void;
  missed: () => void;
}

/**
 * Wake-ups, and texts for who listens, through the channels of a Redis. Its channels are shared by all of its
 * databases, so names begin with `scope`, which is the same for the processes of one Skein and for nobody else's.
 * Ready behind the first attempt to connect.
 */
export async function createRedisWake(options: { url: string; scope: string; logger: Logger }): Promise<Wake> {
  const { url, scope, logger } = options;
  const me = randomBytes(6).toString('base64url');
  const wakeChannel = `${scope}:wake`;
  const listeners = createListeners();
  const subscribers = new Map<string, Set<Subscriber>>();
  const problems: Record<'hearing' | 'speaking', string | null> = { hearing: NOT_YET, speaking: NOT_YET };
  let told = false;
  let closed = false;

  const client = (): Redis =>
    new Redis(url, {
      lazyConnect: true,
      connectTimeout: COMMAND_MS,
      commandTimeout: COMMAND_MS,
      keepAlive: 10_000,
      enableOfflineQueue: false,
      autoResubscribe: false,
      // Nothing is sent twice by itself: what was lost is made good by `missed`.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times) => (closed ? null : backoffMs(times - 1)),
    });
  const ear = client();
  const mouth = client();

  const outbox = createOutbox<Message>({
    windowMs: 0,
    sizeOf: ({ text }) => text.length,
    limit: MOST_WAITING,
    lost: { channel: wakeChannel, text: LOST },
    async send(batch) {
      try {
        const pipeline = mouth.pipeline();
        for (const { channel, text } of joined(batch)) pipeline.publish(channel, `${me}\n${text}`);
        for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
      } catch (error) {
        if (mouth.status === 'ready') mouth.disconnect(true);
        throw error;
      }
    },
  });

  /** One message for all wake-ups of a batch: they are the many small ones. */
  function joined(batch: Message[]): Message[] {
    const lines = batch.filter(({ channel }) => channel === wakeChannel).map(({ text }) => text);
    const others = batch.filter(({ channel }) => channel !== wakeChannel);
    return lines.length > 0 ? [{ channel: wakeChannel, text: lines.join('\n') }, ...others] : others;
  }

  const lostIn = (part: keyof typeof problems) => (error?: Error) => {
    if (closed) return;
    if (error || !problems[part]) problems[part] = `The connection is lost: ${error?.message ?? 'it was closed'}.`;
    // Once for each time it is lost, not for each attempt.
    if (!told) logger.warn({ err: error, part }, 'the connection to Redis is lost; trying again');
    told = true;
  };
  const backIn = (part: keyof typeof problems) => {
    problems[part] = null;
    if (told && !problems.hearing && !problems.speaking) {
      told = false;
      logger.info('Redis carries wake-ups again');
    }
  };
  ear.on('error', lostIn('hearing'));
  ear.on('close', () => lostIn('hearing')());
  ear.on('message', (channel: string, text: string) => {
    const end = text.indexOf('\n');
    if (text.slice(0, end) === me) return;
    const content = text.slice(end + 1);
    if (channel === wakeChannel) wakeByLines(content.split('\n'), listeners);
    else for (const { heard } of [...(subscribers.get(channel) ?? [])]) heard(content);
  });
  ear.on('ready', () => void listen());
  mouth.on('error', lostIn('speaking'));
  mouth.on('close', () => {
    lostIn('speaking')();
    outbox.connected(false);
  });
  mouth.on('ready', () => {
    backIn('speaking');
    outbox.connected(true);
  });

  /** On a connection that is new: listens to everything again, and only then says that things were missed. */
  async function listen(): Promise<void> {
    try {
      const names = [...subscribers.keys()];
      await ear.subscribe(wakeChannel, ...names);
      backIn('hearing');
      listeners.missed();
      for (const name of names) for (const { missed } of [...(subscribers.get(name) ?? [])]) missed();
    } catch (error) {
      lostIn('hearing')(error as Error);
      if (ear.status === 'ready') ear.disconnect(true);
    }
  }

  // Both ways: one that is only half there looks as if it were quiet.
  const asking = setInterval(() => {
    for (const redis of [ear, mouth]) {
      if (redis.status === 'ready') redis.ping().catch(() => redis.status === 'ready' && redis.disconnect(true));
    }
  }, ASK_EVERY_MS);

  let texts = 0;
  const channels: Channels = {
    publish(channel, text) {
      outbox.put(`text ${texts++}`, { channel: `${scope}:${channel}`, text });
    },
    subscribe(channel, heard, missed) {
      const name = `${scope}:${channel}`;
      const subscriber = { heard, missed };
      const all = subscribers.get(name);
      if (all) all.add(subscriber);
      else subscribers.set(name, new Set([subscriber]));
      // One that is not there now is made good for by `listen`. With others, what is on its way may be theirs already.
      if (ear.status === 'ready')
        ear.subscribe(name).then(
          () => subscribers.get(name)?.has(subscriber) && missed(),
          () => ear.status === 'ready' && ear.disconnect(true),
        );
      return () => {
        const rest = subscribers.get(name);
        if (!rest?.delete(subscriber) || rest.size > 0) return;
        subscribers.delete(name);
        if (ear.status === 'ready') ear.unsubscribe(name).catch(() => ear.status === 'ready' && ear.disconnect(true));
      };
    },
  };

  const wakeOthers: Wake['wakeOthers'] = (topic, subject, key = subject) =>
    outbox.put(`${topic} ${key}`, { channel: wakeChannel, text: wakeLine(topic, subject) });
  // An attempt that fails is reported by its event, and others follow it.
  await Promise.all([ear, mouth].map((redis) => redis.connect().catch(() => {})));
  if (ear.status === 'ready') await ear.ping().catch(() => {}); // answered behind what `listen` has asked for
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
      driver: 'redis',
      get problem() {
        return problems.hearing ?? problems.speaking;
      },
      channels,
      alone: false,
    },
    async close() {
      await outbox.close();
      closed = true;
      clearInterval(asking);
      ear.disconnect();
      mouth.disconnect();
    },
  };
}
