import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { callChunks } from '../engine/stage.ts';
import { delta, finish, streamTo, USAGE } from '../llm/model-server.ts';
import type { Findings } from './findings.ts';
import type { Moments } from './moments.ts';
import { callsOf, readPlan, type Take, type Turn, wordsOf } from './plan.ts';
import { createPromptCheck, lastPlan, type PromptMessage, textOf } from './prompt-check.ts';
import type { Random } from './random.ts';

/** A hosted call that a process has had made: what came out bears a token that no other execution has. */
export interface Execution {
  key: string;
  kind: 'search' | 'run';
  process: string;
  token: string;
  began: number;
  /** When its answer was sent; null when the process was gone before, or had given it up. */
  answered: number | null;
}

export interface ModelCall extends Take {
  process: string;
  began: number;
}

/**
 * What the processes under test reach out to: a model and two tools. Each process comes by a path of its own, so that
 * it is known whom a request is from.
 */
export interface World {
  /** Environment of the process of this name. */
  environment(process: string): Record<string, string>;
  readonly modelCalls: readonly ModelCall[];
  readonly executions: readonly Execution[];
  /** What callers have answered to functions, by the calls' keys. */
  readonly outputs: Map<string, string>;
  /** Model streams and tool calls that the process has open now. */
  open(process: string): number;
  close(): Promise<void>;
}

export interface WorldOptions {
  moments: Moments;
  findings: Findings;
  random: Random;
}

export async function openWorld({ moments, findings, random }: WorldOptions): Promise<World> {
  const modelCalls: ModelCall[] = [];
  const executions: Execution[] = [];
  const outputs = new Map<string, string>();
  const takes = new Map<string, number>();
  const open = new Map<string, number>();
  const checkPrompt = createPromptCheck({ findings, executions, outputs });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, process = '', what, path] = request.url!.split('/');
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    open.set(process, (open.get(process) ?? 0) + 1);
    try {
      if (what === 'tools') await makeCall(process, path as Execution['kind'], body, response);
      else if (request.method === 'POST') await speak(process, JSON.parse(body).messages as PromptMessage[], response);
      else response.end(JSON.stringify({ data: [{ id: 'test-model' }] }));
    } finally {
      open.set(process, open.get(process)! - 1);
    }
  }

  async function speak(process: string, messages: PromptMessage[], response: ServerResponse): Promise<void> {
    const at = lastPlan(messages);
    const plan = readPlan(textOf(messages[at]!))!;
    const turn = messages.slice(at).filter(({ tool_calls }) => tool_calls?.length).length;
    checkPrompt(plan, messages, at);
    const name = `${plan.tag}.${turn}`;
    const take: Take = { tag: plan.tag, turn, take: (takes.get(name) ?? 0) + 1 };
    takes.set(name, take.take);
    modelCalls.push({ ...take, process, began: Date.now() });
    const planned = plan.turns[turn];
    if (!planned) {
      findings.add(`run ${plan.tag} was asked for turn ${turn}, of ${plan.turns.length} that it has`);
      return void response.writeHead(500).end();
    }
    await perform(process, take, planned, response);
  }

  async function perform(process: string, take: Take, turn: Turn, response: ServerResponse): Promise<void> {
    const stream = streamTo(response);
    const beat = random.int(4, 20);
    const calls = callsOf(take, turn);
    const chunks: object[][] = [
      ...wordsOf(take, turn).map((content) => [delta({ content })]),
      ...calls.map((call, index) =>
        [callChunks([{ id: `call_${index}`, name: call.name, arguments: '' }])[0]!].map((chunk) => at(chunk, index)),
      ),
      ...calls.flatMap((call, index) => pieces(call.arguments).map((part) => [more(index, part)])),
    ];
    for (const [i, chunk] of chunks.entries()) {
      if (i > 0) await pause(beat);
      if (response.destroyed) return;
      stream.send(...chunk);
      if (i > 1 && i < chunks.length - 1 && random.chance(0.05)) moments.reach('model stream', process);
    }
    stream.send(finish(calls.length > 0 ? 'tool_calls' : 'stop'), USAGE);
    stream.end();
    await pause(random.int(0, 10));
    moments.reach(calls.length > 0 ? 'between steps' : 'settle', process);
  }

  async function makeCall(
    process: string,
    kind: Execution['kind'],
    key: string,
    response: ServerResponse,
  ): Promise<void> {
    const token = `${kind}-${executions.length + 1}-${random.int(0, 1e9)}`;
    const execution: Execution = { key, kind, process, token, began: Date.now(), answered: null };
    executions.push(execution);
    for (let left = random.int(2, 30); left > 0; left--) {
      await pause(20);
      if (response.destroyed) return;
      if (random.chance(0.2)) moments.reach('tool call', process);
    }
    if (response.destroyed) return;
    execution.answered = Date.now();
    response.end(token);
    await pause(random.int(0, 10));
    moments.reach('between steps', process);
  }

  const server = http.createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      // A process that dies while it asks has taken its question back.
      if (!request.destroyed && !response.destroyed) findings.add(`the scripted model failed: ${String(error)}`);
      response.destroy();
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    environment: (process) => ({ OPENAI_BASE_URL: `${url}/${process}/v1`, TOOL_URL: `${url}/${process}/tools` }),
    modelCalls,
    executions,
    outputs,
    open: (process) => open.get(process) ?? 0,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The chunk of a call as the one at `index`. */
function at(chunk: object, index: number): object {
  const [choice] = (chunk as { choices: { delta: { tool_calls: object[] } }[] }).choices;
  return delta({ tool_calls: choice!.delta.tool_calls.map((call) => ({ ...call, index })) });
}

const more = (index: number, text: string): object => delta({ tool_calls: [{ index, function: { arguments: text } }] });

const pieces = (text: string): string[] => text.match(/.{1,5}/g) ?? [];
