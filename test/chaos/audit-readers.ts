import { type Conversation, conversationOf } from '../../src/client/fold.ts';
import { RunDetailsDocument } from '../../src/generated/graphql/graphql.ts';
import { ask } from './ask.ts';
import type { Findings } from './findings.ts';
import type { Fleet } from './fleet.ts';
import type { Lane } from './lane.ts';
import { createReader, type Reader } from './reader.ts';

export interface AuditReadersOptions {
  fleet: Fleet;
  lanes: readonly Lane[];
  findings: Findings;
  closes: Map<string, number>;
  runsAreOver: boolean;
}

/** Runs begin in another order than they were started in when some of them wait: each list has its own. */
const visible = ({ messages, runs }: Conversation): string =>
  JSON.stringify({ messages, runs: runs.toSorted((a, b) => (a.id < b.id ? -1 : 1)) });

/** Threads that are looked at at the same time. */
const AT_ONCE = 8;

/** Holds what each reader has folded, through all of its reconnects, against what is stored. */
export async function auditReaders({ fleet, lanes, findings, closes, runsAreOver }: AuditReadersOptions) {
  const left = [...lanes];
  const read = async (
    what: { threadId: string },
    after: string | null,
    done: (state: Conversation) => boolean,
  ): Promise<Conversation> => {
    const reader = createReader({ fleet, findings, what, after, closes });
    await reader.until(done);
    await reader.close();
    return reader.state;
  };
  const compare = (name: string, folded: Conversation, stored: Conversation): void => {
    const [mine, theirs] = [visible(folded), visible(stored)];
    if (mine === theirs) return;
    findings.add(`${name}: what was folded is not what is stored: ${difference(mine, theirs)}`);
  };
  async function audit(lane: Lane): Promise<void> {
    const { threadId, beginning, reader } = lane;
    const stored = await read({ threadId }, null, ({ cursor }) => cursor !== null);
    if (!runsAreOver) return;
    const atEnd = (state: Conversation): boolean => state.cursor === stored.cursor;
    await reader.until(atEnd);
    compare(`${threadId}, followed through the storm`, reader.state, stored);
    compare(`${threadId}, read again from its beginning`, await read({ threadId }, beginning, atEnd), stored);
    for (const run of lane.runs) {
      if (!run.reader) continue;
      await run.reader.ended;
      const details = conversationOf(await ask(fleet, RunDetailsDocument, { id: run.id }))!;
      compare(`${run.id}, followed through the storm`, run.reader.state, details);
    }
  }
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let lane = left.pop(); lane; lane = left.pop()) await audit(lane);
    }),
  );
  const readers: Reader[] = lanes.flatMap(({ reader, runs }) => [reader, ...runs.flatMap((run) => run.reader ?? [])]);
  return {
    events: readers.reduce((sum, { received }) => sum + received.length, 0),
    snapshots: readers.reduce(
      (sum, { received }) => sum + received.filter(({ type }) => type.endsWith('Snapshot')).length,
      0,
    ),
    reconnects: readers.reduce((sum, reader) => sum + reader.reconnects, 0),
  };
}

/** The first place at which two texts differ, with what stands around it. */
function difference(one: string, other: string): string {
  let at = 0;
  while (one[at] === other[at]) at++;
  const around = (text: string): string => text.slice(Math.max(0, at - 120), at + 80);
  return `…${around(one)}… is stored as …${around(other)}…`;
}
