import type { ButtonHTMLAttributes, ReactNode } from 'react';
import styles from './button.module.css';

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** main: what the form is for. quiet: text alone until it is pointed at. danger: what cannot be undone. */
  kind?: 'main' | 'plain' | 'quiet' | 'danger';
  small?: boolean;
  icon?: ReactNode;
}

export function Button({ kind = 'plain', small = false, icon, children, className, ...rest }: ButtonProps) {
  const names = [styles.button, styles[kind], small && styles.small, className].filter(Boolean).join(' ');
  return (
    <button type="button" className={names} {...rest}>
      {icon}
      {children}
    </button>
  );
}

interface IconButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** What it does: read out, and shown when it is pointed at. */
  label: string;
  icon: ReactNode;
}

export function IconButton({ label, icon, className, ...rest }: IconButtonProps) {
  const names = [styles.icon, className].filter(Boolean).join(' ');
  return (
    <button type="button" className={names} aria-label={label} title={label} {...rest}>
      {icon}
    </button>
  );
}
