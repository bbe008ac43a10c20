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
  await new Promise((resolve) => socket.ws.once('open', resolve));
  socket.send({ type: 'connection_init', payload: { Authorization: `Bearer ${key}` } });
  await socket.message('connection_ack');
  return socket;
}
