import { expect } from 'vitest';
import { eventually } from '../eventually.ts';
import type { Rows } from '../graph/rows.ts';
import type { ThreadEvent } from './watch.ts';

/** What tests of the log's upkeep know of the rows behind a server. */
export interface LogRows {
  /** Lets hours go by since the end of runs. */
  age(...runIds: string[]): Promise<void>;
  /** Waits until their deltas are gone. */
  compacted(...runIds: string[]): Promise<void>;
  /** What is left of a thread's log, oldest first. */
  log(threadId: string): Promise<{ number: number; type: string; runId: string | null }[]>;
  logFrom(threadId: string): Promise<number>;
}

/** The server is to compact runs at least every second, and not before they have been over for two minutes. */
export function logRows(rows: Rows): LogRows {
  return {
    async age(...runIds) {
      const moved = await rows.query(
        `update run set ended_at = ended_at - interval '3 hours' where id = any($1) and ended_at is not null returning id`,
        [runIds],
      );
      expect(moved).toHaveLength(runIds.length);
    },
    compacted: (...runIds) =>
      eventually(async () => {
        const left = await rows.query('select id from run where id = any($1) and not compacted', [runIds]);
        expect(left).toEqual([]);
      }),
    log: (threadId) =>
      rows.query('select number, type, run_id as "runId" from event where thread_id = $1 order by number', [threadId]),
    async logFrom(threadId) {
      const [row] = await rows.query<{ from: number }>('select log_from as from from thread where id = $1', [threadId]);
      return row!.from;
    },
  };
}

export const numberOf = ({ cursor }: { cursor: string }): number => Number(cursor.slice(cursor.lastIndexOf('.') + 1));
export const isDelta = ({ __typename }: Pick<ThreadEvent, '__typename'>): boolean => __typename.endsWith('Delta');
