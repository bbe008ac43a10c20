import { createContext, useContext } from 'react';
import type { Citation } from '../conversation/marked-text.ts';

/** What is looked at more closely, beside the conversation. */
export type Inspected =
  | { tab: 'run'; runId: string }
  | { tab: 'source'; citation: Citation; messageId: string }
  | { tab: 'operations' };

export interface Inspector {
  readonly inspected: Inspected | null;
  inspect(what: Inspected | null): void;
}

export const InspectorContext = createContext<Inspector>({ inspected: null, inspect() {} });

export const useInspector = (): Inspector => useContext(InspectorContext);

export const inspectRun = (runId: string): Inspected => ({ tab: 'run', runId });
