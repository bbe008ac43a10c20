import { Dialog } from '@base-ui/react/dialog';
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useState } from 'react';
import { NewConversation } from './conversation/new-conversation.tsx';
import { type Inspected, InspectorContext } from './inspector/inspector-context.ts';
import type { OperationsLog } from './operations-log.ts';
import { useMedia } from './parts/use-media.ts';
import { type Route, useRoute } from './route.ts';
import styles from './shell.module.css';
import { Sidebar } from './sidebar.tsx';
import { SidebarContext } from './sidebar-context.ts';

const Conversation = lazy(() => import('./conversation/conversation-view.tsx').then(({ ConversationView }) => ({ default: ConversationView })));
const Inspector = lazy(() => import('./inspector/inspector.tsx').then(({ Inspector: found }) => ({ default: found })));
const Assistants = lazy(() => import('./assistants/assistants-view.tsx').then(({ AssistantsView }) => ({ default: AssistantsView })));
const Files = lazy(() => import('./files/files-view.tsx').then(({ FilesView }) => ({ default: FilesView })));
const Stores = lazy(() => import('./files/stores-view.tsx').then(({ StoresView }) => ({ default: StoresView })));

interface ShellProps {
  operations: OperationsLog;
  leave(): void;
}

/** The page around its views: the list of conversations, the view, and what is looked at more closely. */
export function Shell({ operations, leave }: ShellProps) {
  const route = useRoute();
  const narrow = useMedia('(max-width: 900px)');
  const slim = useMedia('(max-width: 1180px)');
  const [listOpen, setListOpen] = useState(false);
  const [inspected, inspect] = useState<Inspected | null>(null);
  const inspector = useMemo(() => ({ inspected, inspect }), [inspected]);

  // Another view, another thing to look at.
  useEffect(() => {
    setListOpen(false);
    inspect((now) => (now?.tab === 'operations' ? now : null));
  }, [route]);

  // What is dropped beside the places for it would open in the page's stead.
  useEffect(() => {
    const keep = (event: DragEvent) => event.preventDefault();
    for (const type of ['dragover', 'drop'] as const) addEventListener(type, keep);
    return () => {
      for (const type of ['dragover', 'drop'] as const) removeEventListener(type, keep);
    };
  }, []);

  const sidebar = <Sidebar route={route} leave={leave} />;
  return (
    <InspectorContext value={inspector}>
      <SidebarContext value={narrow ? () => setListOpen(true) : null}>
        <div className={styles.shell} data-inspecting={(inspected !== null && !slim) || undefined}>
          <a className={styles.skip} href="#view" onClick={(event) => skipTo(event.currentTarget.hash, event)}>
            Skip to the conversation
          </a>
          {narrow ? (
            <Drawer open={listOpen} close={() => setListOpen(false)} side="left" label="Conversations">
              {sidebar}
            </Drawer>
          ) : (
            <aside className={styles.side} aria-label="Conversations">
              {sidebar}
            </aside>
          )}
          <main id="view" className={styles.view} tabIndex={-1}>
            <Suspense fallback={<p className={styles.loading}>Loading…</p>}>
              <View route={route} />
            </Suspense>
          </main>
          {slim ? (
            <Drawer open={inspected !== null} close={() => inspect(null)} side="right" label="Inspector">
              <Inside operations={operations} />
            </Drawer>
          ) : (
            inspected && (
              <aside className={styles.inspector} aria-label="Inspector">
                <Inside operations={operations} />
              </aside>
            )
          )}
        </div>
      </SidebarContext>
    </InspectorContext>
  );
}

function Inside({ operations }: Pick<ShellProps, 'operations'>) {
  return (
    <Suspense fallback={<p className={styles.loading}>Loading…</p>}>
      <Inspector operations={operations} />
    </Suspense>
  );
}

function View({ route }: { route: Route }) {
  switch (route.view) {
    case 'new':
      return <NewConversation />;
    case 'thread':
      return <Conversation key={route.threadId} threadId={route.threadId} />;
    case 'assistants':
      return <Assistants assistantId={route.assistantId} />;
    case 'files':
      return <Files />;
    case 'stores':
      return <Stores storeId={route.storeId} />;
  }
}

interface DrawerProps {
  open: boolean;
  close(): void;
  side: 'left' | 'right';
  label: string;
  children: ReactNode;
}

/** What there is no room for comes over the view when it is wanted. */
function Drawer({ open, close, side, label, children }: DrawerProps) {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => next || close()}>
      <Dialog.Portal>
        <Dialog.Backdrop className={styles.backdrop} />
        <Dialog.Popup className={styles.drawer} data-side={side} aria-label={label}>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** The address names what is shown, and is to stay. */
function skipTo(hash: string, event: { preventDefault(): void }): void {
  event.preventDefault();
  document.querySelector<HTMLElement>(hash)?.focus();
}
