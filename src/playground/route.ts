import { useSyncExternalStore } from 'react';

/** What the page shows. It stands in the address, so that a reload, a link and the back button work. */
export type Route =
  | { view: 'new' }
  | { view: 'thread'; threadId: string }
  | { view: 'assistants'; assistantId: string | null }
  | { view: 'files' }
  | { view: 'stores'; storeId: string | null };

export const hrefOf = (route: Route): string => {
  switch (route.view) {
    case 'new':
      return '#/new';
    case 'thread':
      return `#/threads/${encodeURIComponent(route.threadId)}`;
    case 'assistants':
      return route.assistantId ? `#/assistants/${encodeURIComponent(route.assistantId)}` : '#/assistants';
    case 'files':
      return '#/files';
    case 'stores':
      return route.storeId ? `#/vector-stores/${encodeURIComponent(route.storeId)}` : '#/vector-stores';
  }
};

function routeOf(hash: string): Route {
  const [, noun, id] = /^#\/([a-z-]+)(?:\/([^/]+))?$/.exec(hash) ?? [];
  const name = id === undefined ? null : decodeURIComponent(id);
  if (noun === 'threads' && name) return { view: 'thread', threadId: name };
  if (noun === 'assistants') return { view: 'assistants', assistantId: name };
  if (noun === 'files') return { view: 'files' };
  if (noun === 'vector-stores') return { view: 'stores', storeId: name };
  return { view: 'new' };
}

export function go(route: Route): void {
  location.hash = hrefOf(route);
}

function listen(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}

let known: { hash: string; route: Route } | null = null;

/** The same object as long as the address is the same. */
function now(): Route {
  const { hash } = location;
  if (known?.hash !== hash) known = { hash, route: routeOf(hash) };
  return known.route;
}

export const useRoute = (): Route => useSyncExternalStore(listen, now);
