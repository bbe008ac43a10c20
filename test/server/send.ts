import { request, type IncomingHttpHeaders, type RequestOptions } from 'node:http';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** The body, when it is JSON. */
  json: {
    data?: Record<string, unknown> | null;
    errors?: { message: string; extensions: { code: string } & Record<string, unknown> }[];
  };
}

export interface Sent extends Pick<RequestOptions, 'method' | 'headers' | 'agent'> {
  path?: string;
  /** Sent with a content-length, or in chunks when it is a list. */
  body?: string | string[];
}

/** One HTTP request as it stands: `fetch` would not let a test choose its Host or its framing. */
export function send(
  url: string,
  { path = '/graphql', body, method = body === undefined ? 'GET' : 'POST', headers, agent }: Sent = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const framing = typeof body === 'string' ? { 'content-length': Buffer.byteLength(body) } : {};
    const outgoing = request(new URL(path, url), { method, agent, headers: { ...framing, ...headers } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('error', reject);
      response.on('end', () => {
        const isJson = /json/.test(String(response.headers['content-type']));
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          text,
          json: isJson ? JSON.parse(text) : {},
        });
      });
    });
    outgoing.on('error', reject);
    for (const part of Array.isArray(body) ? body : []) outgoing.write(part);
    outgoing.end(typeof body === 'string' ? body : undefined);
  });
}

export const operation = (query: string, more: object = {}): string => JSON.stringify({ query, ...more });

export const jsonWith = (key: string): Record<string, string> => ({
  'content-type': 'application/json',
  authorization: `Bearer ${key}`,
});
