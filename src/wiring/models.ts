import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { createEmbeddings, describeEmbeddings, type Embeddings } from '../llm/embeddings.ts';
import { createHashEmbedder } from '../llm/embeddings-hash.ts';
import { createOpenAiEmbedder } from '../llm/embeddings-openai.ts';
import type { Llm } from '../llm/llm.ts';
import { createOffline } from '../llm/offline.ts';
import { createOpenAi } from '../llm/openai.ts';

export function createLlm(config: Config, logger: Logger): Llm {
  if (!config.modelServer) {
    logger.warn(
      'No model server is set up (OPENAI_API_KEY, OPENAI_BASE_URL): the built-in offline model answers. It is not a language model.',
    );
    return createOffline();
  }
  return createOpenAi({ ...config.modelServer, timeoutMs: config.modelTimeoutMs, logger });
}

export function openEmbeddings({ embedding, modelServer, modelTimeoutMs: timeoutMs }: Config, logger: Logger): Embeddings {
  const configured = embedding && createOpenAiEmbedder({ ...embedding, ...modelServer!, timeoutMs, logger });
  const embeddings = createEmbeddings(createHashEmbedder(), configured);
  const { driver, detail } = describeEmbeddings(embeddings);
  logger.info({ driver }, `embeddings: ${detail}`);
  return embeddings;
}
