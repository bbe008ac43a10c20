import WebSocket, { type ClientOptions } from 'ws';
import { waitFor } from './wait-for.ts';

export interface RawSocket {
  ws: WebSocket;
  /** Everything that came, oldest first. */
  messages: { type: string; id?: string; payload?: unknown }[];
  /** Code and reason, once it is closed. */
  closed: Promise<{ code: number; reason: string }>;
  send(message: object | string): void;
  /** Waits for a message of this type. */
  message(type: string): Promise<{ type: string; id?: string; payload?: unknown }>;
}

/** A WebSocket that says what it is told to, in or out of the protocol. */
export function openSocket(url: string, options: ClientOptions = {}, protocol = 'graphql-transport-ws'): RawSocket {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/graphql`, protocol, options);
  const messages: RawSocket['messages'] = [];
  ws.on('message', (data) => messages.push(JSON.parse(String(data)) as RawSocket['messages'][number]));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
    ws.on('error', (error) => resolve({ code: 0, reason: error.message }));
  });
  const send = (message: object | string) => ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  return {
    ws,
    messages,
    closed,
    send,
    message: (type) => waitFor(`a message of type ${type}`, () => messages.find((message) => message.type === type)),
  };
}

/** The same, with its ConnectionInit answered. */
export async function connectedSocket(url: string, key: string): Promise<RawSocket> {
  const socket = openSocket(url);
  const refused = await answerOf(socket, key);
  if (refused) throw new Error(`the socket was closed with ${refused.code}: ${refused.reason}`);
  return socket;
}

/** Says who it is: null once that is acknowledged, else how the socket was closed. */
export async function answerOf(socket: RawSocket, key: string): Promise<{ code: number; reason: string } | null> {
  socket.ws.once('open', () => socket.send({ type: 'connection_init', payload: { Authorization: `Bearer ${key}` } }));
  const acknowledged = new Promise<null>((resolve) => socket.ws.once('message', () => resolve(null)));
  return Promise.race([acknowledged, socket.closed]);
}
