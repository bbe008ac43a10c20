import type { IncomingMessage } from 'node:http';

/** Characters that may wait unread before the socket is paused. */
const HIGH_WATER = 1024 * 1024;

/** Nothing came for the idle time. */
export class IdleTimeoutError extends Error {
  override name = 'IdleTimeoutError';
}

/** The body stopped before its end without an error of the socket. */
export class DisconnectError extends Error {
  override name = 'DisconnectError';
}

export interface TextReader {
  /**
   * Everything that came since the last call, so that one wait serves all chunks of a socket read; null at the end.
   * Throws the signal's reason on abort, `IdleTimeoutError`, or the socket's error once the text before it is taken.
   */
  next(): Promise<string | null>;
  /** Changes the idle time, in milliseconds, and starts it anew. */
  setIdle(ms: number): void;
  /** Ends the reading. `drainMs` lets a body that is all but over end by itself, which keeps its socket usable. */
  close(drainMs: number): void;
}

/** Reads a message's text as it arrives. Abort, idle time and `close(0)` destroy its socket. */
export function createTextReader(message: IncomingMessage, signal: AbortSignal, idleMs: number): TextReader {
  let text = '';
  let ended = false;
  let failure: { error: unknown } | null = null;
  let wake: (() => void) | null = null;
  const rouse = (): void => {
    wake?.();
    wake = null;
  };
  const fail = (error: unknown): void => {
    if (ended || failure !== null) return;
    failure = { error };
    message.destroy();
    rouse();
  };
  const idle = (): void => {
    // Paused means that our side is slow, not theirs.
    if (message.isPaused()) timer.refresh();
    else fail(new IdleTimeoutError('nothing came in time'));
  };
  let timer = setTimeout(idle, idleMs);
  const abort = (): void => fail(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  message.setEncoding('utf8');
  message.on('data', (part: string) => {
    if (failure !== null) return;
    text += part;
    timer.refresh();
    if (text.length > HIGH_WATER) message.pause();
    rouse();
  });
  message.on('end', () => {
    ended = true;
    rouse();
  });
  message.on('error', fail);
  message.on('close', () => fail(new DisconnectError('the connection closed before the answer ended')));

  return {
    async next() {
      for (;;) {
        signal.throwIfAborted();
        if (text !== '') {
          const taken = text;
          text = '';
          if (message.isPaused()) message.resume();
          return taken;
        }
        if (failure !== null) throw failure.error;
        if (ended) return null;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    setIdle(ms) {
      clearTimeout(timer);
      timer = setTimeout(idle, ms);
    },
    close(drainMs) {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      if (ended || failure !== null) return;
      failure = { error: new Error('the reader is closed') };
      if (drainMs === 0 || signal.aborted) {
        message.destroy();
        return;
      }
      message.resume();
      const impatience = setTimeout(() => message.destroy(), drainMs).unref();
      message.once('close', () => clearTimeout(impatience));
    },
  };
}
