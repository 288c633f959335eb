import { nowMs } from '../clock.ts';
import type { Target } from '../target.ts';
import { StoppedThreads } from '../thread-stacks.ts';
import { Guardian } from './guardian.ts';

/** The moments at which all threads of one process stand still. None outlasts the auditor: see {@link Guardian}. */
export class Pauses implements Disposable {
  readonly #target: Target;
  readonly #guardian: Guardian;
  readonly #lengthsMs: number[] = [];

  private constructor(target: Target, guardian: Guardian) {
    this.#target = target;
    this.#guardian = guardian;
    guardian.notes.processId = target.pid;
  }

  /**
   * Starts a guardian for a target.
   *
   * @throws GuardianError when it cannot be started
   */
  static of(target: Target): Pauses {
    return new Pauses(target, new Guardian());
  }

  /**
   * Resolves when pauses can be made.
   *
   * @throws GuardianError when the guardian could not start
   */
  async ready(): Promise<void> {
    await this.#guardian.ready();
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
      using stopped = StoppedThreads.stopAll(this.#target, this.#target.pid, this.#guardian.notes);
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

  [Symbol.dispose](): void {
    this.#guardian[Symbol.dispose]();
  }
}
