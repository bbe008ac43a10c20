import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import {
  CancelRunDocument,
  type CancelRunMutation,
  CreateAssistantDocument,
  type CreateAssistantInput,
  CreateMessageDocument,
  type CreateMessageMutation,
  CreateThreadDocument,
  FollowRunDocument,
  type FollowRunSubscription,
  RunDetailsDocument,
  type RunDetailsQuery,
  StartRunDocument,
  type StartRunInput,
  SubmitToolOutputsDocument,
  type SubmitToolOutputsMutation,
} from '../../src/generated/graphql/graphql.ts';
import {
  answerOk,
  delta,
  type EventStream,
  type Exchange,
  finish,
  type ModelServer,
  openModelServer,
  streamTo,
} from '../llm/model-server.ts';
import type { HostedTools } from '../../src/tools/tool.ts';
import { startSkein, type TestSkein } from '../skein.ts';

/** How one model call is answered. */
export type Scene = (exchange: Exchange) => void;
export type RunEvent = FollowRunSubscription['runEvents'];
export type RunDetails = NonNullable<RunDetailsQuery['run']>;

/** A server whose model plays what a test has written. */
export interface Stage {
  readonly app: TestSkein;
  readonly model: ModelServer;
  /** How the next model calls are answered, the next one first; "Hi!" when nothing is written. */
  readonly scenes: Scene[];
  createAssistant(input?: Partial<CreateAssistantInput>): Promise<string>;
  createThread(...texts: string[]): Promise<string>;
  /** Starts a run in a new thread that says "Hello", unless told otherwise. */
  start(input?: Partial<StartRunInput>): Promise<{ runId: string; threadId: string; cursor: string }>;
  /** The run's events from its first to the one that `isLast` says yes to, or to its end. */
  follow(runId: string, isLast?: (event: RunEvent) => boolean): Promise<RunEvent[]>;
  details(runId: string): Promise<RunDetails>;
  /** Starts a run and waits for its end. */
  perform(input?: Partial<StartRunInput>): Promise<RunDetails>;
  /** Waits for the end of a run, or for it to want an answer. */
  rest(runId: string): Promise<RunDetails>;
  cancel(runId: string): Promise<CancelRunMutation['cancelRun']>;
  submit(runId: string, outputs: Record<string, string>): Promise<SubmitToolOutputsMutation['submitToolOutputs']>;
  say(threadId: string, text: string): Promise<CreateMessageMutation['createMessage']>;
  close(): Promise<void>;
}

const FINAL = new Set(['CANCELLED', 'FAILED', 'COMPLETED', 'INCOMPLETE', 'EXPIRED']);
export const isFinal = (status: string): boolean => FINAL.has(status);
export const becomes =
  (...statuses: string[]) =>
  (event: RunEvent): boolean =>
    event.__typename === 'RunSnapshot'
      ? statuses.includes(event.run.status)
      : event.__typename === 'RunStatusChanged' && statuses.includes(event.status);

export const WEATHER = {
  function: {
    name: 'weather',
    description: 'The weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
};

export async function openStage(environment: Record<string, string> = {}, tools?: HostedTools): Promise<Stage> {
  const scenes: Scene[] = [];
  const model = await openModelServer((exchange) => {
    const scene = exchange.request.method === 'GET' ? answerOk : (scenes.shift() ?? answerOk);
    scene(exchange);
  });
  const app = await startSkein({ OPENAI_BASE_URL: model.url, ...environment }, tools);
  const cursors = new Map<string, string>();
  let assistant: Promise<string> | null = null;
  const stage: Stage = {
    app,
    model,
    scenes,
    async createAssistant(input = {}) {
      const { createAssistant } = await app.query(CreateAssistantDocument, {
        input: { model: 'test-model', ...input },
      });
      if (!createAssistant.assistant) throw new Error(JSON.stringify(createAssistant.userErrors));
      return createAssistant.assistant.id;
    },
    async createThread(...texts) {
      const messages = texts.map((text) => ({ content: [{ text }] }));
      const { createThread } = await app.query(CreateThreadDocument, { input: { messages } });
      return createThread.thread!.id;
    },
    async start(input = {}) {
      const assistantId = input.assistantId ?? (await (assistant ??= stage.createAssistant()));
      const where = input.threadId || input.thread ? {} : { thread: { messages: [{ content: [{ text: 'Hello' }] }] } };
      const { startRun } = await app.query(StartRunDocument, { input: { assistantId, ...where, ...input } });
      if (!startRun.run) throw new Error(JSON.stringify(startRun.userErrors));
      const { id, thread, cursor } = startRun.run;
      cursors.set(id, cursor);
      return { runId: id, threadId: thread.id, cursor };
    },
    async follow(runId, isLast = () => false) {
      const events: RunEvent[] = [];
      for await (const { runEvents } of app.follow(FollowRunDocument, { runId, after: cursors.get(runId) })) {
        events.push(runEvents);
        if (isLast(runEvents)) break;
      }
      return events;
    },
    async details(runId) {
      const { run } = await app.query(RunDetailsDocument, { id: runId });
      if (!run) throw new Error(`no run ${runId}`);
      return run;
    },
    async perform(input) {
      const { runId } = await stage.start(input);
      await stage.follow(runId);
      return stage.details(runId);
    },
    async rest(runId) {
      for await (const { runEvents } of app.follow(FollowRunDocument, { runId }))
        if (becomes('REQUIRES_ACTION')(runEvents)) break;
      return stage.details(runId);
    },
    cancel: async (runId) => (await app.query(CancelRunDocument, { input: { runId } })).cancelRun,
    async submit(runId, outputs) {
      const toolOutputs = Object.entries(outputs).map(([toolCallId, output]) => ({ toolCallId, output }));
      return (await app.query(SubmitToolOutputsDocument, { input: { runId, toolOutputs } })).submitToolOutputs;
    },
    say: async (threadId, text) =>
      (await app.query(CreateMessageDocument, { input: { threadId, content: [{ text }] } })).createMessage,
    async close() {
      await app.close();
      await model.close();
    },
  };
  return stage;
}

export interface Ending {
  /** null = the server counts nothing. */
  usage?: [prompt: number, completion: number] | null;
  reason?: string;
}

function endWith(stream: EventStream, { usage = [3, 2], reason = 'stop' }: Ending): void {
  stream.send(finish(reason));
  if (usage) {
    const [prompt_tokens, completion_tokens] = usage;
    stream.send({
      choices: [],
      usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
    });
  }
  stream.end();
}

/** Says a text, in the pieces given. */
export function says(pieces: string | string[], ending: Ending = {}): Scene {
  return ({ response }) => {
    const stream = streamTo(response);
    for (const content of [pieces].flat()) stream.send(delta({ content }));
    endWith(stream, ending);
  };
}

export interface ScriptedCall {
  id?: string;
  name?: string;
  arguments: string;
}

export const callChunks = (calls: ScriptedCall[]): object[] =>
  calls.map(({ id, name = 'weather', arguments: args }, index) =>
    delta({
      tool_calls: [{ index, id: id ?? `call_${index}`, type: 'function', function: { name, arguments: args } }],
    }),
  );

/** Calls functions, behind a text if there is one. */
export function calls(list: ScriptedCall[], ending: Ending & { text?: string } = {}): Scene {
  return ({ response }) => {
    const stream = streamTo(response);
    if (ending.text) stream.send(delta({ content: ending.text }));
    stream.send(...callChunks(list));
    endWith(stream, { reason: 'tool_calls', ...ending });
  };
}

/** Refuses the call. */
export function refuses(
  status: number,
  error: object = { message: 'no' },
  headers: Record<string, string> = {},
): Scene {
  return ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ error }));
  };
}

/** Answers chunk by chunk, as the test goes on. */
export interface LiveScene {
  readonly scene: Scene;
  /** Settled when the model is asked. */
  readonly asked: Promise<EventStream>;
  /** Settled when the connection is gone, whoever closed it; the value is whether it was cut off. */
  readonly gone: Promise<boolean>;
}

/** `speaks` false: not even response headers are sent. */
export function live(speaks = true): LiveScene {
  const asked = Promise.withResolvers<EventStream>();
  const gone = Promise.withResolvers<boolean>();
  return {
    scene: ({ response }) => {
      watch(response, gone.resolve);
      asked.resolve(speaks ? streamTo(response) : { send() {}, raw() {}, end() {} });
    },
    asked: asked.promise,
    gone: gone.promise,
  };
}

function watch(response: ServerResponse, gone: (cut: boolean) => void): void {
  void once(response, 'close').then(() => gone(!response.writableFinished));
}

/** Bodies of the model calls so far, oldest first. */
export const bodies = (model: ModelServer): Record<string, any>[] =>
  model.requests.filter(({ method }) => method === 'POST').map(({ body }) => body);
