import { EventEmitter, once } from 'node:events';
import { print } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { type Conversation, type ConversationEvent, emptyConversation, fold } from '../../src/client/fold.ts';
import { FollowRunDocument, FollowThreadDocument } from '../../src/generated/graphql/graphql.ts';
import type { Findings } from './findings.ts';
import { type Fleet, KEY } from './fleet.ts';

/** An event that was received, by its place in the log; a snapshot stands for everything up to its place. */
export interface Received {
  place: number;
  type: ConversationEvent['__typename'];
}

/** Follows a thread or a run over sockets, through any process that is up, and folds what comes. */
export interface Reader {
  readonly state: Conversation;
  readonly received: readonly Received[];
  /** The place that it began behind; null when it began with a snapshot. */
  readonly beganAt: number | null;
  readonly reconnects: number;
  /** When hosted calls have ended, by their ids: wall clock, as the events tell. */
  readonly ends: ReadonlyMap<string, number>;
  /** Resolves when what has been folded so far satisfies the condition. */
  until(condition: (state: Conversation) => boolean): Promise<void>;
  onEvent(listener: (event: ConversationEvent) => void): void;
  /** Settled when the subscription has ended by itself. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

export interface ReaderOptions {
  fleet: Fleet;
  findings: Findings;
  what: { threadId: string } | { runId: string };
  after: string | null;
  /** What is counted of all readers: how sockets have closed. */
  closes: Map<string, number>;
}

export const placeOf = (cursor: string): number => Number(cursor.slice(cursor.lastIndexOf('.') + 1));

/** Close codes with which a server, or a dead one, says "come back". */
const COME_BACK = new Set([1001, 1005, 1006, 1012, 1013]);

export function createReader({ fleet, findings, what, after, closes }: ReaderOptions): Reader {
  const name = 'threadId' in what ? what.threadId : what.runId;
  const document = print('threadId' in what ? FollowThreadDocument : FollowRunDocument);
  const received: Received[] = [];
  const events = new EventEmitter().setMaxListeners(0);
  const end = Promise.withResolvers<void>();
  let state: Conversation = { ...emptyConversation(), cursor: after };
  const ends = new Map<string, number>();
  let reconnects = 0;
  let closed = false;
  let dispose: () => unknown = () => {};

  function take(event: ConversationEvent): void {
    const place = placeOf(event.cursor);
    const last = state.cursor === null ? -1 : placeOf(state.cursor);
    const isSnapshot = event.__typename.endsWith('Snapshot');
    // A snapshot may stand where its reader stands, with more in it.
    findings.expect(
      isSnapshot ? place >= last : place > last,
      `${name}: ${event.__typename} at ${place} came behind ${last}`,
    );
    checkAgainstDeltas(event);
    if (event.__typename === 'RunStepDelta') {
      for (const call of event.toolCalls) if ('ended' in call && call.ended) ends.set(call.id, Date.parse(event.at));
    }
    received.push({ place, type: event.__typename });
    state = fold(state, event);
    events.emit('event', event);
  }

  /** What was written piece by piece is what there is in the end: no piece was lost, and none came twice. */
  function checkAgainstDeltas(event: ConversationEvent): void {
    if (event.__typename === 'MessageFinished' && event.message.runId !== null) {
      const known = state.messages.find(({ id }) => id === event.message.id);
      if (known?.status === 'IN_PROGRESS') {
        const same = JSON.stringify(known.content) === JSON.stringify(event.message.content);
        findings.expect(
          same,
          `${name}: the deltas of ${known.id} add up to "${known.text}", it is "${event.message.text}"`,
        );
      } else findings.expect(known !== undefined, `${name}: ${event.message.id} finished without having begun`);
    }
    if (event.__typename === 'RunStepFinished' && event.step.details.__typename === 'ToolCallsDetails') {
      const step = state.runs.flatMap(({ steps }) => steps).find(({ id }) => id === event.step.id);
      if (step?.status !== 'IN_PROGRESS' || step.details.__typename !== 'ToolCallsDetails') return;
      const parts = (calls: typeof step.details.toolCalls): string =>
        JSON.stringify(
          calls.map((call) =>
            call.__typename === 'FunctionToolCall'
              ? [call.name, call.arguments]
              : call.status === 'COMPLETED'
                ? call
                : null,
          ),
        );
      const [known, whole] = [parts(step.details.toolCalls), parts(event.step.details.toolCalls)];
      findings.expect(known === whole, `${name}: the deltas of ${step.id} add up to ${known}, it is ${whole}`);
    }
  }

  async function follow(): Promise<void> {
    while (!closed) {
      const node = await fleet.api();
      const client = createClient({
        url: `${node.url.replace('http', 'ws')}/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: { Authorization: `Bearer ${KEY}` },
        retryAttempts: 0,
      });
      dispose = () => client.dispose();
      try {
        const answers = client.iterate<Record<string, ConversationEvent>>({
          query: document,
          variables: { ...what, after: state.cursor },
        });
        for await (const { data, errors } of answers) {
          if (errors) throw errors;
          take(Object.values(data!)[0]!);
        }
        break;
      } catch (error) {
        if (closed) break;
        reconnects += 1;
        heed(error);
      } finally {
        await client.dispose();
      }
    }
    end.resolve();
  }

  function heed(error: unknown): void {
    const { code } = error as { code?: unknown };
    const how = Array.isArray(error) ? 'errors' : typeof code === 'number' ? String(code) : 'no connection';
    closes.set(how, (closes.get(how) ?? 0) + 1);
    if (Array.isArray(error)) findings.add(`${name}: ${error.map(({ message }: Error) => message).join('; ')}`);
    else if (typeof code === 'number')
      findings.expect(COME_BACK.has(code), `${name}: a socket was closed with ${code}`);
  }

  void follow().catch(end.reject);
  return {
    get state() {
      return state;
    },
    received,
    ends,
    beganAt: after === null ? null : placeOf(after),
    get reconnects() {
      return reconnects;
    },
    async until(condition) {
      while (!condition(state)) {
        const left = await Promise.race([once(events, 'event'), end.promise]);
        if (left === undefined && !condition(state))
          throw new Error(`${name}: the subscription ended before that came`);
      }
    },
    onEvent: (listener) => void events.on('event', listener),
    ended: end.promise,
    async close() {
      closed = true;
      dispose();
      await end.promise;
    },
  };
}
