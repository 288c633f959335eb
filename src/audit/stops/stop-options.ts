import type { Finding } from '../../model.ts';

/** At which misuses and leaks threads of the program are stopped, and what happens then: docs/stop-there.md. */
export interface StopOptions {
  /** Rules, with sites and counts, with commas between them: a thread stops there, once a site. */
  readonly breakOn?: string;
  /** Likewise: a minidump of the moment is written, of five sites at most. */
  readonly dumpOn?: string;
  /** Where minidumps go; by default the working directory. */
  readonly dumpDirectory?: string;
  /** Called with a thread that is held. It goes on when the promise settles, or when `isOver` is aborted before. */
  readonly hold: (thread: StoppedThread, isOver: AbortSignal) => Promise<void>;
  /** Called with what else has happened at a stop. */
  readonly onNews?: (thread: StoppedThread, news: StopNews) => void;
}

/** A thread of the target that is stopped inside of a call. */
export interface StoppedThread {
  readonly pid: number;
  readonly threadId: number;
  /** Whole path of the program. */
  readonly image: string;
  /** The finding so far. */
  readonly finding: Pick<Finding, 'rule' | 'message' | 'fingerprint' | 'stacks'>;
  /** It holds the lock of the loader: no DLL can be loaded, and no thread begin or end, until it goes on. */
  readonly hasLoaderLock: boolean;
}

/** An event at a stop. */
export type StopNews =
  /** The thread goes on by a breakpoint, for the debugger that is attached. */
  | { readonly kind: 'breaks' }
  /** A minidump was written to this path. */
  | { readonly kind: 'dumped'; readonly path: string }
  /** There is none; an Error says why. */
  | { readonly kind: 'dump-failed'; readonly error: unknown };
