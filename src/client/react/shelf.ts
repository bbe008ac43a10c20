/** Stores by id, each shared by all who use it at once. */
export interface Shelf<Store> {
  /** The store in use by this id, if there is one. */
  find(id: string): Store | null;
  /** The store by this id, begun where there is none. Whoever `hold`s it keeps it. */
  take(id: string): Store;
  /** Keeps the store until the answer is called, and for a moment longer: a page that comes back finds it as it was. */
  hold(id: string): () => void;
  clear(): void;
}

interface Item<Store> {
  store: Store;
  holders: number;
  /** Runs out when nobody holds it. */
  timer: ReturnType<typeof setTimeout> | null;
}

/** Milliseconds that a store goes on without anybody who uses it. */
const LINGER_MS = 5000;
/** Stores that are kept, closed, for those who come back: they go on from where they stood. */
const KEPT = 20;

export function createShelf<Store extends { close(): void }>(
  begin: (id: string, from: Store | null) => Store,
): Shelf<Store> {
  const items = new Map<string, Item<Store>>();
  const closed = new Map<string, Store>();

  function put(id: string): void {
    const item = items.get(id)!;
    items.delete(id);
    item.store.close();
    closed.set(id, item.store);
    if (closed.size > KEPT) closed.delete(closed.keys().next().value!);
  }

  function letGo(id: string, item: Item<Store>): void {
    if (item.timer) clearTimeout(item.timer);
    item.timer = item.holders > 0 ? null : setTimeout(() => put(id), LINGER_MS);
  }

  function take(id: string): Item<Store> {
    let item = items.get(id);
    if (!item) {
      item = { store: begin(id, closed.get(id) ?? null), holders: 0, timer: null };
      closed.delete(id);
      items.set(id, item);
      letGo(id, item);
    }
    return item;
  }

  return {
    find: (id) => items.get(id)?.store ?? null,
    take: (id) => take(id).store,
    hold(id) {
      const item = take(id);
      item.holders += 1;
      letGo(id, item);
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        item.holders -= 1;
        if (items.get(id) === item) letGo(id, item);
      };
    },
    clear() {
      for (const [id, { timer }] of items) {
        if (timer) clearTimeout(timer);
        put(id);
      }
      closed.clear();
    },
  };
}
