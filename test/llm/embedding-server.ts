import { answerOk, type Exchange, type ModelServer, openModelServer } from './model-server.ts';

/** A model server that embeds, and does what a test wants in between. */
export interface EmbeddingServer {
  readonly url: string;
  /** The texts of each request for embeddings, oldest first. */
  readonly asked: readonly string[][];
  readonly model: ModelServer;
  /** How the next requests for embeddings are answered, the next one first; with vectors when nothing is written. */
  readonly scenes: ((exchange: Exchange) => void)[];
  /** How the next other requests are answered, for tests that need both; "Hi!" when nothing is written. */
  readonly chat: ((exchange: Exchange) => void)[];
  /** Requests for embeddings that wait. */
  readonly waiting: number;
  /** From now on requests with a text like this wait; the promise is settled when the first of them has come. */
  hold(which?: RegExp): Promise<void>;
  /** Answers what waits, and does not wait any more. */
  release(): void;
  close(): Promise<void>;
}

/** A direction for each of these words, and one for all other texts: texts that share a word lie close to each other. */
export const vectorOf = (text: string, topics: readonly string[]): number[] => {
  const vector = topics.map((topic) => (text.toLowerCase().includes(topic) ? 1 : 0));
  return [...vector, vector.some((value) => value > 0) ? 0 : 1];
};

export const answerWith =
  (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  ({ response }: Exchange): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };

export const vectorsFor = (texts: readonly string[], topics: readonly string[]): object => ({
  object: 'list',
  data: texts.map((text, index) => ({ object: 'embedding', index, embedding: vectorOf(text, topics) })),
});

export async function openEmbeddingServer(topics: readonly string[] = ['llama', 'goat', 'zebra']): Promise<EmbeddingServer> {
  const asked: string[][] = [];
  const scenes: ((exchange: Exchange) => void)[] = [];
  const chat: ((exchange: Exchange) => void)[] = [];
  const waiting: (() => void)[] = [];
  let held: (PromiseWithResolvers<void> & { which: RegExp }) | null = null;
  const model = await openModelServer((exchange) => {
    if (!exchange.request.url!.endsWith('/embeddings')) return (chat.shift() ?? answerOk)(exchange);
    const texts = exchange.body.input as string[];
    asked.push(texts);
    const answer = scenes.shift() ?? answerWith(vectorsFor(texts, topics));
    if (!held || !texts.some((text) => held!.which.test(text))) return answer(exchange);
    waiting.push(() => answer(exchange));
    held.resolve();
  });
  return {
    url: model.url,
    asked,
    model,
    scenes,
    chat,
    get waiting() {
      return waiting.length;
    },
    hold(which = /^/) {
      held = { ...Promise.withResolvers<void>(), which };
      return held.promise;
    },
    release() {
      held = null;
      for (const answer of waiting.splice(0)) answer();
    },
    close: () => model.close(),
  };
}
