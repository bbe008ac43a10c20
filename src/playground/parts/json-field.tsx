import { type ReactNode, useRef } from 'react';
import { Button } from './button.tsx';
import { FormField } from './form-field.tsx';
import styles from './json-field.module.css';
import { readJson } from './json-text.ts';

interface JsonFieldProps {
  label: string;
  value: string;
  change(value: string): void;
  hint?: ReactNode;
  /** What else is wrong with it than that it is no JSON. */
  problem?: string | null;
  rows?: number;
  /** More to do with it. */
  children?: ReactNode;
}

/** JSON as a text. Where it is none, the place is said, and shown on request. */
export function JsonField({ label, value, change, hint, problem, rows = 8, children }: JsonFieldProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const { fault } = value.trim() === '' ? { fault: null } : readJson(value);

  const show = () => {
    const { current } = area;
    if (!current || !fault) return;
    current.focus();
    current.setSelectionRange(fault.index, Math.min(value.length, fault.index + 1));
  };
  const tidy = () => {
    const { value: read, fault: wrong } = readJson(value);
    if (!wrong) change(JSON.stringify(read, null, 2));
  };

  return (
    <div className={styles.field}>
      <FormField
        label={label}
        value={value}
        change={change}
        hint={hint}
        problem={fault?.message ?? problem}
        control={<textarea ref={area} rows={rows} spellCheck={false} autoCapitalize="off" autoCorrect="off" className={styles.text} />}
      />
      <div className={styles.acts}>
        {fault ? (
          <Button small onClick={show}>
            Show the place
          </Button>
        ) : (
          value.trim() !== '' && (
            <Button small onClick={tidy}>
              Tidy up
            </Button>
          )
        )}
        {children}
      </div>
    </div>
  );
}
