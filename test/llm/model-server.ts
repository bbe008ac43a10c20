import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  body: Record<string, unknown>;
}

export interface ModelServer {
  /** Its base URL, as `OPENAI_BASE_URL` would have it. */
  url: string;
  /** Everything that was asked, oldest first. */
  requests: { method: string; path: string; headers: http.IncomingHttpHeaders; body: Record<string, unknown> }[];
  /** Connections that are open now. */
  sockets: ReadonlySet<Socket>;
  /** Connections that were ever opened. */
  readonly opened: number;
  close(): Promise<void>;
}

/** A model server that answers as `answer` says: the ugly ones that no test double plays. */
export async function openModelServer(
  answer: (exchange: Exchange) => void,
  tls?: { key: string; cert: string },
): Promise<ModelServer> {
  const sockets = new Set<Socket>();
  const requests: ModelServer['requests'] = [];
  let opened = 0;
  const listen = (request: IncomingMessage, response: ServerResponse): void => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (part: string) => (text += part));
    request.on('end', () => {
      const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
      requests.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body });
      answer({ request, response, body });
    });
  };
  const server = tls ? https.createServer(tls, listen) : http.createServer(listen);
  server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    opened++;
    sockets.add(socket);
    socket.on('error', () => {}); // a client that goes away is what many of the tests are about
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? 'https' : 'http'}://localhost:${port}/v1`,
    requests,
    sockets,
    get opened() {
      return opened;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export interface EventStream {
  send(...chunks: object[]): void;
  raw(text: string): void;
  end(): void;
}

/** Starts an event stream. */
export function streamTo(response: ServerResponse): EventStream {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  const raw = (text: string): void => void response.write(text);
  return {
    raw,
    send: (...chunks) => raw(chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')),
    end: () => void response.end('data: [DONE]\n\n'),
  };
}

export function delta(fields: object): object {
  return { object: 'chat.completion.chunk', choices: [{ index: 0, delta: fields, finish_reason: null }] };
}

export function finish(reason: string): object {
  return { object: 'chat.completion.chunk', choices: [{ index: 0, delta: {}, finish_reason: reason }] };
}

export const USAGE = { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };

/** Lists two models and answers everything else with "Hi!". */
export function answerOk({ request, response }: Exchange): void {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ data: [{ id: 'a', owned_by: 'me', created: 1_700_000_000 }, { id: 'b' }] }));
    return;
  }
  const stream = streamTo(response);
  stream.send(delta({ role: 'assistant', content: '' }), delta({ content: 'Hi' }), delta({ content: '!' }));
  stream.send(finish('stop'), USAGE);
  stream.end();
}
