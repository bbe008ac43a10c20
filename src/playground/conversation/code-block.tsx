import { Check, Copy } from 'lucide-react';
import { type ReactNode, useRef } from 'react';
import { IconButton } from '../parts/button.tsx';
import { useCopy } from '../parts/use-copy.ts';
import styles from './code-block.module.css';

/** A block of code, with a button that copies it. */
export function CodeBlock({ children, label = 'Code' }: { children: ReactNode; label?: string }) {
  const code = useRef<HTMLPreElement>(null);
  const [copied, copy] = useCopy();
  return (
    <div className={styles.block}>
      <pre ref={code} tabIndex={0} aria-label={label} role="region">
        {children}
      </pre>
      <IconButton
        className={styles.copy}
        label={copied ? 'Copied' : 'Copy code'}
        icon={copied ? <Check size={16} /> : <Copy size={16} />}
        onClick={() => copy(code.current?.textContent ?? '')}
      />
    </div>
  );
}
