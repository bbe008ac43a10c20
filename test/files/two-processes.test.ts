import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CreateUploadDocument, DeleteFileDocument, FileWithLinkDocument } from '../../src/generated/graphql/graphql.ts';
import { type Cluster, KEY, openCluster } from '../cluster/cluster.ts';
import { TEST_DATABASE_URL } from '../database.ts';
import { openRows } from '../graph/rows.ts';
import type { TestSkein } from '../skein.ts';
import { S3_REGION, type S3Server, startS3Server } from './s3-server.ts';
import { http, put, sha256 } from './stage.ts';
import { inChunks } from './storage-contract.ts';

if (!TEST_DATABASE_URL) console.warn('files on two processes are NOT tested (needs TEST_DATABASE_URL)');

describe.skipIf(!TEST_DATABASE_URL)('two processes on one database and one bucket (needs TEST_DATABASE_URL)', () => {
  let server: S3Server;
  let cluster: Cluster;
  let a: TestSkein;
  let b: TestSkein;
  let environment: Record<string, string>;

  beforeAll(async () => {
    server = await startS3Server();
    environment = {
      STORAGE: 's3',
      S3_BUCKET: server.bucket,
      S3_ENDPOINT: server.url,
      S3_REGION,
      S3_ACCESS_KEY_ID: server.credentials.accessKeyId,
      S3_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
    };
    cluster = await openCluster(environment, environment);
    [a, b] = cluster.nodes as [TestSkein, TestSkein];
  });
  afterAll(async () => {
    await cluster.close();
    await server.close();
  });

  const newUpload = async (node: TestSkein): Promise<string> =>
    (await node.query(CreateUploadDocument, { input: { filename: 'a.bin' } }, KEY)).createUpload.uploadUrl!;
  const at = (url: string, node: TestSkein) => url.replace(new URL(url).origin, node.url);

  test('take the links of each other, for uploads and for downloads', async () => {
    const data = randomBytes(9_000_000);
    const made = await put(at(await newUpload(a), b), inChunks(data, 100_000));
    expect(made.status).toBe(201);
    const { url } = (await b.query(FileWithLinkDocument, { id: String(made.json.id) }, KEY)).file!;
    expect(sha256((await http(at(url, a))).body)).toBe(sha256(data));
    await a.query(DeleteFileDocument, { input: { fileId: String(made.json.id) } }, KEY);
    expect((await http(url)).status).toBe(410);
    expect(server.objects.size).toBe(0);
  });

  test('make one file of an upload that comes to both at once', async () => {
    const url = await newUpload(a);
    const replies = await Promise.all(
      [a, b, a, b].map((node) => put(at(url, node), inChunks(randomBytes(50_000), 9_999))),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
    expect(server.objects.size).toBe(1);
  });

  test('that start at once on a new database agree on one secret', async () => {
    const rows = await openRows(a);
    await rows.query('delete from server_secret');
    const more = await Promise.all(Array.from({ length: 4 }, () => cluster.join(environment)));
    expect(await rows.query('select name from server_secret order by name')).toEqual([{ name: 'client-tokens' }, { name: 'links' }]);
    await rows.close();
    const url = await newUpload(more[0]!);
    const replies = await Promise.all(
      more.map((node) => http(at(url, node), { method: 'PUT', body: Buffer.alloc(0) })),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
  });
});
