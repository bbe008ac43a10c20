import type { Viewer } from '../auth/keys.ts';
import type { Db } from '../db/db.ts';
import { Load } from './load.ts';

/** What a resolver has at hand. One is made for each operation. */
export interface Context {
  requestId: string;
  /** Where the caller reaches this server, `https://skein.example`: links begin with it. */
  origin: string;
  viewer: Viewer;
  db: Db;
  /** Reads of this operation, batched; within a snapshot they all see the same moment. */
  load: Load;
  /** What the rooms behind the doors can do; every door declares its own room's part. */
  rooms: Rooms;
  /** Ids minted for the creates of this operation, by the path of their field. */
  minted: Map<string, string>;
}

/** Whether a thread, if it is one of the project, may be shown to who asks. */
export const seesThread = ({ viewer: { token } }: Pick<Context, 'viewer'>, threadId: string): boolean =>
  token === null || token.threadIds.includes(threadId);

/** Filled by the doors, each with what its room can do. */
export interface Rooms {}

export function createContext(options: {
  requestId: string;
  origin: string;
  viewer: Viewer;
  db: Db;
  rooms: Rooms;
}): Context {
  return { ...options, load: new Load(options.db, options.viewer), minted: new Map() };
}
