import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';

/** Characters of a body that is read whole (errors, lists); a longer one is an error. */
const WHOLE_BODY_LIMIT = 16 * 1024 * 1024;

export interface OpenAiFetch {
  fetch: typeof fetch;
  /** The unread body of a successful response to a request that said `accept: text/event-stream`. */
  message(response: Response): IncomingMessage;
  /** Destroys every socket and refuses further requests. */
  close(): void;
}

/**
 * `fetch` over node:http for the openai SDK: global fetch and its web streams double the CPU time of a streamed
 * chunk. An event stream is handed over as the node stream that it is; every other body is read whole before the
 * response resolves, so that the SDK's own timeout covers it. `errorBody` rewrites the body of a failed response.
 */
export function createOpenAiFetch({ errorBody }: { errorBody: (text: string) => string }): OpenAiFetch {
  const agents = {
    'http:': new http.Agent({ keepAlive: true }),
    'https:': new https.Agent({ keepAlive: true }),
  };
  const messages = new WeakMap<Response, IncomingMessage>();
  let closed = false;

  const send = (url: URL, headers: Record<string, string>, init: RequestInit): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const secure = url.protocol === 'https:';
      const options = { method: init.method ?? 'GET', headers, signal: init.signal ?? undefined };
      const request = secure
        ? https.request(url, { ...options, agent: agents['https:'] })
        : http.request(url, { ...options, agent: agents['http:'] });
      let answered = false;
      request.on('response', (message) => {
        answered = true;
        resolve(message);
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        // The server closed an idle socket just as we took it: nothing was answered, and each try uses up one
        // pooled socket, so this ends.
        const stale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE') && !answered;
        if (stale && !closed && !init.signal?.aborted) resolve(send(url, headers, init));
        else reject(error);
      });
      request.end(init.body ?? undefined);
    });

  return {
    async fetch(input, init = {}) {
      if (closed) throw new Error('the model client is closed');
      if (init.body != null && typeof init.body !== 'string') throw new TypeError('only text bodies can be sent');
      const headers = Object.fromEntries(new Headers(init.headers));
      const message = await send(new URL(input instanceof Request ? input.url : input), headers, init);
      const status = message.statusCode ?? 0;
      const ok = status >= 200 && status < 300;
      const answer = { status, statusText: message.statusMessage ?? '', headers: headersOf(message) };
      if (ok && headers['accept'] === 'text/event-stream') {
        const response = new Response(null, answer);
        messages.set(response, message);
        return response;
      }
      const text = await readWhole(message);
      if (!ok) return new Response(status === 304 ? null : errorBody(text), answer);
      return new Response(status === 204 || status === 205 ? null : text, answer);
    },
    message(response) {
      const message = messages.get(response);
      if (message === undefined) throw new Error('this response was not asked for as an event stream');
      return message;
    },
    close() {
      closed = true;
      agents['http:'].destroy();
      agents['https:'].destroy();
    },
  };
}

function headersOf(message: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, values] of Object.entries(message.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  return headers;
}

async function readWhole(message: IncomingMessage): Promise<string> {
  message.setEncoding('utf8');
  let text = '';
  for await (const part of message) {
    text += part;
    if (text.length > WHOLE_BODY_LIMIT) throw new Error(`the body is larger than ${WHOLE_BODY_LIMIT} characters`);
  }
  return text;
}
