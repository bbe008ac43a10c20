import { expect } from 'vitest';
import {
  CreateAssistantDocument,
  CreateClientTokenDocument,
  CreateMessageDocument,
  CreateThreadDocument,
  FollowRunDocument,
  RunDetailsDocument,
  StartRunDocument,
  SubmitToolOutputsDocument,
  UploadFileDocument,
} from '../../src/generated/graphql/graphql.ts';
import type { TestSkein } from '../skein.ts';
import { createShelf } from '../vector-stores/shelf.ts';
import { type FilledProject, PNG } from './project.ts';
import type { Rows } from './rows.ts';
import { idsIn } from './stranger.ts';

/** One thread of a filled project with everything that can hang on it, and a token for it. */
export interface ClientProject {
  /** The project as the token sees it: what of it is the thread's. */
  ours: FilledProject;
  /** With READ and RUN. */
  token: string;
  reader: string;
  /** What must not reach who has the token. */
  secrets: string[];
}

const CITED = 'Llamas hum when they are content, and carry up to thirty kilograms.';

/**
 * Adds a thread to a project whose every text is a secret. What hangs on the thread is none, unless it is the
 * assistant's: that holds the project's word wherever it is not for people.
 */
export async function addClientThread(skein: TestSkein, rows: Rows, project: FilledProject): Promise<ClientProject> {
  const { key, word } = project;
  const shelf = createShelf(skein);
  const citedId = await shelf.upload('llamas.md', CITED, key);
  const { uploadFile } = await skein.query(
    UploadFileDocument,
    { input: { file: new File([PNG], 'picture.png'), purpose: 'VISION' } },
    key,
  );
  const imageId = uploadFile.file!.id;
  const store = await skein.query<{ createVectorStore: { vectorStore: { id: string } } }, object>(
    'mutation ($input: CreateVectorStoreInput!) { createVectorStore(input: $input) { vectorStore { id } } }',
    { input: { name: word, fileIds: [citedId] } },
    key,
  );
  const storeId = store.createVectorStore.vectorStore.id;
  for await (const { data } of skein.socket(key).iterate<{ vectorStoreEvents: { vectorStore: { status: string } } }>({
    query: `subscription { vectorStoreEvents(vectorStoreId: "${storeId}") { vectorStore { status } } }`,
  }))
    if (data!.vectorStoreEvents.vectorStore.status === 'COMPLETED') break;

  const made = await skein.query(
    CreateAssistantDocument,
    {
      input: {
        model: 'offline',
        name: 'Guide',
        description: 'Guides people.',
        instructions: `${word} instructions`,
        tools: [{ function: { name: 'get_weather', description: word, parameters: { type: 'object', title: word } } }],
        toolResources: { fileSearch: { vectorStoreIds: [storeId] }, codeInterpreter: { fileIds: [project.fileId] } },
        metadata: { word },
      },
    },
    key,
  );
  const assistantId = made.createAssistant.assistant!.id;
  const { createThread } = await skein.query(
    CreateThreadDocument,
    {
      input: {
        title: 'Ours',
        metadata: { ours: 'yes' },
        toolResources: { fileSearch: { vectorStoreIds: [storeId] } },
        messages: [{ content: [{ text: 'call get_weather in Oslo' }] }],
      },
    },
    key,
  );
  const threadId = createThread.thread!.id;
  const { createMessage } = await skein.query(
    CreateMessageDocument,
    {
      input: {
        threadId,
        content: [{ text: 'call get_weather in Rome' }, { imageFile: { fileId: imageId } }],
        attachments: [{ fileId: citedId, tools: ['CODE_INTERPRETER'] }],
      },
    },
    key,
  );
  const run = async (until: string): Promise<string> => {
    const { startRun } = await skein.query(
      StartRunDocument,
      { input: { assistantId, threadId, metadata: { word }, additionalInstructions: `${word} instructions` } },
      key,
    );
    expect(startRun.userErrors).toEqual([]);
    for await (const { runEvents: event } of skein.follow(FollowRunDocument, { runId: startRun.run!.id }, key)) {
      const status = event.__typename === 'RunSnapshot' ? event.run.status : 'status' in event ? event.status : null;
      if (status === until) break;
    }
    return startRun.run!.id;
  };
  const callIds = async (id: string) =>
    (await skein.query(RunDetailsDocument, { id }, key)).run!.requiredAction!.toolCalls.map((call) => call.id);
  const runId = await run('REQUIRES_ACTION');
  const toolOutputs = (await callIds(runId)).map((toolCallId) => ({ toolCallId, output: 'sunny' }));
  await skein.query(SubmitToolOutputsDocument, { input: { runId, toolOutputs } }, key);
  for await (const _ of skein.follow(FollowRunDocument, { runId }, key)); // to its end
  const details = await skein.query(RunDetailsDocument, { id: runId }, key);
  const messageId = details.run!.messages.nodes.at(-1)!.id;
  await cite(rows, messageId, details.run!.steps.nodes[0]!.id, { citedId, imageId, word });
  const waiting = await run('REQUIRES_ACTION');

  const ours: FilledProject = {
    ...project,
    word: 'Ours',
    assistantId,
    threadId,
    messageId,
    runId,
    stepId: details.run!.steps.nodes[0]!.id,
    waiting: [{ threadId, runId: waiting, callIds: await callIds(waiting) }],
    fileId: citedId,
  };
  const tokenWith = async (scopes: ('READ' | 'RUN')[]): Promise<string> => {
    const assistantIds = scopes.includes('RUN') ? [assistantId] : null;
    const input = { threadIds: [threadId], scopes, assistantIds, expiresInSeconds: 3600 };
    const { createClientToken } = await skein.query(CreateClientTokenDocument, { input }, key);
    expect(createClientToken.userErrors).toEqual([]);
    return createClientToken.token!;
  };

  const seen = new Set([assistantId, citedId, imageId, threadId, createMessage.message!.id]);
  for (const table of ['message', 'run', 'run_step', 'event']) {
    const found = await rows.query<{ row: string }>(
      `select to_jsonb(t)::text as row from ${table} t where thread_id = $1`,
      [threadId],
    );
    for (const id of idsIn(found.map(({ row }) => row).join('\n')))
      if (/^(msg|run|step|call)_/.test(id)) seen.add(id);
  }
  const all = [...idsIn(await rows.dumpOf(project.projectId))];
  return {
    ours,
    token: await tokenWith(['READ', 'RUN']),
    reader: await tokenWith(['READ']),
    secrets: [...all.filter((id) => !seen.has(id)), word],
  };
}

/** Puts into a message and a step what hosted tools bring: citations, links, images and passages. */
async function cite(
  rows: Rows,
  messageId: string,
  stepId: string,
  { citedId, imageId, word }: { citedId: string; imageId: string; word: string },
): Promise<void> {
  const place = { startIndex: 0, endIndex: 32, page: null, startLine: 1, endLine: 1, headingPath: [] };
  const at = { text: 'x', startIndex: 0, endIndex: 1 };
  const annotations = [
    { ...at, type: 'fileCitation', fileId: citedId, quote: CITED.slice(0, 32), location: place, score: 1 },
    { ...at, type: 'filePath', fileId: imageId },
  ];
  await rows.query('update message set content = $2 where id = $1', [
    messageId,
    JSON.stringify([
      { type: 'text', value: 'x', annotations },
      { type: 'refusal', value: 'No.' },
    ]),
  ]);
  const call = { modelId: null, status: 'COMPLETED', arguments: word, failure: word };
  const result = { fileId: citedId, filename: 'llamas.md', score: 1, text: CITED, location: place, attributes: { word } };
  await rows.query('update run_step set tool_calls = tool_calls || $2::jsonb where id = $1', [
    stepId,
    JSON.stringify([
      { ...call, type: 'fileSearch', id: 'call_x', queries: ['x'], results: [result], rankingOptions: null, notice: word },
      {
        ...call,
        type: 'codeInterpreter',
        id: 'call_y',
        input: '1',
        outputs: [
          { type: 'logs', logs: '1' },
          { type: 'image', fileId: imageId },
        ],
        files: [],
      },
    ]),
  ]);
}
