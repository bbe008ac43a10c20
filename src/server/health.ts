import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { refuse, sendJson } from './json-answer.ts';

/** Words for operators by the part that they are about; null = nothing to say. */
export interface Readiness {
  /** What keeps the server from working now. */
  reasons: Record<string, string> | null;
  /** What makes it slower, but nothing else. */
  degraded: Record<string, string> | null;
  /** What is in use, where there is a choice: some choices are weaker than others, and that is said. */
  using: Record<string, string>;
}

export type CheckReadiness = () => Promise<Readiness>;

/** Answers when the path is one of health's. */
export async function answerHealth(path: string, response: ServerResponse, check: CheckReadiness): Promise<boolean> {
  if (path === '/health/live') {
    sendJson(response, 200, { status: 'ok' });
    return true;
  }
  if (path !== '/health/ready') return false;
  const { reasons, degraded, using } = await check();
  if (reasons) sendJson(response, 503, { status: 'not ready', reasons });
  else sendJson(response, 200, { status: degraded ? 'degraded' : 'ok', ...(degraded ? { degraded } : {}), using });
  return true;
}

/** The HTTP side of a process that has no other: it answers whether it lives and is ready, under any name. */
export function createHealthServer({ check, logger }: { check: CheckReadiness; logger: Logger }): Server {
  return createServer((request, response) => {
    const path = request.url!.split('?', 1)[0]!;
    answerHealth(path, response, check).then(
      (answered) => {
        if (answered) return;
        const words = `There is nothing at ${path}: this process is a worker (ROLE=worker), which answers /health/live and /health/ready. GraphQL is served by processes with ROLE=api or all.`;
        refuse(response, 404, 'NOT_FOUND', words);
      },
      (error: unknown) => {
        logger.error({ err: error }, 'a request failed');
        if (response.headersSent) response.destroy();
        else refuse(response, 500, 'INTERNAL', 'Something went wrong here; the log has it.');
      },
    );
  });
}
