import type { ChunkingStrategy } from './chunk.ts';

/** Files that can be found. The numbers are kept up by the database (see the migration that makes the table). */
export interface VectorStore {
  id: string;
  projectId: string;
  name: string | null;
  metadata: Record<string, string>;
  expiresAfterDays: number | null;
  /** Name of what makes its vectors, settled by the first: those of another cannot be compared with them. */
  embedder: string | null;
  /** Of its vectors; null before the first. */
  dimensions: number | null;
  chunks: number;
  usageBytes: string | number;
  version: number;
  indexed: boolean;
  createdAt: Date;
  lastActiveAt: Date;
  expiresAt: Date | null;
}

/** A store, and whether its time is over as of when it was read. */
export type StoreView = VectorStore & { expired: boolean };

export type VectorStoreStatus = 'IN_PROGRESS' | 'COMPLETED' | 'EXPIRED';

/** What a caller gives for a store. */
export interface NewVectorStore {
  name: string | null;
  metadata: Record<string, string>;
  expiresAfterDays: number | null;
  files: NewStoreFile[];
}

export const VECTOR_STORE_FILE_STATUSES = ['IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELLED'] as const;
export type VectorStoreFileStatus = (typeof VECTOR_STORE_FILE_STATUSES)[number];

export const VECTOR_STORE_FILE_ERRORS = [
  'UNSUPPORTED_FILE',
  'INVALID_FILE',
  'ENCRYPTED',
  'NO_TEXT',
  'TOO_LARGE',
  'TIMEOUT',
  'OUT_OF_MEMORY',
  'SERVER_ERROR',
] as const;

export interface VectorStoreFileError {
  code: (typeof VECTOR_STORE_FILE_ERRORS)[number];
  message: string;
}

export type AttributeValue = string | number | boolean;
export type Attributes = Record<string, AttributeValue>;

/** A file in a store. It has chunks while it is read, and they are found once it is COMPLETED. */
export interface VectorStoreFile {
  id: string;
  projectId: string;
  vectorStoreId: string;
  fileId: string;
  batchId: string | null;
  filename: string;
  status: VectorStoreFileStatus;
  lastError: VectorStoreFileError | null;
  attributes: Attributes;
  chunking: ChunkingStrategy;
  chunks: number;
  usageBytes: string | number;
  createdAt: Date;
}

/** What a caller gives for a file of a store. */
export interface NewStoreFile {
  fileId: string;
  attributes: Attributes;
  chunking: ChunkingStrategy;
}

export interface VectorStoreFileBatch {
  id: string;
  projectId: string;
  vectorStoreId: string;
  createdAt: Date;
  cancelledAt: Date | null;
}

export interface FileCounts {
  inProgress: number;
  completed: number;
  failed: number;
  cancelled: number;
  total: number;
}

/** Reference §14. */
export const FILES_PER_STORE = 10_000;
export const FILES_PER_CREATE = 500;
export const FILES_PER_BATCH = 2000;
/** Days after their last use that stores expire which a thread has made for itself. */
export const THREAD_STORE_DAYS = 7;

/** SQL over `vector_store`, under an alias. */
export const storeIsThere = (alias: string): string => `${alias}.deleted_at is null`;
export const storeIsExpired = (alias: string): string => `coalesce(${alias}.expires_at <= now(), false)`;

/** How stores are read for callers. */
export const STORE_VIEW = {
  except: ['words', 'indexed', 'version', 'deletedAt', 'chunks', 'dimensions'],
  where: storeIsThere('t'),
  extra: `${storeIsExpired('t')} as expired`,
};

/** SQL over `vector_store_file`, under an alias: its reading has come to nothing, and left something behind. */
export const isLeftOver = (alias: string): string => `${alias}.status in ('FAILED', 'CANCELLED') and ${alias}.chunks > 0`;

/** SQL select items over `vector_store_file`, under an alias, as `FileCounts`. */
export const FILE_COUNTS = (alias: string): string =>
  `json_build_object('inProgress', count(*) filter (where ${alias}.status = 'IN_PROGRESS'),
  'completed', count(*) filter (where ${alias}.status = 'COMPLETED'), 'failed', count(*) filter (where ${alias}.status = 'FAILED'),
  'cancelled', count(*) filter (where ${alias}.status = 'CANCELLED'), 'total', count(*))`;
