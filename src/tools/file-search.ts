import { EmbedderMissingError } from '../vector-stores/search.ts';
import type { VectorStores } from '../vector-stores/vector-stores.ts';
import type { FileSearchCall, FileSearchResult, HostedTool, ToolPlace } from './tool.ts';

export interface FileSearchOptions {
  stores: Pick<VectorStores, 'search' | 'usable' | 'ingested'>;
  /** Ids of the vector stores of a place: its assistant's and its thread's. */
  storesOf(place: ToolPlace): Promise<{ assistant: string[]; thread: string[] }>;
  /** Whether an error says what the model server has refused, in words that can be passed on. */
  isModelError(error: unknown): error is Error;
  /** Milliseconds that files of the thread are waited for. A minute by default (reference §14). */
  waitMs?: number;
}

/** Reference §8.3. */
const RESULTS = 20;
const MOST_RESULTS = 50;
const WAIT_MS = 60_000;
const MOST_QUERIES = 8;
const MOST_CHARACTERS = 4096;
/** Characters of passages that one call tells the model: about the 16 000 tokens of the reference. */
const MOST_TOLD = 64_000;

const DEFINITION = {
  name: 'file_search',
  description:
    'Searches the files that were given to this assistant and in this conversation, and answers with passages of them. ' +
    'Ask with the words that the passage is likely to hold, or with a whole question; search again in other words when ' +
    'nothing fits. Every passage begins with its marker, like 【0:1†report.pdf】: put the marker, exactly as it stands, ' +
    'right behind each statement of yours that rests on the passage. Never make up a marker.',
  parameters: {
    type: 'object',
    properties: { query: { type: 'string', description: 'What is looked for.' } },
    required: ['query'],
    additionalProperties: false,
  },
};

/** Looks through the vector stores of the assistant and of the thread as if they were one. */
export function createFileSearch(options: FileSearchOptions): HostedTool<FileSearchCall> {
  const { stores, storesOf, isModelError, waitMs = WAIT_MS } = options;

  async function search(call: FileSearchCall, place: ToolPlace, signal: AbortSignal): Promise<FileSearchCall> {
    const { projectId, setting } = place;
    const scoreThreshold = setting.rankingOptions?.scoreThreshold ?? 0;
    const done = (part: Partial<FileSearchCall>): FileSearchCall => ({
      ...call,
      rankingOptions: { scoreThreshold },
      status: part.failure ? 'FAILED' : 'COMPLETED',
      ...part,
    });
    const queries = queriesOf(call.arguments);
    if (typeof queries === 'string') return done({ failure: queries });
    const { assistant, thread } = await storesOf(place);
    const { ready, expired } = await stores.usable(projectId, [...new Set([...assistant, ...thread])]);
    if (ready.length === 0) {
      const failure = expired.length > 0 ? 'The files have expired: they were not used for too long.' : NOTHING_HERE;
      return done({ queries, failure });
    }
    const waited = thread.filter((id) => ready.includes(id));
    const whole = waited.length === 0 || (await stores.ingested(projectId, waited, waitMs, signal));
    const notices = [...(whole ? [] : [STILL_READING]), ...(expired.length > 0 ? [SOME_EXPIRED] : [])];
    const limit = Math.min(setting.maxNumResults ?? RESULTS, MOST_RESULTS);
    try {
      const how = { filter: null, limit, scoreThreshold };
      const found = await Promise.all(queries.map((query) => stores.search(projectId, ready, query, how, signal)));
      const results = best(found.flat(), limit);
      return done({ queries, results, ...(notices.length > 0 ? { notice: notices.join('\n') } : {}) });
    } catch (error) {
      if (signal.aborted || !(error instanceof EmbedderMissingError || isModelError(error))) throw error;
      return done({ queries, failure: `The search has failed. ${error.message}` });
    }
  }

  return {
    type: 'fileSearch',
    definition: DEFINITION,
    repeatable: true,
    async run(call, place, _report, signal) {
      const ended = await search(call, place, signal);
      signal.throwIfAborted();
      return ended;
    },
    answer({ results, failure, notice }, ordinal) {
      if (failure) return failure;
      const told = passages(results, ordinal);
      return [told || 'Nothing was found.', ...(notice ? [notice] : [])].join('\n\n');
    },
  };
}

const NOTHING_HERE = 'There are no files to search: neither this assistant nor this conversation has any.';
const STILL_READING = 'Some files of this conversation are still being read in: what is in them cannot be found yet.';
const SOME_EXPIRED = 'Other files have expired, because they were not used for too long: they were not searched.';

/** The queries of a call, or what is wrong with it, in words for the model. */
function queriesOf(written: string): string[] | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(written);
  } catch {
    return 'The arguments are no JSON. Call file_search with {"query": "…"}.';
  }
  const { query, queries } = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as Record<string, unknown>;
  const given = [query, ...(Array.isArray(queries) ? queries : [])].filter((each) => each !== undefined);
  const texts = given.filter((each) => typeof each === 'string').map((each) => each.trim().slice(0, MOST_CHARACTERS));
  const asked = [...new Set(texts.filter(Boolean).map((each) => each.replaceAll('\0', '').toWellFormed()))];
  if (asked.length === 0) return 'There is no query. Call file_search with {"query": "what is looked for"}.';
  return asked.slice(0, MOST_QUERIES);
}

/** Passages that several queries have found count once, with their best score. */
function best(results: FileSearchResult[], limit: number): FileSearchResult[] {
  const found = new Map<string, FileSearchResult>();
  for (const result of results) {
    const key = `${result.fileId} ${result.location?.startIndex} ${result.location?.endIndex}`;
    if ((found.get(key)?.score ?? -1) < result.score) found.set(key, result);
  }
  return [...found.values()].sort((a, b) => b.score - a.score).slice(0, limit);
}

/** Name of a passage in answers: the search and its result, each from 0, and the file. */
export const markerOf = (ordinal: number, index: number, filename: string): string =>
  `【${ordinal}:${index}†${filename.replace(/[【】†\r\n]/g, ' ')}】`;

function passages(results: readonly FileSearchResult[], ordinal: number): string {
  let told = 0;
  return results
    .map(({ filename, text, location }, index) => {
      if (told > 0 && told + text.length > MOST_TOLD) return null;
      told += text.length;
      return `${markerOf(ordinal, index, filename)}${placeOf(location)}\n${text}`;
    })
    .filter((passage) => passage !== null)
    .join('\n\n');
}

function placeOf(location: FileSearchResult['location']): string {
  if (!location) return '';
  const { page, startLine, endLine, headingPath } = location;
  const lines = startLine === null ? '' : startLine === endLine ? `line ${startLine}` : `lines ${startLine}–${endLine}`;
  const place = [page === null ? '' : `page ${page}`, lines, headingPath.join(' > ')].filter(Boolean);
  return place.length > 0 ? ` (${place.join(', ')})` : '';
}
