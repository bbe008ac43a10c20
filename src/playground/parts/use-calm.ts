import { useEffect, useRef, useState } from 'react';

/** A value that changes no more often than every so many milliseconds; its last change is never left out. */
export function useCalm<Value>(value: Value, everyMs: number): Value {
  const [shown, setShown] = useState(value);
  const last = useRef(-Infinity);
  useEffect(() => {
    const show = () => {
      last.current = performance.now();
      setShown(value);
    };
    const timer = setTimeout(show, Math.max(0, last.current + everyMs - performance.now()));
    return () => clearTimeout(timer);
  }, [value, everyMs]);
  return shown;
}
