import { useEffect, useState } from 'react';

/** Milliseconds between two looks at the clock. */
const EVERY_MS = 250;

/** The time, which goes on while it is `running`. */
export function useNow(running: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(Date.now()), EVERY_MS);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}
