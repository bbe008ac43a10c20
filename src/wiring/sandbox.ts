import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { chooseSandbox } from '../sandbox/choose.ts';
import { type Sandbox, SandboxUnavailableError } from '../sandbox/sandbox.ts';

/**
 * The box for the code of models. One that was asked for by name and does not work ends the start; with `auto`, a
 * machine that can have none at all has no code interpreter, and says so.
 */
export async function openSandbox({ sandbox, dataDir }: Config, logger: Logger): Promise<Sandbox | null> {
  const { driver } = sandbox;
  const limits = {
    call: { wallMs: sandbox.timeoutMs, cpuMs: sandbox.cpuMs, logBytes: sandbox.outputBytes },
    box: {
      ...(sandbox.memoryBytes === null ? {} : { memoryBytes: sandbox.memoryBytes }),
      dataBytes: sandbox.diskBytes,
      processes: sandbox.processes,
    },
    sessions: {
      ...(sandbox.sessions === null ? {} : { total: sandbox.sessions }),
      perProject: sandbox.sessionsPerProject,
      warm: sandbox.warm,
      idleMs: sandbox.idleMs,
      lifeMs: sandbox.lifeMs,
    },
  };
  const onProblem = (problem: unknown) => logger.warn({ err: problem }, 'the sandbox is slower than it could be');
  const cacheDir = join(dataDir, 'sandbox');
  const box = await chooseSandbox({ driver, cacheDir, limits, onProblem }).catch((error: unknown) => {
    if (driver !== 'auto' || !(error instanceof SandboxUnavailableError)) throw error;
    logger.warn({ reason: error.message }, 'this machine can have no sandbox: this server has no code interpreter');
    return null;
  });
  if (!box && driver !== 'none') return null;
  if (!box) {
    logger.warn('SANDBOX_DRIVER is none: this server has no code interpreter');
    return null;
  }
  const { reason, python, packages } = box.describe();
  logger.info({ driver: box.driver, reason, python, packages: packages.map(({ name }) => name) }, 'the sandbox is ready');
  return box;
}

/** What `viewer.sandbox` says. */
export function describeSandbox({ role, sandbox }: Config, box: Sandbox | null): { driver: string; detail: string } {
  if (box) {
    const { driver, reason, python, packages } = box.describe();
    const names = packages.map(({ name }) => name).join(', ') || 'the standard library alone';
    return { driver, detail: `Python ${python} with ${names}. ${reason}` };
  }
  if (sandbox.driver === 'none') return { driver: 'none', detail: 'SANDBOX_DRIVER is none: there is no code interpreter.' };
  return role === 'api'
    ? { driver: 'workers', detail: 'Code runs in the worker processes, which say in their logs and health what boxes they have.' }
    : { driver: 'none', detail: 'This server has no code interpreter.' };
}
