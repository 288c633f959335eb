import { nowMs } from '../clock.ts';
import type { Target } from '../target.ts';
import { StoppedThreads } from '../thread-stacks.ts';
import type { Guardian } from './guardian.ts';
import { fillHole } from './hole.ts';

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
   * Does work that removes memory of the target and puts other memory there. Some is there before the threads run on,
   * even if the work fails in between, or the auditor ends: the guardian puts it there then.
   */
  replacing(address: bigint, sizeBytes: number, work: () => void): void {
    const { notes } = this.#guardian;
    const hole = { address, sizeBytes: BigInt(sizeBytes) };
    notes.noteHole(hole.address, hole.sizeBytes);
    try {
      work();
    } catch (error) {
      fillHole(this.#target.asHandle().asRawHandle(), hole);
      throw error;
    } finally {
      notes.noteHole(0n, 0n);
    }
  }
}
