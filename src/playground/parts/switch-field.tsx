import { Field } from '@base-ui/react/field';
import { Switch } from '@base-ui/react/switch';
import type { ReactNode } from 'react';
import styles from './switch-field.module.css';

interface SwitchFieldProps {
  label: string;
  checked: boolean;
  change(checked: boolean): void;
  hint?: ReactNode;
  problem?: string | null;
  disabled?: boolean;
}

/** Something that is on or off. */
export function SwitchField({ label, checked, change, hint, problem, disabled }: SwitchFieldProps) {
  return (
    <Field.Root className={styles.field} invalid={Boolean(problem)} disabled={disabled}>
      <Switch.Root className={styles.switch} checked={checked} onCheckedChange={(next) => change(next)}>
        <Switch.Thumb className={styles.thumb} />
      </Switch.Root>
      <Field.Label className={styles.label}>{label}</Field.Label>
      {hint && <Field.Description className={styles.hint}>{hint}</Field.Description>}
      <Field.Error className={styles.problem} match={Boolean(problem)}>
        {problem}
      </Field.Error>
    </Field.Root>
  );
}
