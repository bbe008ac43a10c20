import { Field } from '@base-ui/react/field';
import type { ReactElement, ReactNode } from 'react';
import styles from './form-field.module.css';

interface FormFieldProps {
  label: string;
  value: string;
  change(value: string): void;
  /** What to enter, and what it does. */
  hint?: ReactNode;
  /** Why it cannot stay as it is. */
  problem?: string | null;
  /** Where something else than a line of text is entered: a `<textarea>` or a `<select>`, or an `<input>` of another kind. */
  control?: ReactElement;
  /** Where what stands around it says what it is: the label is read out alone. */
  quiet?: boolean;
  className?: string;
}

/** A control with its name, its hint and its problem, all tied to it. */
export function FormField({ label, value, change, hint, problem, control, quiet, className }: FormFieldProps) {
  return (
    <Field.Root className={[styles.field, className].filter(Boolean).join(' ')} invalid={Boolean(problem)}>
      <Field.Label className={quiet ? 'visually-hidden' : styles.label}>{label}</Field.Label>
      <Field.Control className={styles.control} render={control} value={value} onValueChange={change} />
      {hint && <Field.Description className={styles.hint}>{hint}</Field.Description>}
      <Field.Error className={styles.problem} match={Boolean(problem)}>
        {problem}
      </Field.Error>
    </Field.Root>
  );
}
