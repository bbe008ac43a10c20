import { z } from 'zod';
import { builder } from '../../graphql/builder.ts';
import { RequestError } from '../../graphql/errors.ts';
import { number, optional, text } from '../../graphql/validation.ts';
import { LlmError } from '../../llm/llm.ts';
import type { AttributeFilter } from '../attribute-filter.ts';
import { EmbedderMissingError } from '../search.ts';
import { AttributeFilterInput, filterChecked } from './attribute-filter.ts';
import { FileSearchResult, RankingOptionsInput } from './search-result.ts';
import { VectorStore } from './vector-store.ts';

/** Results of one search (reference §11.6). */
const MOST_RESULTS = 50;
export const QUERY_MAX = 4096;

/** What a search costs beside its results: it reads thousands of rows. */
const COST = 2000;

export const rankingChecked = optional(
  z.object({
    scoreThreshold: number('score threshold', 0, 1)
      .nullish()
      .transform((threshold) => threshold ?? 0),
  }),
);

builder.objectField(VectorStore, 'search', (t) =>
  t.field({
    type: [FileSearchResult],
    description:
      'Passages of its files that fit a query, best first: by their words (BM25) and by their vectors. Files that are not COMPLETED are not searched.',
    complexity: ({ first }) => ({ field: COST, multiplier: first ?? 10 }),
    args: {
      query: t.arg.string({
        required: true,
        validate: text('query', QUERY_MAX, 1) as never,
        description: `What is looked for, in words or as a question: 1 to ${QUERY_MAX} characters.`,
      }),
      filter: t.arg({
        type: AttributeFilterInput,
        validate: filterChecked.nullish() as never,
        description: 'Only in files whose attributes are like this.',
      }),
      first: t.arg.int({
        required: true,
        defaultValue: 10,
        validate: number('number of results', 1, MOST_RESULTS) as never,
        description: `How many results at most, 1 to ${MOST_RESULTS}.`,
      }),
      rankingOptions: t.arg({
        type: RankingOptionsInput,
        validate: rankingChecked as never,
        description: 'How results are ranked.',
      }),
    },
    resolve: async ({ id, expired }, { query, filter, first, rankingOptions }, { rooms, viewer }) => {
      if (expired) throw new RequestError('INVALID_INPUT', `The vector store ${id} has expired.`);
      const options = {
        filter: (filter as AttributeFilter | null | undefined) ?? null,
        limit: first,
        scoreThreshold: rankingOptions?.scoreThreshold ?? 0,
      };
      try {
        return await rooms.vectorStores.search(viewer.projectId, [id], query, options, new AbortController().signal);
      } catch (error) {
        if (error instanceof LlmError) throw new RequestError('MODEL_SERVER', error.message);
        if (error instanceof EmbedderMissingError) throw new RequestError('INVALID_INPUT', error.message);
        throw error;
      }
    },
  }),
);
