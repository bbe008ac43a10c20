import type { Socket } from 'node:net';

const corked = new WeakSet<Socket>();

/**
 * What is written to a socket in one go leaves it in one write: a system call for each statement of a transaction, or
 * for each frame of a burst of events, would cost more than making them. Ends behind all that is about to run anyway,
 * so that a COMMIT still joins its transaction's statements.
 */
export function corkForNow(socket: Socket): void {
  if (corked.has(socket)) return;
  corked.add(socket);
  socket.cork();
  queueMicrotask(() =>
    process.nextTick(() => {
      corked.delete(socket);
      socket.uncork();
    }),
  );
}
