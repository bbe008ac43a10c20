/** A place among the connections that a process serves at once. */
export interface Place {
  /** Says whose it is; false when that key has as many as it may. Once for each place. */
  belongsTo(keyId: string): boolean;
  /** Gives it back; a second time does nothing. */
  leave(): void;
}

/** WebSockets and event streams, which are open for as long as their readers like, counted together. */
export interface Connections {
  /** Null when there are as many as there may be. */
  enter(): Place | null;
  readonly count: number;
}

export function createConnections({ most, mostPerKey }: { most: number; mostPerKey: number }): Connections {
  const perKey = new Map<string, number>();
  let count = 0;
  return {
    get count() {
      return count;
    },
    enter() {
      if (count >= most) return null;
      count += 1;
      let owner: string | null = null;
      let left = false;
      return {
        belongsTo(keyId) {
          const others = perKey.get(keyId) ?? 0;
          if (left) return true; // gone by the time that its key is known
          if (others >= mostPerKey) return false;
          owner = keyId;
          perKey.set(keyId, others + 1);
          return true;
        },
        leave() {
          if (left) return;
          left = true;
          count -= 1;
          if (owner === null) return;
          const others = perKey.get(owner)! - 1;
          if (others > 0) perKey.set(owner, others);
          else perKey.delete(owner);
        },
      };
    },
  };
}
