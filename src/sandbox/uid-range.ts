/**
 * User ids for boxes, when the host is root and can give each its own: the kernel counts processes by user, and not at all
 * for root. The range is one that neither Debian, adduser nor systemd hands out.
 */
const FIRST = 60_710;
const COUNT = 400;

export interface Uids {
  /** A user that no other box of this process runs as; null when the host cannot choose. */
  take(): number | null;
  giveBack(uid: number | null): void;
}

export function createUids(): Uids {
  const root = process.getuid?.() === 0;
  const taken = new Set<number>();
  // Two hosts on one machine begin at different places.
  let next = process.pid % COUNT;
  return {
    take() {
      if (!root) return null;
      for (let tries = 0; tries < COUNT; tries += 1) {
        const uid = FIRST + next;
        next = (next + 1) % COUNT;
        if (!taken.has(uid)) {
          taken.add(uid);
          return uid;
        }
      }
      throw new Error(`more than ${COUNT} boxes at once`);
    },
    giveBack(uid) {
      if (uid !== null) taken.delete(uid);
    },
  };
}
