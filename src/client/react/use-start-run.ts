import { useCallback } from 'react';
import { StartRunDocument, type StartRunInput, type StartRunMutation } from '../../generated/graphql/graphql.ts';
import { type Action, useAction } from './use-action.ts';
import { useSkein } from './provider.tsx';

export type StartedRun = NonNullable<StartRunMutation['startRun']['run']>;

/**
 * Starts runs. Messages that go with one (`additionalMessages`) are seen at once where their thread is followed, as
 * `pending`, and are gone again when the run is refused. One that is sent twice, with the same `idempotencyKey`, is
 * started once; without a key of yours each call has its own.
 */
export function useStartRun(): Action<StartRunInput, StartedRun> {
  const { threads } = useSkein();
  const action = useAction(
    StartRunDocument,
    ({ startRun }) => startRun,
    ({ run }) => run,
  );
  const send = action.run;
  const run = useCallback(
    async (input: StartRunInput) => {
      const messages = input.additionalMessages ?? [];
      const store = input.threadId ? threads.find(input.threadId) : null;
      const told = messages.length > 0 ? store?.expect(messages) : undefined;
      const outcome = await send({ ...input, idempotencyKey: input.idempotencyKey ?? newKey() });
      told?.(outcome.value?.id ?? null);
      return outcome;
    },
    [threads, send],
  );
  return { ...action, run };
}

/** `crypto.randomUUID` is for pages with a certificate only. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
