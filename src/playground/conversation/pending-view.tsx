import type { MessageInput } from 'skein/client';
import { Speaker } from './message-view.tsx';
import styles from './message-view.module.css';

/** A message that was just sent: shown at once, before the server has said that it is stored. */
export function PendingView({ message, waits }: { message: MessageInput; waits: boolean }) {
  const text = message.content.map((part) => part.text ?? '').join('');
  const files = (message.attachments?.length ?? 0) + message.content.filter((part) => part.imageFile).length;
  return (
    <article className={[styles.own, styles.pending].join(' ')} aria-label="You, being sent">
      <Speaker own />
      <div className={styles.body}>
        <p className={styles.plain}>{text}</p>
        {(files > 0 || waits) && (
          <p className={styles.note}>
            {[files > 0 && `${files} file${files === 1 ? '' : 's'}`, waits && 'waits in line'].filter(Boolean).join(' · ')}
          </p>
        )}
      </div>
    </article>
  );
}
