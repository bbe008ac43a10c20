const NAME = 'skein-key';

/**
 * The key that this tab has: out of the link that brought its user here, which then no longer shows it, or from before a
 * reload. It is kept in this tab alone, and sent to the server that the page came from alone.
 */
export function takeKey(): string | null {
  const given = /^#key=(.+)$/.exec(location.hash)?.[1];
  if (given) {
    keepKey(decodeURIComponent(given));
    history.replaceState(null, '', `${location.pathname}#/new`);
  }
  return sessionStorage.getItem(NAME);
}

export function keepKey(key: string | null): void {
  if (key === null) sessionStorage.removeItem(NAME);
  else sessionStorage.setItem(NAME, key);
}
