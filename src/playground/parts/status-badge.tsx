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

interface StatusBadgeProps {
  status: keyof typeof LOOKS;
  /** What it is called where the usual word is not the right one. */
  word?: string;
}

/** How far a run, a step, a call or a file is, in a word, a colour and a sign. */
export function StatusBadge({ status, word: given }: StatusBadgeProps) {
  const [usual, look, Sign] = LOOKS[status];
  const word = given ?? usual;
  return (
    <span className={[styles.badge, styles[look]].join(' ')}>
      <Sign size={13} aria-hidden="true" />
      {word}
    </span>
  );
}
