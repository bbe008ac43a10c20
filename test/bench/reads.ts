import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { cpuMs } from './processes.ts';

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

const NESTED = `query Nested {
  threads(first: 50) { nodes { id title createdAt messages(first: 50) { nodes { id role status text createdAt } } } }
}`;

/** 50 threads with 50 messages each in one request, against two flat SQL queries whose rows are shaped in Node. */
export async function nestedRead(url: string, key: string, databaseUrl: string, pid: number): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ id: string }>('select id from project limit 1');
  const projectId = rows[0]!.id;
  await seed(client, projectId, 50, 50);

  const flat = async () => {
    const threads = await client.query({
      name: 'threads',
      text: 'select id, title, created_at as "createdAt" from thread where project_id = $1 order by id desc limit 50',
      values: [projectId],
    });
    const messages = await client.query({
      name: 'messages',
      text: `select id, thread_id, role, status, content, created_at as "createdAt" from message where thread_id = any($1) order by thread_id, position desc`,
      values: [threads.rows.map(({ id }) => id)],
    });
    const byThread = new Map<string, object[]>(threads.rows.map(({ id }) => [id, []]));
    for (const { thread_id, content, ...message } of messages.rows) {
      const text = (content as { value: string }[]).map(({ value }) => value).join('');
      byThread.get(thread_id)!.push({ ...message, text });
    }
    return JSON.stringify({
      data: { threads: { nodes: threads.rows.map((row) => ({ ...row, messages: { nodes: byThread.get(row.id) } })) } },
    });
  };
  const body = JSON.stringify({ query: NESTED });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const graph = async () => (await fetch(`${url}/graphql`, { method: 'POST', headers, body })).text();

  const expected = JSON.parse(await flat()) as Nested;
  const got = JSON.parse(await graph()) as Nested;
  const size = ({ data }: Nested) => data.threads.nodes.reduce((sum, { messages }) => sum + messages.nodes.length, 0);
  if (size(got) !== 2500 || size(expected) !== 2500)
    throw new Error(`read ${size(got)} and ${size(expected)} messages, not 2500`);
  const flatMs: number[] = [];
  const graphMs: number[] = [];
  const cpuBefore = cpuMs(pid);
  for (let round = -15; round < 60; round++) {
    const start = performance.now();
    await flat();
    const middle = performance.now();
    await graph();
    if (round < 0) continue;
    flatMs.push(middle - start);
    graphMs.push(performance.now() - middle);
  }
  const cpu = (cpuMs(pid) - cpuBefore) / 75;
  console.log(
    '50 threads × 50 messages in one request (60 interleaved rounds; aim: at most 2.3× two flat SQL queries shaped in Node)',
  );
  console.log(
    `  flat SQL ${median(flatMs).toFixed(1)} ms, skein ${median(graphMs).toFixed(1)} ms (server CPU ${cpu.toFixed(1)} ms): ${(median(graphMs) / median(flatMs)).toFixed(2)}×\n`,
  );
  await client.end();
}

interface Nested {
  data: { threads: { nodes: { messages: { nodes: object[] } }[] } };
}

/** A thread of 1,000 messages, oldest first, page by page, against the floor's one query. */
export async function longThread(url: string, key: string, databaseUrl: string, floorPort: number): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ id: string }>('select id from project limit 1');
  const [threadId] = await seed(client, rows[0]!.id, 1, 1000);
  await client.end();
  const floorThread = `long_${process.pid}`;
  await (await fetch(`http://127.0.0.1:${floorPort}/seed?id=${floorThread}&n=1000`)).text();
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const query = `query Long($id: ID!, $after: String) { thread(id: $id) { messages(first: 100, after: $after, order: ASC) {
    nodes { id role text createdAt } pageInfo { hasNextPage endCursor } } } }`;
  const graph = async () => {
    let count = 0;
    for (let after: string | null = null; ;) {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ query, variables: { id: threadId, after } }),
      });
      const { data } = (await response.json()) as {
        data: { thread: { messages: { nodes: object[]; pageInfo: { hasNextPage: boolean; endCursor: string } } } };
      };
      count += data.thread.messages.nodes.length;
      if (!data.thread.messages.pageInfo.hasNextPage) return count;
      after = data.thread.messages.pageInfo.endCursor;
    }
  };
  const floor = async () =>
    ((await (await fetch(`http://127.0.0.1:${floorPort}/read?id=${floorThread}`)).json()) as object[]).length;
  const floorMs: number[] = [];
  const graphMs: number[] = [];
  for (let round = -5; round < 30; round++) {
    const start = performance.now();
    if ((await floor()) !== 1000) throw new Error('the floor did not read 1000 messages');
    const middle = performance.now();
    if ((await graph()) !== 1000) throw new Error('skein did not read 1000 messages');
    if (round < 0) continue;
    floorMs.push(middle - start);
    graphMs.push(performance.now() - middle);
  }
  console.log('a thread of 1,000 messages (30 interleaved rounds): the floor in one query, skein in ten pages of 100');
  console.log(
    `  floor ${median(floorMs).toFixed(1)} ms, skein ${median(graphMs).toFixed(1)} ms: ${(median(graphMs) / median(floorMs)).toFixed(2)}×\n`,
  );
}

async function seed(client: pg.Client, projectId: string, threads: number, messages: number): Promise<string[]> {
  const ids = Array.from(
    { length: threads },
    (_, i) => `thread_zz${randomBytes(9).toString('hex')}${String(i).padStart(6, '0')}`,
  );
  await client.query(
    `insert into thread (id, project_id, title, metadata, tool_resources, created_at, updated_at)
select id, $2, 'bench', '{}', '{}', now(), now() from unnest($1::text[]) id`,
    [ids, projectId],
  );
  await client.query(
    `insert into message (id, project_id, thread_id, position, role, status, content, attachments, metadata, created_at, completed_at)
select 'msg_' || substr(md5(id || n), 1, 26), $2, id, n, case when n % 2 = 0 then 'ASSISTANT' else 'USER' end, 'COMPLETED',
  jsonb_build_array(jsonb_build_object('type', 'text', 'value', repeat('word ', 40), 'annotations', '[]'::jsonb)), '[]', '{}', now(), now()
from unnest($1::text[]) id, generate_series(1, $3::int) n`,
    [ids, projectId, messages],
  );
  await client.query('analyze thread, message');
  return ids;
}
