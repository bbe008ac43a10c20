import { Menu } from 'lucide-react';
import type { ReactNode } from 'react';
import { useSidebar } from '../sidebar-context.ts';
import { IconButton } from './button.tsx';
import styles from './page-header.module.css';

/** The head of every view: what it is, and what can be done with the whole of it. */
export function PageHeader({ title, children }: { title: string; children?: ReactNode }) {
  const openSidebar = useSidebar();
  return (
    <header className={styles.header}>
      {openSidebar && <IconButton label="Open the list of conversations" icon={<Menu size={18} />} onClick={openSidebar} />}
      <h1 title={title}>{title}</h1>
      {children}
    </header>
  );
}
