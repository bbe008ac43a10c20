import { builder } from '../graphql/builder.ts';
import type { Usage as UsageValue } from './usage.ts';

export const Usage = builder.objectRef<UsageValue>('Usage').implement({
  description: 'Tokens that model calls took, as the model server counted them (estimated where it does not count).',
  fields: (t) => ({
    promptTokens: t.exposeInt('promptTokens', { description: 'Tokens of prompts.' }),
    completionTokens: t.exposeInt('completionTokens', { description: 'Tokens of answers, reasoning included.' }),
    totalTokens: t.exposeInt('totalTokens', { description: 'Both together.' }),
    cachedTokens: t.exposeInt('cachedTokens', {
      nullable: true,
      description: "Prompt tokens from the model server's cache; null = not counted.",
    }),
    reasoningTokens: t.exposeInt('reasoningTokens', {
      nullable: true,
      description: 'Completion tokens of reasoning; null = not counted.',
    }),
  }),
});
