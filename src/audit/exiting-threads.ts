import type { Recording } from '../agent/inject/recording.ts';
import type { Target } from '../process/target.ts';
import type { StoppedThreads, ThreadStack } from '../process/thread-stacks.ts';

/**
 * The threads of a target that is about to be judged, and their stacks. Disposing of it lets them run on, as far as
 * they still live.
 *
 * An orderly exit ends the other threads first, long before the judgement: so their stacks are copied at a stop of its
 * own. They stay suspended there, and open and close nothing between the copy and their end. A target may only pretend
 * to exit: then they run on when the judgement is over.
 */
export class ExitingThreads implements Disposable {
  readonly #target: Target;
  readonly #recording: Recording;
  readonly #stacks: ThreadStack[] = [];
  readonly #stopped: StoppedThreads[] = [];
  #areSeen = false;

  constructor(target: Target, recording: Recording) {
    this.#target = target;
    this.#recording = recording;
  }

  /** The stacks that were copied. */
  get stacks(): readonly ThreadStack[] {
    return this.#stacks;
  }

  /**
   * Sees to a target that waits at a stop of its exit: looks at the threads that it is about to end, and lets it go on.
   *
   * @returns whether it waits to be judged instead
   * @throws NtStatusError when the kernel refuses to list its threads
   */
  isJudgedAtStop(): boolean {
    if (!this.#recording.isEndingThreads) return true;
    if (this.#areSeen) return false; // it was let go, and has not gone yet
    this.#areSeen = true;
    try {
      this.stop();
    } finally {
      this.#recording.releaseThreadsSeen();
    }
    return false;
  }

  /**
   * Stops the threads of a target that is to be judged now, but for one that waits at the gate.
   *
   * @throws NtStatusError when the kernel refuses to list its threads
   */
  stop(): void {
    const { ledger } = this.#recording;
    const areOthersEnded = ledger.counter('exiting') !== 0;
    if (areOthersEnded && this.#stacks.length > 0) return;
    const stopped = this.#target.stopThreads(ledger.threadAtGate(), areOthersEnded);
    this.#stopped.push(stopped);
    this.#stacks.push(...stopped.readStacks());
  }

  [Symbol.dispose](): void {
    for (const stopped of this.#stopped.splice(0)) stopped[Symbol.dispose]();
  }
}
