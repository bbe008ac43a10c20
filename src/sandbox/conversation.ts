import type { Body, Exit } from './body.ts';
import { createMarkReader, type MarkReader } from './mark-reader.ts';

/** Milliseconds that a message and its mark wait for each other, should one of them never come. */
const MARK_WAIT = 500;
/** Lines that nobody has asked for before the box is taken to be hostile. */
const MOST_STRAYS = 100;
/** Bytes that a line counts for beside its own: it costs the host some work however short it is. */
const LINE_COST = 256;

/** Questions to a runner, one at a time, and what it says to each. Believes nothing: sizes and counts are bounded. */
export interface Conversation {
  ask(question: Question): Promise<Message>;
  /** Resolves when the box has ended; `broke` when it was for what it said. */
  readonly ended: Promise<Exit & { broke: boolean }>;
}

export type Message = Readonly<Record<string, unknown>>;

export interface Question {
  message: Message & { op: string };
  /** Bytes that may come in control lines until the answer is there. */
  budget: number;
  onLogs?: (bytes: Buffer) => void;
  /** Messages before the answer. False for one that is none of what can come. */
  onPart?: (part: Message) => boolean;
}

/** The box ended with a question open. */
export class BoxEndedError extends Error {
  override name = 'BoxEndedError';
}

interface Open {
  id: number;
  budget: number;
  marks: MarkReader;
  onLogs: (bytes: Buffer) => void;
  onPart: (part: Message) => boolean;
  /** Messages that wait for logs which were printed before them. */
  held: Message[];
  /** The highest mark of a message that was passed on. */
  delivered: number;
  timer: NodeJS.Timeout | null;
  resolve: (answer: Message) => void;
  reject: (error: Error) => void;
}

export function createConversation(body: Body): Conversation {
  let id = 0;
  let strays = 0;
  let broke = false;
  let gone = false;
  let open: Open | null = null;

  const breakOff = (): void => {
    broke = true;
    body.kill();
  };
  const stray = (): void => {
    strays += 1;
    if (strays > MOST_STRAYS) breakOff();
  };
  const deliver = (to: Open, message: Message): void => {
    if (isMessage(message.done)) {
      if (to.timer) clearTimeout(to.timer);
      to.marks.flush();
      if (open === to) open = null;
      to.resolve(message.done);
    } else if (!to.onPart(message)) {
      stray();
    }
  };
  /**
   * Passes on messages and logs in the order in which they were sent: a message after the logs before its mark, the logs
   * behind a mark after its message. What does not come is not waited for long.
   */
  const settle = (of: Open, atOnce: boolean): void => {
    let moved = true;
    let progress = false;
    while (moved && open === of) {
      moved = false;
      const next = of.held[0];
      if (next && (atOnce || markOf(next) <= of.marks.marks)) {
        of.held.shift();
        of.delivered = Math.max(of.delivered, markOf(next));
        deliver(of, next);
        moved = true;
      } else if (of.marks.waiting && (atOnce || of.delivered >= of.marks.marks)) {
        of.marks.go();
        moved = true;
      }
      progress ||= moved;
    }
    const waits = open === of && (of.held.length > 0 || of.marks.waiting);
    // What only joins the wait does not prolong it.
    if (waits && of.timer && !progress) return;
    if (of.timer) clearTimeout(of.timer);
    of.timer = waits ? setTimeout(() => overdue(of), MARK_WAIT) : null;
  };
  const overdue = (of: Open): void => {
    of.timer = null;
    settle(of, true);
  };
  const print = (bytes: Buffer): void => {
    if (!open) return;
    if (!body.marks) return open.onLogs(bytes);
    open.marks.push(bytes);
    settle(open, false);
  };
  const hear = (message: Message | null): void => {
    if (!body.marks && typeof message?.out === 'string') {
      print(Buffer.from(message.out, 'base64'));
    } else if (!message || !open || message.id !== open.id) {
      stray();
    } else {
      open.held.push(message);
      settle(open, false);
    }
  };
  body.listen({
    logs: print,
    line(text) {
      if (open && (open.budget -= text.length + LINE_COST) < 0) breakOff();
      else hear(parse(text));
      return !broke;
    },
    broken: breakOff,
  });
  const ended = body.exited.then((exit) => {
    gone = true;
    if (open?.timer) clearTimeout(open.timer);
    open?.marks.flush();
    open?.reject(new BoxEndedError('the box ended'));
    open = null;
    return { ...exit, broke };
  });
  return {
    ended,
    ask({ message, budget, onLogs = () => {}, onPart = () => false }) {
      if (open) throw new Error('the runner is asked one thing at a time');
      if (gone) return Promise.reject(new BoxEndedError('the box had ended'));
      id += 1;
      // Not for secrecy: it keeps what is printed by chance from looking like a mark.
      const nonce = crypto.randomUUID();
      const { promise, resolve, reject } = Promise.withResolvers<Message>();
      const marks = createMarkReader(nonce, onLogs);
      open = { id, budget, marks, onLogs, onPart, held: [], delivered: 0, timer: null, resolve, reject };
      // A box that takes no message is ending or has shut its ears; its end is what rejects the question.
      body.send({ ...message, id, nonce }).catch(() => body.kill());
      return promise;
    },
  };
}

function parse(text: string): Message | null {
  try {
    const value: unknown = JSON.parse(text);
    return isMessage(value) ? value : null;
  } catch {
    // Whatever is no JSON was not written by the runner.
    return null;
  }
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function markOf(message: Message): number {
  const { mark } = isMessage(message.done) ? message.done : message;
  return typeof mark === 'number' ? mark : 0;
}
