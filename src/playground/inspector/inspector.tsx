import { Tabs } from '@base-ui/react/tabs';
import { X } from 'lucide-react';
import { useRef } from 'react';
import type { OperationsLog } from '../operations-log.ts';
import { IconButton } from '../parts/button.tsx';
import { useRoute } from '../route.ts';
import styles from './inspector.module.css';
import { type Inspected, useInspector } from './inspector-context.ts';
import { OperationsPanel } from './operations-panel.tsx';
import { RunPanel } from './run-panel.tsx';
import { SourcePanel } from './source-panel.tsx';

/** What is looked at more closely: a run with its steps, the source of a citation, the operations behind the page. */
export function Inspector({ operations }: { operations: OperationsLog }) {
  const { inspected, inspect } = useInspector();
  const route = useRoute();
  // What was looked at under a tab is still there when one comes back to it.
  const last = useRef<Partial<Record<Inspected['tab'], Inspected>>>({});
  if (inspected) last.current[inspected.tab] = inspected;
  const run = inspected?.tab === 'run' ? inspected : last.current.run;
  const source = inspected?.tab === 'source' ? inspected : last.current.source;
  const threadId = route.view === 'thread' ? route.threadId : null;
  return (
    <Tabs.Root
      className={styles.inspector}
      value={inspected?.tab ?? 'operations'}
      onValueChange={(tab: Inspected['tab']) => inspect(tab === 'operations' ? { tab } : (last.current[tab] ?? { tab: 'run', runId: '' }))}
    >
      <div className={styles.head}>
        <Tabs.List className={styles.tabs} aria-label="Inspector">
          {threadId && (
            <Tabs.Tab className={styles.tab} value="run">
              Runs
            </Tabs.Tab>
          )}
          {source && (
            <Tabs.Tab className={styles.tab} value="source">
              Source
            </Tabs.Tab>
          )}
          <Tabs.Tab className={styles.tab} value="operations">
            Operations
          </Tabs.Tab>
        </Tabs.List>
        <IconButton label="Close" icon={<X size={17} />} onClick={() => inspect(null)} />
      </div>
      {threadId && (
        <Tabs.Panel className={styles.panel} value="run">
          <RunPanel threadId={threadId} runId={run?.tab === 'run' ? run.runId : ''} />
        </Tabs.Panel>
      )}
      {source?.tab === 'source' && (
        <Tabs.Panel className={styles.panel} value="source">
          <SourcePanel citation={source.citation} messageId={source.messageId} />
        </Tabs.Panel>
      )}
      <Tabs.Panel className={styles.panel} value="operations">
        <OperationsPanel operations={operations} />
      </Tabs.Panel>
    </Tabs.Root>
  );
}
