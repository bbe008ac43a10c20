import { ArrowUp, Paperclip, Square, X } from 'lucide-react';
import { type ClipboardEvent, type KeyboardEvent, type RefObject, useEffect, useRef, useState } from 'react';
import { IconButton } from '../parts/button.tsx';
import styles from './composer.module.css';
import type { Attachments } from './use-attachments.ts';

interface ComposerProps {
  attachments: Attachments;
  /** Why nothing can be sent now; null = it can. */
  blocked: string | null;
  /** Cancels what goes on; null when nothing does. */
  cancel: (() => void) | null;
  /** Resolves to false when it was refused: what was written stays. */
  send(text: string): Promise<boolean>;
  field: RefObject<HTMLTextAreaElement | null>;
}

/** Where the next message is written. Enter sends it, Shift+Enter begins a line. */
export function Composer({ attachments, blocked, cancel, send, field }: ComposerProps) {
  const [text, setText] = useState('');
  const [sending, setSending] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const { files, ready } = attachments;
  const empty = text.trim() === '' && files.length === 0;
  const may = !empty && ready && !sending && blocked === null;

  // Who comes here comes to write; on a phone that would bring up the keyboard over what is to be read.
  useEffect(() => {
    if (matchMedia('(hover: hover)').matches) field.current?.focus();
  }, [field]);

  // As high as what is written, up to where it scrolls.
  useEffect(() => {
    const area = field.current;
    if (!area) return;
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight}px`;
  }, [text, field]);

  const submit = async () => {
    if (!may) return;
    setSending(true);
    setText('');
    const sent = await send(text.trim());
    setSending(false);
    if (sent) attachments.clear();
    else setText((now) => (now === '' ? text : now));
    field.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void submit();
  };

  const onPaste = ({ clipboardData }: ClipboardEvent) => {
    if (clipboardData.files.length > 0) attachments.add(clipboardData.files);
  };

  return (
    <form
      className={styles.composer}
      aria-label="Write a message"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {files.length > 0 && (
        <ul className={styles.files} aria-label="Files to send">
          {files.map(({ key, name, progress, problem, fileId }) => (
            <li key={key} className={problem ? styles.failed : styles.file}>
              <span className={styles.name}>{name}</span>
              {problem ? (
                <span role="alert">{problem}</span>
              ) : fileId === null ? (
                <progress value={progress} max={1} aria-label={`Sending ${name}`} />
              ) : (
                <span className={styles.stored}>stored</span>
              )}
              <button type="button" aria-label={`Remove ${name}`} onClick={() => attachments.remove(key)}>
                <X size={13} />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div className={styles.row}>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          aria-label="Files to attach"
          onChange={({ target }) => {
            if (target.files) attachments.add(target.files);
            target.value = '';
          }}
        />
        <IconButton label="Attach files" icon={<Paperclip size={18} />} onClick={() => picker.current?.click()} />
        <textarea
          ref={field}
          rows={1}
          className={styles.text}
          aria-label="Message"
          placeholder="Write a message, or drop files here"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
          onPaste={onPaste}
        />
        {cancel && (
          <IconButton className={styles.stop} label="Cancel the run" icon={<Square size={15} fill="currentColor" />} onClick={cancel} />
        )}
        {(!cancel || !empty) && (
          <button type="submit" className={styles.send} aria-label="Send" title={sendHint(blocked, cancel !== null)} disabled={!may}>
            <ArrowUp size={18} />
          </button>
        )}
      </div>
      {blocked && <p className={styles.blocked}>{blocked}</p>}
    </form>
  );
}

const sendHint = (blocked: string | null, busy: boolean): string =>
  blocked ?? (busy ? 'Send when this run is done (Enter)' : 'Send (Enter)');
