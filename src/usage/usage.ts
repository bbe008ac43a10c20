/** Tokens that model calls took, as the model server counted them. */
export interface Usage {
  promptTokens: number;
  completionTokens: number;
  totalTokens: number;
  cachedTokens: number | null;
  reasoningTokens: number | null;
}

export const NO_USAGE: Usage = {
  promptTokens: 0,
  completionTokens: 0,
  totalTokens: 0,
  cachedTokens: null,
  reasoningTokens: null,
};

/** Adds up; what was not counted on either side stays null. */
export function addUsage(a: Usage, b: Usage): Usage {
  return {
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
    totalTokens: a.totalTokens + b.totalTokens,
    cachedTokens: addCounted(a.cachedTokens, b.cachedTokens),
    reasoningTokens: addCounted(a.reasoningTokens, b.reasoningTokens),
  };
}

const addCounted = (a: number | null, b: number | null) => (a === null && b === null ? null : (a ?? 0) + (b ?? 0));
