import { PanelRight } from 'lucide-react';
import { ThreadDetailsDocument } from 'skein/client';
import type { LiveThread } from 'skein/react';
import { useQuery } from 'urql';
import { useInspector } from '../inspector/inspector-context.ts';
import { IconButton } from '../parts/button.tsx';
import { ConnectionSign } from '../parts/connection-sign.tsx';
import { PageHeader } from '../parts/page-header.tsx';
import { useShortcut } from '../parts/use-shortcut.ts';
import { titleOf } from './title.ts';

/** What the conversation is called, and whether it is live. */
export function ThreadHeader({ threadId, thread }: { threadId: string; thread: LiveThread }) {
  const [{ data }] = useQuery({ query: ThreadDetailsDocument, variables: { id: threadId } });
  const { inspected, inspect } = useInspector();
  const run = thread.runs.at(-1);
  const toggle = () => inspect(inspected ? null : run ? { tab: 'run', runId: run.id } : { tab: 'operations' });
  useShortcut('i', toggle);
  return (
    <PageHeader title={data?.thread ? titleOf(data.thread) : ''}>
      <ConnectionSign connection={thread.connection} error={thread.error} />
      <IconButton
        label={inspected ? 'Close the inspector' : 'Open the inspector'}
        aria-expanded={inspected !== null}
        aria-keyshortcuts="Alt+I"
        icon={<PanelRight size={18} />}
        onClick={toggle}
      />
    </PageHeader>
  );
}
