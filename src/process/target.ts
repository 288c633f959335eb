import type { AsHandle } from '../io/index.ts';
import type { Module } from './modules.ts';
import type { StoppedThreads, WaitingThread } from './thread-stacks.ts';

/**
 * A process under audit, whether the tool started it, attached to it, or follows it as another target's child.
 * Disposing of it closes our handles of it, and does not end a process that runs.
 */
export interface Target extends AsHandle, Disposable {
  readonly pid: number;
  readonly origin: 'started' | 'attached' | 'child';
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Whole path of the program, as Windows spells it. */
  readonly image: string;

  /**
   * Stops all of its threads but one, which waits by itself.
   *
   * @param areOthersEnded there is no other thread to look for
   * @throws NtStatusError when Windows refuses; none is left suspended then
   */
  stopThreads(waiting: WaitingThread | undefined, areOthersEnded: boolean): StoppedThreads;
  /**
   * The modules that are loaded now, the program first.
   *
   * @param isStanding no thread of it runs meanwhile
   * @throws NtStatusError when Windows refuses
   */
  modules(isStanding?: boolean): readonly Module[];
  /** Its exit code, unsigned; `undefined` while it runs. */
  exitCode(): number | undefined;
}

/**
 * A process that the tool has started, and whose life is in its hands. Disposing of it never leaves it suspended: one
 * that has not run its first instruction is ended.
 */
export interface StartedTarget extends Target {
  /**
   * Stops all of its threads, and returns when they stand.
   *
   * @returns whether they stand; `false` when the process has ended, or is about to
   * @throws NtStatusError when Windows refuses
   */
  suspend(): boolean;
  /**
   * Lets it run: for the first time, or on after {@link suspend}.
   *
   * @throws Win32Error or NtStatusError when Windows refuses
   */
  resume(): void;
  /**
   * Ends it at once, as from outside; one that has ended, or is about to, is left to that.
   *
   * @throws Win32Error when Windows refuses
   */
  terminate(): void;
}
