import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export interface SocketWatchOptions {
  server: Server;
  /** How long unsent bytes may stand still before their reader counts as stuck. */
  stallMs: number;
  /** How long a peer may be silent before it is asked whether it is there, and then to answer. */
  keepAliveMs: number;
  /** A connection that is nobody's peer is cut off when it is stuck; this hears of it. */
  onCut(unsent: number): void;
}

/** A connection whose other end answers when it is asked whether it is there. */
export interface Peer {
  /** What it says is not being read now, so that its silence means nothing. */
  isUnheard(): boolean;
  ping(): void;
  /** It takes nothing of what waits for it; called once. */
  stalled(unsent: number): void;
  /** It did not answer; called once. */
  silent(): void;
}

export interface SocketWatch {
  /** From here on a connection is a peer's. The answer is to be called when the peer has been heard. */
  adopt(socket: Socket, peer: Peer): () => void;
  close(): void;
}

/** Looks at all connections at once, at most this often in milliseconds. */
const SWEEP_MS = 1000;
/** Bytes on their way to a peer in front of which a ping stands in no long queue. */
const LITTLE = 65_536;

interface Watched {
  peer: Peer | null;
  /** Milliseconds of `performance.now()`: when what is unsent was last seen to move. */
  movedAt: number;
  unsent: number;
  inKernelQueue: number;
  heardAt: number;
  /** Bytes that had been written when the peer was last heard. */
  writtenWhenHeard: number;
  pingedAt: number | null;
}

/**
 * Finds connections whose other end takes nothing any more, and peers that are gone without a word. Reading slowly is
 * neither: bytes that move are a sign of life, and a ping behind many of them has longer to be answered.
 */
export function createSocketWatch({ server, stallMs, keepAliveMs, onCut }: SocketWatchOptions): SocketWatch {
  const all = new Map<Socket, Watched>();
  const sweepMs = Math.min(SWEEP_MS, stallMs / 4, keepAliveMs / 4);

  const connected = (socket: Socket): void => {
    const now = performance.now();
    const state = { movedAt: now, heardAt: now, unsent: 0, inKernelQueue: 0, writtenWhenHeard: 0 };
    all.set(socket, { peer: null, pingedAt: null, ...state });
    socket.once('close', () => all.delete(socket));
  };
  server.on('connection', connected);

  function isStalled(socket: Socket, watched: Watched, now: number): boolean {
    const unsent = socket.writableLength;
    const inKernelQueue = queueOf(socket);
    // More may join what waits at any time; only what gets less has moved.
    if (unsent === 0 || unsent < watched.unsent || inKernelQueue !== watched.inKernelQueue) {
      watched.movedAt = now;
      if (watched.unsent > 0) watched.heardAt = now;
    }
    watched.unsent = unsent;
    watched.inKernelQueue = inKernelQueue;
    return now - watched.movedAt >= stallMs;
  }

  function isSilent(socket: Socket, watched: Watched, now: number): boolean {
    if (watched.peer!.isUnheard()) watched.heardAt = now;
    if (watched.pingedAt !== null && watched.heardAt >= watched.pingedAt) watched.pingedAt = null;
    if (watched.pingedAt === null) {
      if (now - watched.heardAt < sweepMs) watched.writtenWhenHeard = socket.bytesWritten;
      // A ping would stand behind what is unsent, and that is watched itself.
      if (now - watched.heardAt >= keepAliveMs && watched.unsent === 0) {
        watched.pingedAt = now;
        watched.peer!.ping();
      }
      return false;
    }
    const isMuch = socket.bytesWritten - watched.writtenWhenHeard > LITTLE;
    return now - watched.pingedAt >= (isMuch ? Math.max(stallMs, keepAliveMs) : keepAliveMs);
  }

  let sweptAt = performance.now();
  const sweep = setInterval(() => {
    const now = performance.now();
    // Whoever was held up itself has not listened meanwhile: that time is nobody's silence.
    const late = Math.max(0, now - sweptAt - 2 * sweepMs);
    sweptAt = now;
    for (const [socket, watched] of all) {
      watched.movedAt += late;
      watched.heardAt += late;
      if (watched.pingedAt !== null) watched.pingedAt += late;
      const { peer } = watched;
      if (isStalled(socket, watched, now)) {
        all.delete(socket);
        if (peer) peer.stalled(watched.unsent);
        else {
          onCut(watched.unsent);
          socket.destroy();
        }
      } else if (peer && isSilent(socket, watched, now)) {
        all.delete(socket);
        peer.silent();
      }
    }
  }, sweepMs);

  return {
    adopt(socket, peer) {
      const watched = all.get(socket);
      if (!watched) return () => {};
      watched.peer = peer;
      return () => (watched.heardAt = performance.now());
    },
    close() {
      clearInterval(sweep);
      server.off('connection', connected);
      all.clear();
    },
  };
}

/**
 * Bytes of the write under way that the kernel has not taken yet. Node tells of a write only when it is complete, and
 * one of megabytes takes a slow reader minutes; its own time-outs of sockets look here as well.
 */
function queueOf(socket: Socket): number {
  const { _handle: handle } = socket as { _handle?: { writeQueueSize?: number } | null };
  return handle?.writeQueueSize ?? 0;
}
