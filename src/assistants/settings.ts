import type { NewVectorStore } from '../vector-stores/vector-store.ts';

/** What an assistant and a run have in common, as it is stored. */
export type ToolSetting =
  | { type: 'codeInterpreter'; timeoutSeconds: number | null }
  | { type: 'fileSearch'; maxNumResults: number | null; rankingOptions: { scoreThreshold: number } | null }
  | FunctionSetting;

export interface FunctionSetting {
  type: 'function';
  name: string;
  description: string | null;
  /** A JSON Schema object; null = no parameters. */
  parameters: unknown;
  strict: boolean;
}

export type ResponseFormat =
  | { type: 'AUTO' | 'TEXT' | 'JSON_OBJECT' }
  | { type: 'JSON_SCHEMA'; name: string; description: string | null; schema: unknown; strict: boolean };

export const REASONING_EFFORTS = ['NONE', 'MINIMAL', 'LOW', 'MEDIUM', 'HIGH', 'XHIGH', 'MAX'] as const;

/** What the hosted tools work on. */
export interface ToolResources {
  codeInterpreter: { fileIds: string[] } | null;
  fileSearch: { vectorStoreIds: string[] } | null;
}

/** The same as a caller gives it, with the vector stores that are to be made with what they are for. */
export interface NewToolResources extends ToolResources {
  newStores: (NewVectorStore & { id: string })[];
}
