/** The processes of one box, as its driver makes them: what can be said to them and done to them from outside. */
export interface Body {
  /** Version of the language, as its interpreter says. */
  readonly python: string;
  /** Whether logs come apart from messages, with marks among them. */
  readonly marks: boolean;
  /** Whom to tell of what comes out. Set once, before the first `send`. */
  listen(hooks: BodyHooks): void;
  /** Resolves when the pipe has room for more. */
  send(message: object): Promise<void>;
  /** What Ctrl-C does. */
  interrupt(): void;
  freeze(): void;
  thaw(): void;
  /** Ends every process of the box, without a chance to object. */
  kill(): void;
  /** Resolves when the last process has ended and was reaped. */
  readonly exited: Promise<Exit>;
  /** What the processes take at this moment; null where that cannot be known. */
  measure(): Promise<Measure | null>;
  /** Ends what a call has left running beside the runner. False when it comes back faster than it can be killed. */
  tidy(): Promise<boolean>;
}

export interface BodyHooks {
  logs(bytes: Buffer): void;
  /** False when no more is wanted. */
  line(text: string): boolean;
  /** It says what no runner says; the body is being killed. */
  broken(): void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Measure {
  cpuMs: number;
  memoryBytes: number;
  processes: number;
  /** Files, folders and the like on what can be written; null when not counted this time. */
  files: number | null;
}

/** Makes boxes of one kind. */
export interface BodyDriver {
  readonly isolation: readonly string[];
  start(): Promise<Body>;
  /** Ends every body that it has started or is starting. */
  close(): Promise<void>;
}

/** Bytes. No message of a runner is longer: what is larger comes in parts. */
export const MOST_LINE = 1024 * 1024;
