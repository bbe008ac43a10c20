import type { FollowStatus, SkeinError } from 'skein/client';
import styles from './connection-sign.module.css';

const WORDS: Record<FollowStatus, string> = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
  ended: 'Ended',
};

/** Whether what is shown is what goes on. */
export function ConnectionSign({ connection, error }: { connection: FollowStatus; error: SkeinError | null }) {
  return (
    <span className={styles.sign} data-connection={connection} role="status" title={error?.message ?? 'Everything comes as it happens'}>
      {WORDS[connection]}
    </span>
  );
}
