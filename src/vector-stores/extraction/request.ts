import type { ChunkingStrategy, ChunkRange } from '../chunk.ts';
import type { Extraction, ExtractionLimits, FailureCode, SourceFile } from './extraction.ts';

/** One line of JSON on the child's standard input. */
export interface ExtractionRequest {
  file: SourceFile;
  limits: ExtractionLimits;
  chunking: ChunkingStrategy | null;
}

/**
 * What the child answers: the lengths in bytes of the two parts that follow, as 32-bit numbers (little endian), the
 * answer as JSON and, apart from it, the text in UTF-8, because JSON would escape it.
 */
export type ExtractionAnswer = { cpuMs: number } & (
  | ({ ok: true; chunks: ChunkRange[] } & Omit<Extraction, 'text'>)
  /** `fault`: where it broke, for the log; never the words of the file. */
  | { ok: false; code: FailureCode; message: string; fault?: { name: string; stack: string[] } }
);

export const LENGTHS = 8;
/** Bytes of an answer's JSON. */
export const MOST_JSON = 16 * 2 ** 20;
/** UTF-8 bytes that one UTF-16 unit takes at most. */
export const BYTES_PER_UNIT = 3;
/** The child's descriptor for its answers; the usual output is open to every library. */
export const ANSWERS = 3;
