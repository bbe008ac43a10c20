import { expect } from 'vitest';
import {
  CreateAssistantDocument,
  CreateMessageDocument,
  CreateThreadDocument,
  FollowRunDocument,
  RunDetailsDocument,
  StartRunDocument,
} from '../../src/generated/graphql/graphql.ts';
import { mintId } from '../../src/ids.ts';
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
}

/** Fills a new project. `word` stands in every text of it, so that a text that gets out is known again. */
export async function fillProject(skein: TestSkein, rows: Rows, word: string): Promise<FilledProject> {
  const { createProject } = await skein.query<{ createProject: { created: Created } }, { name: string }>(
    `mutation ($name: String!) { createProject(input: { name: $name }) { created { project { id } firstKey { secret apiKey { id } } } } }`,
    { name: `${word} project` },
  );
  const { project, firstKey } = createProject.created;
  const key = firstKey.secret;
  const fileId = await insertFile(rows, project.id, `${word}.png`);
  const metadata = { word };

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
  };
}

/** The idempotency key of the project's one message that was made under one. */
export const USED_KEY = 'used';

interface Created {
  project: { id: string };
  firstKey: { secret: string; apiKey: { id: string } };
}

const WITH_CITY = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

/** A file as an upload would leave it: the graph has no mutation that makes one. */
async function insertFile(rows: Rows, projectId: string, filename: string): Promise<string> {
  const id = mintId('File');
  await rows.query(
    `insert into file (id, project_id, filename, bytes, content_type, sha256, purpose, created_at)
     values ($1, $2, $3, 67, 'image/png', $4, 'VISION', now())`,
    [id, projectId, filename, '0'.repeat(64)],
  );
  return id;
}
