import { nowMs } from '../clock.ts';
import type { Target } from '../target.ts';
import { StoppedThreads } from '../thread-stacks.ts';
import type { Guardian } from './guardian.ts';

/** The moments at which all threads of one process stand still. None outlasts the auditor: see {@link Guardian}. */
export class Pauses {
  readonly #target: Target;
  readonly #guardian: Guardian;
  readonly #lengthsMs: number[] = [];

  /** @param guardian is ready; it serves any number of targets, for they stand one at a time */
  constructor(target: Target, guardian: Guardian) {
    this.#target = target;
    this.#guardian = guardian;
  }

  /** How long each pause has been so far, in milliseconds. */
  get lengthsMs(): readonly number[] {
    return this.#lengthsMs;
  }

  /**
   * Stops all threads, does the work, and lets them run on. A thread that was stopped already is stopped once more.
   *
   * @param work finds no thread stopped when the process has ended
   * @throws GuardianError when the guardian has ended
   * @throws StopError when a thread may not be stopped; and what the work throws
   */
  during<Result>(work: (stopped: StoppedThreads) => Result): Result {
    this.#guardian.check();
    const began = nowMs();
    try {
      const { notes } = this.#guardian;
      notes.processId = this.#target.pid;
      using stopped = StoppedThreads.stopAll(this.#target, this.#target.pid, notes);
      return work(stopped);
    } finally {
      this.#lengthsMs.push(nowMs() - began);
    }
  }

  /**
   * Does work that removes memory of the target and puts other memory there. Should the auditor end in between, the
   * guardian puts some there before the threads run on.
   */
  replacing(address: bigint, sizeBytes: number, work: () => void): void {
    const { notes } = this.#guardian;
    notes.noteHole(address, BigInt(sizeBytes));
    try {
      work();
    } finally {
      notes.noteHole(0n, 0n);
    }
  }
}
