import { RotateCcw } from 'lucide-react';
import type { ConversationRun } from 'skein/client';
import { Button } from '../parts/button.tsx';
import { StatusBadge } from '../parts/status-badge.tsx';
import { FunctionForm, type Schemas } from './function-form.tsx';
import styles from './run-end.module.css';

interface RunEndProps {
  run: ConversationRun;
  /** Of its functions' parameters; null until they are here, and with them the form. */
  schemas: Schemas | null;
  /** Calls that are answered by hand; those of others are answered by stubs. */
  answerByHand: boolean;
  /** Starts another run in its place; null while the thread is another's. */
  retry: (() => void) | null;
}

/** What a run that is not simply done has to say: that it works, waits, or why it ended. */
export function RunEnd({ run, schemas, answerByHand, retry }: RunEndProps) {
  const calls = run.status === 'REQUIRES_ACTION' ? run.requiredAction?.toolCalls : undefined;
  const why = run.lastError?.message ?? (run.incompleteDetails && INCOMPLETE[run.incompleteDetails.reason]);
  const over = !['QUEUED', 'IN_PROGRESS', 'REQUIRES_ACTION', 'CANCELLING'].includes(run.status);
  return (
    <div className={styles.end} data-run={run.id}>
      {calls && answerByHand && schemas ? (
        <FunctionForm runId={run.id} calls={calls} schemas={schemas} />
      ) : (
        <div className={styles.line} role={run.status === 'FAILED' ? 'alert' : 'status'}>
          <StatusBadge status={run.status} />
          {run.attempt > 1 && <span className={styles.attempt}>attempt {run.attempt}</span>}
          {why && <span className={styles.why}>{why}</span>}
          {over && retry && (
            <Button small icon={<RotateCcw size={14} />} onClick={retry}>
              Try again
            </Button>
          )}
        </div>
      )}
    </div>
  );
}

const INCOMPLETE: Record<string, string> = {
  MAX_COMPLETION_TOKENS: 'The limit of completion tokens was reached.',
  MAX_PROMPT_TOKENS: 'The limit of prompt tokens was reached.',
};
