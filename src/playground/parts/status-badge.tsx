import { Ban, CircleAlert, CircleCheck, Clock, Hand, Hourglass, LoaderCircle, OctagonMinus } from 'lucide-react';
import styles from './status-badge.module.css';

const LOOKS = {
  QUEUED: ['In line', 'quiet', Hourglass],
  IN_PROGRESS: ['Running', 'busy', LoaderCircle],
  REQUIRES_ACTION: ['Waits for you', 'warn', Hand],
  CANCELLING: ['Being cancelled', 'busy', LoaderCircle],
  CANCELLED: ['Cancelled', 'quiet', Ban],
  FAILED: ['Failed', 'danger', CircleAlert],
  COMPLETED: ['Done', 'ok', CircleCheck],
  INCOMPLETE: ['Cut short', 'warn', OctagonMinus],
  EXPIRED: ['Expired', 'warn', Clock],
  TIMED_OUT: ['Timed out', 'danger', Clock],
  LIMIT_EXCEEDED: ['Over its limit', 'danger', OctagonMinus],
} as const;

/** How far a run, a step, a call or a file is, in a word, a colour and a sign. */
export function StatusBadge({ status }: { status: keyof typeof LOOKS }) {
  const [word, look, Sign] = LOOKS[status];
  return (
    <span className={[styles.badge, styles[look]].join(' ')}>
      <Sign size={13} aria-hidden="true" />
      {word}
    </span>
  );
}
