import { Bot, Database, FolderOpen, LogOut, Monitor, Moon, MoreHorizontal, Plus, Sun } from 'lucide-react';
import { Menu } from '@base-ui/react/menu';
import { type ReactNode, useDeferredValue, useState } from 'react';
import { DeleteThreadDocument, type ListedThread, UpdateThreadDocument } from 'skein/client';
import { useThreads } from 'skein/react';
import { useMutation } from 'urql';
import { titleOf } from './conversation/title.ts';
import { Button, IconButton } from './parts/button.tsx';
import { useShortcut } from './parts/use-shortcut.ts';
import { go, hrefOf, type Route } from './route.ts';
import { ServerFacts } from './server-facts.tsx';
import styles from './sidebar.module.css';
import mark from './skein.svg';
import { type Theme, useTheme } from './theme.ts';

interface SidebarProps {
  route: Route;
  leave(): void;
}

/** The conversations of the project, which move by themselves, and the ways to everything else. */
export function Sidebar({ route, leave }: SidebarProps) {
  const [search, setSearch] = useState('');
  const wanted = useDeferredValue(search.trim());
  const { threads, loaded, hasMore, loadingMore, loadMore, error } = useThreads(wanted === '' ? null : { search: wanted });
  useShortcut('n', () => go({ view: 'new' }));
  const at = threads.findIndex(({ id }) => route.view === 'thread' && id === route.threadId);
  const show = (next: number) => {
    const thread = threads[next];
    if (thread) go({ view: 'thread', threadId: thread.id });
  };
  useShortcut('ArrowUp', () => show(at - 1));
  useShortcut('ArrowDown', () => show(at + 1));
  return (
    <div className={styles.sidebar}>
      <div className={styles.brand}>
        <img src={mark} alt="" width="26" height="26" />
        <strong>Skein</strong>
        <ThemeButton />
      </div>
      <a
        className={styles.start}
        href={hrefOf({ view: 'new' })}
        aria-current={route.view === 'new' ? 'page' : undefined}
        aria-keyshortcuts="Alt+N"
        title="Alt+N; Alt+↑ and Alt+↓ go from one conversation to the next"
      >
        <Plus size={16} /> New conversation
      </a>
      <input
        className={styles.search}
        type="search"
        placeholder="Search conversations"
        aria-label="Search conversations"
        value={search}
        onChange={({ target }) => setSearch(target.value)}
      />
      <nav className={styles.threads} aria-label="Conversations">
        <ul>
          {threads.map((thread) => (
            <ThreadItem key={thread.id} thread={thread} current={route.view === 'thread' && route.threadId === thread.id} />
          ))}
        </ul>
        {loaded && threads.length === 0 && <p className={styles.none}>{wanted === '' ? 'Nothing has been said yet.' : 'None has these words.'}</p>}
        {error && threads.length === 0 && <p className={styles.none}>{error.message}</p>}
        {hasMore && (
          <Button kind="quiet" small disabled={loadingMore} onClick={() => void loadMore()}>
            {loadingMore ? 'Loading…' : 'Older conversations'}
          </Button>
        )}
      </nav>
      <nav className={styles.ways} aria-label="Project">
        <Way route={{ view: 'assistants', assistantId: null }} now={route} icon={<Bot size={16} />} name="Assistants" />
        <Way route={{ view: 'files' }} now={route} icon={<FolderOpen size={16} />} name="Files" />
        <Way route={{ view: 'stores', storeId: null }} now={route} icon={<Database size={16} />} name="Vector stores" />
      </nav>
      <div className={styles.foot}>
        <ServerFacts />
        <IconButton label="Leave: forget the key" icon={<LogOut size={16} />} onClick={leave} />
      </div>
    </div>
  );
}

function Way({ route, now, icon, name }: { route: Route; now: Route; icon: ReactNode; name: string }) {
  return (
    <a href={hrefOf(route)} aria-current={now.view === route.view ? 'page' : undefined}>
      {icon} {name}
    </a>
  );
}

function ThreadItem({ thread, current }: { thread: ListedThread; current: boolean }) {
  const [, update] = useMutation(UpdateThreadDocument);
  const [, remove] = useMutation(DeleteThreadDocument);
  const [editing, setEditing] = useState(false);
  const title = titleOf(thread);

  const rename = (value: string) => {
    setEditing(false);
    if (value.trim() !== title) void update({ input: { threadId: thread.id, title: value.trim() || null } });
  };
  const drop = async () => {
    await remove({ input: { threadId: thread.id } });
    if (current) go({ view: 'new' });
  };

  if (editing) {
    return (
      <li>
        <input
          className={styles.rename}
          aria-label="Name of the conversation"
          defaultValue={thread.title ?? ''}
          autoFocus
          onBlur={({ target }) => rename(target.value)}
          onKeyDown={({ key, currentTarget }) => {
            if (key === 'Enter') rename(currentTarget.value);
            if (key === 'Escape') setEditing(false);
          }}
        />
      </li>
    );
  }
  return (
    <li className={styles.item}>
      <a href={hrefOf({ view: 'thread', threadId: thread.id })} aria-current={current ? 'page' : undefined} title={title}>
        {thread.activeRun && <span className={styles.active} data-status={thread.activeRun.status} role="img" aria-label={ACTIVE[thread.activeRun.status] ?? 'A run goes on'} />}
        <span className={styles.title}>{title}</span>
      </a>
      <Menu.Root>
        <Menu.Trigger className={styles.more} aria-label={`More for ${title}`}>
          <MoreHorizontal size={15} />
        </Menu.Trigger>
        <Menu.Portal>
          <Menu.Positioner className={styles.menuAt} sideOffset={4} align="end">
            <Menu.Popup className={styles.menu}>
              <Menu.Item className={styles.menuItem} onClick={() => setEditing(true)}>
                Rename
              </Menu.Item>
              <Menu.Item className={styles.menuItem} data-danger="" onClick={() => void drop()}>
                Delete
              </Menu.Item>
            </Menu.Popup>
          </Menu.Positioner>
        </Menu.Portal>
      </Menu.Root>
    </li>
  );
}

const ACTIVE: Record<string, string> = { REQUIRES_ACTION: 'Waits for function outputs', QUEUED: 'In line' };

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const SIGNS = { system: Monitor, light: Sun, dark: Moon };

function ThemeButton() {
  const [theme, setTheme] = useTheme();
  const Sign = SIGNS[theme];
  return <IconButton label={`Theme: ${theme}. Change to ${NEXT[theme]}`} icon={<Sign size={16} />} onClick={() => setTheme(NEXT[theme])} />;
}
