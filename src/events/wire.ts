import type { Wake } from '../work/wake.ts';
import { cursorOf, decodeBody, encodeBody, type StoredEvent } from './event.ts';

/** Between the tails of several processes: what one has committed, the others hear of, or may have missed. */
export interface Wire {
  /** Tells the other processes of events of a thread that are committed. */
  tell(threadId: string, events: StoredEvent[]): void;
  /** Hears of a thread until the returned function is called. */
  hear(threadId: string): () => void;
  close(): void;
}

export interface Ear {
  events(threadId: string, events: StoredEvent[]): void;
  /** The thread's log has come to this number. */
  grew(threadId: string, last: number): void;
  /** The thread's log, or any thread's, may have grown by any number. */
  missed(threadId: string | null): void;
}

/** Characters of events that are carried; of what is larger only the last number is told, and it is read from the log. */
const MOST_CARRIED = 65_536;

/**
 * Where texts can be carried to who listens, events travel themselves, by a channel for each thread that is followed.
 * Where only wake-ups can, everyone is told how far which thread's log has grown.
 */
export function createWire(wake: Wake, ear: Ear): Wire {
  const channels = wake.carrier?.channels;
  if (!channels) {
    const off = wake.on(
      'events',
      (cursor) => {
        const dot = cursor.indexOf('.');
        const last = Number(cursor.slice(dot + 1));
        if (dot > 0 && Number.isSafeInteger(last)) ear.grew(`thread_${cursor.slice(0, dot)}`, last);
      },
      () => ear.missed(null),
    );
    return {
      tell: (threadId, events) => wake.wakeOthers('events', cursorOf(threadId, events.at(-1)!.number), threadId),
      hear: () => () => {},
      close: off,
    };
  }
  // Wake-ups say when this process has been deaf, or another mute, as a whole.
  const off = wake.on(
    'events',
    () => {},
    () => ear.missed(null),
  );
  return {
    tell: (threadId, events) => channels.publish(threadId, encode(events)),
    hear: (threadId) =>
      channels.subscribe(
        threadId,
        (text) => {
          const heard = decode(threadId, text);
          if (typeof heard === 'number') ear.grew(threadId, heard);
          else ear.events(threadId, heard);
        },
        () => ear.missed(threadId),
      ),
    close: off,
  };
}

/** Number, run, milliseconds since 1970, payload as it is stored. */
type Carried = [number: number, runId: string | null, at: number, payload: string];

function encode(events: StoredEvent[]): string {
  const carried = events.map(({ number, runId, at, body }): Carried => [number, runId, at.getTime(), encodeBody(body)]);
  const size = carried.reduce((sum, [, , , payload]) => sum + payload.length, 0);
  return JSON.stringify(size > MOST_CARRIED ? events.at(-1)!.number : carried);
}

function decode(threadId: string, text: string): StoredEvent[] | number {
  const carried = JSON.parse(text) as Carried[] | number;
  if (typeof carried === 'number') return carried;
  return carried.map(([number, runId, at, payload]) => ({
    threadId,
    number,
    runId,
    at: new Date(at),
    body: decodeBody(payload),
  }));
}
