/** A handle that was left open. Its name may come from other programs: escape it where it is shown. */
export interface LeftHandle {
  readonly value: bigint;
  /** Kernel type name (`File`, `Event`, …), or `Socket`. */
  readonly type: string;
  /** The object's name, a socket's ends, or a process; empty where it has none. */
  readonly name: string;
  /** For an owner of `unclosed/io`: the JavaScript call that made it, `open (file:///C:/work/log.js:12:20)`. */
  readonly madeAt?: string;
}

/** How handles are looked for that a test leaves open. */
export interface VerifyOptions {
  /** How long handles may take to be closed after the test, in milliseconds; 1000 by default. */
  readonly settleMs?: number;
  /**
   * Kernel types that count, or `all`. By default File (sockets and pipes are files), Process, Token, Section and
   * Mutant: Node.js and Windows open handles of other types for themselves at any time. Whatever an owner of
   * `unclosed/io` holds counts in any case.
   */
  readonly types?: readonly string[] | 'all';
  /**
   * Whether the handles of the whole process count, or only those that owners of this thread hold. By default true in
   * the main thread. In a worker thread set it where no other one runs tests at the same time.
   */
  readonly allThreads?: boolean;
  /** Returns true for a handle that may stay. */
  readonly ignore?: (handle: LeftHandle) => boolean;
}
