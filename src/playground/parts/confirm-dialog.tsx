import { AlertDialog } from '@base-ui/react/alert-dialog';
import { type ReactNode, useState } from 'react';
import { Button } from './button.tsx';
import styles from './dialog.module.css';
import { Notice } from './notice.tsx';

interface ConfirmDialogProps {
  /** The question; null: it is not asked. */
  title: string | null;
  /** What follows from it. */
  children: ReactNode;
  /** What the button says that does it. */
  act: string;
  /** What the other one says. */
  keep?: string;
  /** Does it, and answers with why that was not possible, or null. */
  confirm(): Promise<string | null>;
  close(): void;
  /** What has the focus when it was done; else what had it before. */
  focusAfter?: () => HTMLElement | null;
}

/** Asks before something is done that cannot be undone. */
export function ConfirmDialog({ title, children, act, keep = 'Cancel', confirm, close, focusAfter }: ConfirmDialogProps) {
  const [asked, setAsked] = useState(title);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  // While it fades, it still asks what it asked.
  if (title !== null && title !== asked) setAsked(title);

  const shut = () => {
    setProblem(null);
    close();
  };
  const begin = async () => {
    setBusy(true);
    const reason = await confirm();
    setBusy(false);
    setProblem(reason);
    if (reason !== null) return;
    setDone(true);
    shut();
  };

  return (
    <AlertDialog.Root
      open={title !== null}
      onOpenChange={(next) => {
        if (!next && !busy) shut();
      }}
      onOpenChangeComplete={() => setDone(false)}
    >
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className={styles.backdrop} />
        <AlertDialog.Popup className={styles.popup} finalFocus={() => (done && focusAfter ? focusAfter() : true)}>
          <AlertDialog.Title className={styles.title}>{asked}</AlertDialog.Title>
          <AlertDialog.Description className={styles.words}>{children}</AlertDialog.Description>
          {problem && <Notice kind="danger">{problem}</Notice>}
          <div className={styles.acts}>
            <AlertDialog.Close render={<Button disabled={busy} />}>{keep}</AlertDialog.Close>
            <Button kind="danger" disabled={busy} onClick={() => void begin()}>
              {busy ? 'One moment…' : act}
            </Button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
