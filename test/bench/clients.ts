import http from 'node:http';
import WebSocket from 'ws';

/** What the bench sees of one answer: when its pieces came, and what they said. */
export interface Answer {
  /** When it was asked for, in milliseconds of this process. */
  asked: number;
  /** Milliseconds from asking to each piece. */
  pieces: number[];
  /** Milliseconds that each token was under way, from its stamp by the model server. */
  lags: number[];
  tokens: number;
  /** Milliseconds from asking to the end. */
  total: number;
}

/** Something that can be asked: the model server itself, the floor, or Skein. Each place has a thread of its own. */
export interface Target {
  name: string;
  /** Opens places at which one answer after the other can be asked for. */
  open(places: number): Promise<Place[]>;
}

export interface Place {
  ask(directive: string): Promise<Answer>;
  close(): void;
}

const WRAP = 36 ** 6;
const nowUs = () => (performance.timeOrigin + performance.now()) * 1000;

class Recorder {
  readonly #start = performance.now();
  readonly answer: Answer = { asked: this.#start, pieces: [], lags: [], tokens: 0, total: 0 };

  piece(text: string): void {
    const now = nowUs() % WRAP;
    this.answer.pieces.push(performance.now() - this.#start);
    for (let at = 0; at + 6 <= text.length; at += 7) {
      this.answer.tokens += 1;
      this.answer.lags.push(((((now - parseInt(text.slice(at, at + 6), 36)) % WRAP) + WRAP) % WRAP) / 1000);
    }
  }

  end(): Answer {
    this.answer.total = performance.now() - this.#start;
    return this.answer;
  }
}

/** The scripted model server read directly: the limit. */
export function direct(modelUrl: string): Target {
  const { hostname, port } = new URL(modelUrl);
  const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
  const ask = (directive: string) =>
    new Promise<Answer>((resolve, reject) => {
      const recorder = new Recorder();
      const body = JSON.stringify({ model: 'mock', stream: true, messages: [{ role: 'user', content: directive }] });
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const request = http.request(
        { hostname, port, path: '/v1/chat/completions', method: 'POST', agent, headers },
        (response) => {
          response.setEncoding('utf8');
          let buffer = '';
          response.on('data', (chunk: string) => {
            buffer += chunk;
            for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
              const line = buffer.slice(6, end);
              buffer = buffer.slice(end + 2);
              const text = line === '[DONE]' ? '' : JSON.parse(line).choices[0]?.delta?.content;
              if (text) recorder.piece(text);
            }
          });
          response.on('end', () => resolve(recorder.end()));
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  return { name: 'direct', open: async (places) => Array.from({ length: places }, () => ({ ask, close: () => {} })) };
}

interface Message {
  id?: string;
  type: string;
  payload?: unknown;
}

/** A socket that speaks graphql-transport-ws, with as little of its own as can be. */
class Socket {
  readonly #ws: WebSocket;
  readonly #sinks = new Map<string, (payload: never) => void>();
  #ids = 0;

  private constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Message;
      if (message.type === 'next') this.#sinks.get(message.id!)?.(message.payload as never);
      else if (message.type === 'ping') ws.send('{"type":"pong"}');
      else if (message.type === 'error') throw new Error(JSON.stringify(message.payload));
    });
  }

  static async connect(url: string, connectionParams: object = {}): Promise<Socket> {
    const ws = new WebSocket(url, 'graphql-transport-ws', { perMessageDeflate: false });
    await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
    const acknowledged = new Promise<void>((resolve) => ws.once('message', () => resolve()));
    ws.send(JSON.stringify({ type: 'connection_init', payload: connectionParams }));
    await acknowledged;
    return new Socket(ws);
  }

  subscribe<Payload>(query: string, variables: object, sink: (payload: Payload) => void): void {
    const id = String(++this.#ids);
    this.#sinks.set(id, sink as never);
    this.#ws.send(JSON.stringify({ id, type: 'subscribe', payload: { query, variables } }));
  }

  close(): void {
    this.#ws.close();
  }
}

let threads = 0;

export function floor(port: number): Target {
  return {
    name: 'floor',
    open: (places) =>
      Promise.all(
        Array.from({ length: places }, async () => {
          const socket = await Socket.connect(`ws://127.0.0.1:${port}/graphql`);
          const t = `bench_${process.pid}_${++threads}`;
          let recorder: Recorder | null = null;
          let done: (answer: Answer) => void = () => {};
          socket.subscribe<{ data: { threadEvents: { type: string; delta: string } } }>(
            'subscription',
            { t },
            ({ data }) => {
              if (data.threadEvents.type === 'delta') recorder!.piece(data.threadEvents.delta);
              else done(recorder!.end());
            },
          );
          return {
            ask: (directive: string) =>
              new Promise<Answer>((resolve) => {
                recorder = new Recorder();
                done = resolve;
                socket.subscribe('mutation', { t, x: directive }, () => {});
              }),
            close: () => socket.close(),
          };
        }),
      ),
  };
}

const EVENTS = `subscription Bench($threadId: ID!) {
  threadEvents(threadId: $threadId) {
    __typename cursor
    ... on RunStatusChanged { status }
    ... on MessageDelta { messageId content { __typename index ... on TextDelta { offset value } } }
  }
}`;
const START = `mutation Bench($input: StartRunInput!) { startRun(input: $input) { run { id } userErrors { code message } } }`;
const FINAL = new Set(['COMPLETED', 'FAILED', 'INCOMPLETE', 'CANCELLED', 'EXPIRED']);

interface SkeinEvent {
  __typename: string;
  status?: string;
  content?: { value?: string }[];
}

export function skein(url: string, key: string): Target {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const query = async <Result>(document: string, variables: object): Promise<Result> => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ query: document, variables }),
    });
    const { data, errors } = (await response.json()) as { data: Result; errors?: unknown };
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  };
  let assistant: Promise<string> | null = null;
  const assistantId = () =>
    (assistant ??= query<{ createAssistant: { assistant: { id: string } } }>(
      'mutation ($input: CreateAssistantInput!) { createAssistant(input: $input) { assistant { id } } }',
      { input: { model: 'mock' } },
    ).then(({ createAssistant }) => createAssistant.assistant.id));
  const place = async (): Promise<Place> => {
    const { createThread } = await query<{ createThread: { thread: { id: string } } }>(
      'mutation { createThread(input: {}) { thread { id } } }',
      {},
    );
    const threadId = createThread.thread.id;
    const socket = await Socket.connect(`${url.replace('http', 'ws')}/graphql`, { Authorization: `Bearer ${key}` });
    let recorder: Recorder | null = null;
    let done: (answer: Answer) => void = () => {};
    let fail: (error: Error) => void = () => {};
    await new Promise<void>((resolve) =>
      socket.subscribe<{ data: { threadEvents: SkeinEvent } }>(EVENTS, { threadId }, ({ data }) => {
        const event = data.threadEvents;
        if (event.__typename === 'ThreadSnapshot') resolve();
        else if (event.__typename === 'MessageDelta') for (const part of event.content!) recorder!.piece(part.value!);
        else if (event.status === 'COMPLETED') done(recorder!.end());
        else if (FINAL.has(event.status!)) fail(new Error(`the run ended ${event.status}`));
      }),
    );
    const id = await assistantId();
    return {
      ask: (directive) =>
        new Promise<Answer>((resolve, reject) => {
          recorder = new Recorder();
          done = resolve;
          fail = reject;
          const input = {
            assistantId: id,
            threadId,
            additionalMessages: [{ content: [{ text: directive }] }],
            truncationStrategy: { type: 'LAST_MESSAGES', lastMessages: 10 },
          };
          socket.subscribe<{ data: { startRun: { userErrors: { message: string }[] } } }>(
            START,
            { input },
            ({ data }) => {
              const [error] = data.startRun.userErrors;
              if (error) reject(new Error(error.message));
            },
          );
        }),
      close: () => socket.close(),
    };
  };
  return {
    name: 'skein',
    async open(places) {
      await assistantId();
      const opened: Place[] = [];
      while (opened.length < places)
        opened.push(...(await Promise.all(Array.from({ length: Math.min(20, places - opened.length) }, place))));
      return opened;
    },
  };
}
