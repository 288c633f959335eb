import type { Stack } from '../model.ts';

/** A process whose handles are counted. */
export interface CountedProcess {
  readonly pid: number;
  /** Path of the program. */
  readonly image: string;
}

/** The handles that a process has opened since recording began and not closed yet. */
export interface OpenCounts {
  /** How many handles were opened and closed since recording began. */
  readonly opens: number;
  readonly closes: number;
  /** A row for each stack that opened some, and for each type; several stacks may lead to one place. */
  readonly sites: readonly {
    /** The kernel's type name, `Socket`, or `Unknown`. */
    readonly type: string;
    /** Innermost first. Names come from the target, and may hold anything. */
    readonly stack: Stack;
    readonly count: number;
  }[];
}
