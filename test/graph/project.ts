import { expect } from 'vitest';
import {
  CreateAssistantDocument,
  CreateMessageDocument,
  CreateThreadDocument,
  CreateUploadDocument,
  FollowRunDocument,
  RunDetailsDocument,
  StartRunDocument,
  UploadFileDocument,
} from '../../src/generated/graphql/graphql.ts';
import { waitFor } from '../server/wait-for.ts';
import type { TestSkein } from '../skein.ts';
import type { Rows } from './rows.ts';

/** A project with one of everything, under a key that has the scope PROJECT only. */
export interface FilledProject {
  /** Stands in every text of it. */
  word: string;
  key: string;
  keyId: string;
  projectId: string;
  assistantId: string;
  /** A thread that no run holds, with its first message and the run that answered. */
  threadId: string;
  messageId: string;
  runId: string;
  stepId: string;
  /** Runs that wait for the outputs of two calls, each in a thread of its own. */
  waiting: { threadId: string; runId: string; callIds: string[] }[];
  fileId: string;
  /** A vector store with the one file, which cannot be read in, added by a batch. */
  storeId: string;
  storeFileId: string;
  batchId: string;
}

/** Fills a new project. `word` stands in every text of it, so that a text that gets out is known again. */
export async function fillProject(skein: TestSkein, rows: Rows, word: string): Promise<FilledProject> {
  const { createProject } = await skein.query<{ createProject: { created: Created } }, { name: string }>(
    `mutation ($name: String!) { createProject(input: { name: $name }) { created { project { id } firstKey { secret apiKey { id } } } } }`,
    { name: `${word} project` },
  );
  const { project, firstKey } = createProject.created;
  const key = firstKey.secret;
  const fileId = await uploadTo(skein, key, word);
  const metadata = { word };
  const store = await storeOf(skein, key, word, fileId);

  const made = await skein.query(
    CreateAssistantDocument,
    {
      input: {
        model: `${word}-model`,
        name: `${word} assistant`,
        description: `${word} description`,
        instructions: `${word} instructions`,
        tools: ['get_weather', 'get_time'].map((name) => ({
          function: { name, description: word, parameters: WITH_CITY },
        })),
        metadata,
      },
    },
    key,
  );
  const assistantId = made.createAssistant.assistant!.id;

  const threadOf = async (text: string): Promise<string> => {
    const { createThread } = await skein.query(
      CreateThreadDocument,
      { input: { title: `${word} title`, metadata, messages: [{ content: [{ text }], metadata }] } },
      key,
    );
    return createThread.thread!.id;
  };
  const runIn = async (threadId: string, until: string): Promise<string> => {
    const { startRun } = await skein.query(StartRunDocument, { input: { assistantId, threadId, metadata } }, key);
    expect(startRun.userErrors).toEqual([]);
    const { id } = startRun.run!;
    for await (const { runEvents: event } of skein.follow(FollowRunDocument, { runId: id }, key)) {
      const status =
        event.__typename === 'RunStatusChanged'
          ? event.status
          : event.__typename === 'RunSnapshot'
            ? event.run.status
            : null;
      if (status === until) return id;
    }
    throw new Error(`run ${id} has ended before it was ${until}`);
  };

  const threadId = await threadOf(`say ${word}`);
  const runId = await runIn(threadId, 'COMPLETED');
  const details = await skein.query(RunDetailsDocument, { id: runId }, key);
  const waiting: FilledProject['waiting'] = [];
  for (let i = 0; i < 2; i++) {
    const thread = await threadOf(`call get_weather in ${word} and get_time in ${word}`);
    const run = await runIn(thread, 'REQUIRES_ACTION');
    const { run: now } = await skein.query(RunDetailsDocument, { id: run }, key);
    waiting.push({ threadId: thread, runId: run, callIds: now!.requiredAction!.toolCalls.map(({ id }) => id) });
  }
  const content = [{ text: word }, { imageFile: { fileId } }, { imageUrl: { url: `https://example.com/${word}.png` } }];
  const attachments = [{ fileId, tools: ['FILE_SEARCH' as const] }];
  const { createMessage } = await skein.query(
    CreateMessageDocument,
    { input: { threadId, content, attachments, metadata, idempotencyKey: USED_KEY } },
    key,
  );
  expect(createMessage.userErrors).toEqual([]);
  await atRest(skein, key);

  return {
    word,
    key,
    keyId: firstKey.apiKey.id,
    projectId: project.id,
    assistantId,
    threadId,
    messageId: createMessage.message!.id,
    runId,
    stepId: details.run!.steps.nodes[0]!.id,
    waiting,
    fileId,
    ...store,
  };
}

/** Waits until no file of a vector store moves by itself any more. */
async function atRest(skein: TestSkein, key: string): Promise<void> {
  await waitFor('the files to be looked at', async () => {
    const { vectorStores } = await skein.query<{ vectorStores: { nodes: { fileCounts: { inProgress: number } }[] } }, object>(
      '{ vectorStores(first: 100) { nodes { fileCounts { inProgress } } } }',
      {},
      key,
    );
    return vectorStores.nodes.every(({ fileCounts }) => fileCounts.inProgress === 0);
  });
}

async function storeOf(skein: TestSkein, key: string, word: string, fileId: string) {
  const made = await skein.query<{ createVectorStore: { vectorStore: { id: string } } }, object>(
    `mutation ($input: CreateVectorStoreInput!) { createVectorStore(input: $input) { vectorStore { id } } }`,
    { input: { name: `${word} store`, metadata: { word } } },
    key,
  );
  const storeId = made.createVectorStore.vectorStore.id;
  const added = await skein.query<{ addVectorStoreFiles: { batch: { id: string; files: { nodes: { id: string }[] } } } }, object>(
    `mutation ($input: AddVectorStoreFilesInput!) { addVectorStoreFiles(input: $input) { batch { id files { nodes { id } } } } }`,
    { input: { vectorStoreId: storeId, files: [{ fileId, attributes: { word } }] } },
    key,
  );
  const { id: batchId, files } = added.addVectorStoreFiles.batch;
  return { storeId, batchId, storeFileId: files.nodes[0]!.id };
}

/** The idempotency key of the project's one message that was made under one. */
export const USED_KEY = 'used';

interface Created {
  project: { id: string };
  firstKey: { secret: string; apiKey: { id: string } };
}

const WITH_CITY = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

/** A picture of one point, and an upload that is still to come. */
async function uploadTo(skein: TestSkein, key: string, word: string): Promise<string> {
  const file = new File([PNG], `${word}.png`);
  const { uploadFile } = await skein.query(UploadFileDocument, { input: { file, purpose: 'VISION' } }, key);
  expect(uploadFile.userErrors).toEqual([]);
  const { createUpload } = await skein.query(CreateUploadDocument, { input: { filename: `${word}.txt` } }, key);
  expect(createUpload.userErrors).toEqual([]);
  return uploadFile.file!.id;
}

export const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');
