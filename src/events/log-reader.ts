import type { Queryable } from '../db/db.ts';
import { decodeBody, type StoredEvent } from './event.ts';

/** What a thread's log holds behind a place. */
export interface Page {
  events: StoredEvent[];
  /** The highest number of an event that is gone from the log: behind it, the log is complete. */
  logFrom: number;
  /** Whether there may be more behind the last of the events. */
  more: boolean;
}

export interface LogReader {
  /** Reads a thread's log behind event `after`. Pages share their events: nobody may change them. */
  read(threadId: string, after: number): Promise<Page>;
}

/** Events of one place that are read at once, when it is alone and when it shares a statement with many. */
const PAGE = 512;
const LEAST_PAGE = 16;
/** Events that one statement may read, and places that it may read from. */
const MOST_EVENTS = 4096;
const MOST_PLACES = 256;

interface Request {
  threadId: string;
  after: number;
  answer: PromiseWithResolvers<Page>;
}

interface Place {
  threadId: string;
  after: number;
  requests: Request[];
}

interface Row {
  place: string;
  logFrom: number;
  number: number | null;
  runId: string | null;
  payload: string;
  at: Date;
}

/**
 * Reads logs for everyone in the process with one statement at a time: who asks while one is under way shares the
 * next, and who asks for the same part of one thread shares its rows.
 */
export function createLogReader(q: Queryable): LogReader {
  let waiting: Request[] = [];
  let reading = false;

  async function readAll(): Promise<void> {
    if (reading) return;
    reading = true;
    // Not yet: those who ask in the same breath share the statement.
    await Promise.resolve();
    while (waiting.length > 0) {
      const { places, rest } = gather(waiting);
      waiting = rest;
      const limit = Math.max(LEAST_PAGE, Math.min(PAGE, Math.floor(MOST_EVENTS / places.length)));
      try {
        const rows = await q.query<Row>(statement(places, limit));
        answer(places, rows, limit);
      } catch (error) {
        for (const { requests } of places) for (const { answer } of requests) answer.reject(error);
      }
    }
    reading = false;
  }

  return {
    read(threadId, after) {
      const answer = Promise.withResolvers<Page>();
      waiting.push({ threadId, after, answer });
      void readAll();
      return answer.promise;
    },
  };
}

/**
 * Requests of one thread whose places are near each other are one place, the lowest. It brings each of them further:
 * numbers have no gaps but for those that are gone from the log, so a page reaches beyond all of its requests.
 */
function gather(requests: Request[]): { places: Place[]; rest: Request[] } {
  const threads = new Map<string, Request[]>();
  for (const request of requests) {
    const known = threads.get(request.threadId);
    if (known) known.push(request);
    else threads.set(request.threadId, [request]);
  }
  const places: Place[] = [];
  const rest: Request[] = [];
  for (const [threadId, own] of threads) {
    let place: Place | null = null;
    for (const request of own.toSorted((a, b) => a.after - b.after)) {
      if (place && request.after - place.after < LEAST_PAGE) place.requests.push(request);
      else if (places.length === MOST_PLACES) rest.push(request);
      else places.push((place = { threadId, after: request.after, requests: [request] }));
    }
  }
  return { places, rest };
}

/** What is gone from a log and what is left of it are of one moment: they are read by one statement. */
const statement = (places: Place[], limit: number) => ({
  name: 'event-read',
  text: `select p.place, coalesce(t.log_from, 0) as "logFrom", e.number, e.run_id as "runId", e.payload, e.at
from unnest($1::text[], $2::int[]) with ordinality p(thread_id, after, place)
left join thread t on t.id = p.thread_id
left join lateral (
  select number, run_id, payload, at from event
  where thread_id = p.thread_id and number > p.after order by number limit $3
) e on true
order by p.place, e.number`,
  values: [places.map(({ threadId }) => threadId), places.map(({ after }) => after), limit],
});

function answer(places: Place[], rows: Row[], limit: number): void {
  const pages = places.map((): Page => ({ events: [], logFrom: 0, more: false }));
  for (const { place, logFrom, number, runId, payload, at } of rows) {
    const index = Number(place) - 1;
    const page = pages[index]!;
    page.logFrom = logFrom;
    if (number === null) continue;
    page.events.push({ threadId: places[index]!.threadId, number, runId, at, body: decodeBody(payload) });
  }
  for (const [index, { requests }] of places.entries()) {
    const { events, logFrom } = pages[index]!;
    const more = events.length === limit;
    for (const { after, answer } of requests) {
      answer.resolve({ events: events.filter(({ number }) => number > after), logFrom, more });
    }
  }
}
