/** Bytes; what file systems take. */
const MOST_NAME = 255;
const MOST_PATH = 1024;
const MOST_PARTS = 10;

/**
 * Why a name cannot be the name of a file in a box or one that came out of it; null when it can. Names from boxes are the
 * attacker's: they are shown and stored as text, and no path on the host is ever made of one.
 */
export function fileNameFault(name: string): string | null {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return 'is a folder';
  if (!name.isWellFormed()) return 'is not valid Unicode';
  if (Buffer.byteLength(name) > MOST_NAME) return `is longer than ${MOST_NAME} bytes`;
  if (/[/\\]/.test(name)) return 'has a slash';
  if (/\p{Cc}/u.test(name)) return 'has a control character';
  return null;
}

/** The same for a path below /mnt/data. */
export function filePathFault(path: string): string | null {
  if (path.length > MOST_PATH) return 'is too long';
  const parts = path.split('/');
  if (parts.length > MOST_PARTS) return 'has too many parts';
  return parts.map(fileNameFault).find((fault) => fault !== null) ?? null;
}
