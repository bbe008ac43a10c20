import { Dialog } from '@base-ui/react/dialog';
import { type FormEvent, type ReactNode, useState } from 'react';
import { Button } from './button.tsx';
import styles from './dialog.module.css';
import { Notice } from './notice.tsx';

interface FormDialogProps {
  open: boolean;
  close(): void;
  title: string;
  words?: ReactNode;
  /** What the button says that does it. */
  act: string;
  /** Whether there is something to do. */
  ready?: boolean;
  /** Does it, and answers with why that was not possible, or null: then it closes. */
  submit(): Promise<string | null>;
  wide?: boolean;
  /** What has the focus when it was done; else what had it before. */
  focusAfter?: () => HTMLElement | null;
  children: ReactNode;
}

/** A few fields that are filled in by the way. What it holds is begun anew each time it opens. */
export function FormDialog(props: FormDialogProps) {
  const { open, close, wide, focusAfter } = props;
  const [done, setDone] = useState(false);
  return (
    <Dialog.Root open={open} onOpenChange={(next) => next || close()} onOpenChangeComplete={() => setDone(false)}>
      <Dialog.Portal>
        <Dialog.Backdrop className={styles.backdrop} />
        <Dialog.Popup
          className={[styles.popup, wide && styles.wide].filter(Boolean).join(' ')}
          finalFocus={() => (done && focusAfter ? focusAfter() : true)}
        >
          <Inside {...props} done={() => setDone(true)} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Inside({ title, words, act, ready = true, submit, close, done, children }: FormDialogProps & { done(): void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const begin = async (event: FormEvent) => {
    event.preventDefault();
    // A dialog's form is inside the page's own in React's eyes.
    event.stopPropagation();
    setBusy(true);
    const reason = await submit();
    setBusy(false);
    setProblem(reason);
    if (reason !== null) {
      const form = event.target as HTMLFormElement;
      // The field knows that it is wrong once this has been drawn.
      requestAnimationFrame(() => form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
      return;
    }
    done();
    close();
  };
  return (
    <form className={styles.form} onSubmit={(event) => void begin(event)} noValidate>
      <Dialog.Title className={styles.title}>{title}</Dialog.Title>
      {words && <Dialog.Description className={styles.words}>{words}</Dialog.Description>}
      {children}
      {problem && <Notice kind="danger">{problem}</Notice>}
      <div className={styles.acts}>
        <Dialog.Close render={<Button />}>Cancel</Dialog.Close>
        <Button type="submit" kind="main" disabled={busy || !ready}>
          {busy ? 'One moment…' : act}
        </Button>
      </div>
    </form>
  );
}
