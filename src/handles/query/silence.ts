/** How long a tick takes at least. */
export const TICK_MS = 100;
/** A process that says nothing for so long is hung, whatever it does meanwhile. */
const MUTE_MS = 60_000;

/** What a {@link Silence} judges by. */
interface SilenceOptions {
  /** How long a process may say nothing and use no processor time. */
  readonly silenceMs: number;
  /** How much longer before it has said anything: to start, it may wait for disks and for those who guard them. */
  readonly startupMs: number;
  /** Processor time that the process has used by now; `undefined` when there is no such process. */
  readonly readProcessorTime: () => bigint | undefined;
}

/**
 * Tells a process that hangs from one that is slow because the machine is busy.
 *
 * A process that uses processor time lives, though it may say nothing yet, as while it starts. Time is counted in ticks
 * of our own event loop: while we ourselves are starved or suspended, none passes.
 */
export class Silence {
  readonly #options: SilenceOptions;
  #patienceMs: number;
  #muteMs = 0;
  /** Since it was heard, or was last seen to have used processor time. */
  #idleMs = 0;
  #used: bigint | undefined;

  constructor(options: SilenceOptions) {
    this.#options = options;
    this.#patienceMs = options.silenceMs + options.startupMs;
  }

  /** The process has said something. */
  hear(): void {
    this.#patienceMs = this.#options.silenceMs;
    this.#muteMs = 0;
    this.#idleMs = 0;
  }

  /**
   * Must be called at every tick.
   *
   * @returns whether the process is hung
   */
  tick(): boolean {
    // Not at the first tick, for a process that works has mostly been heard before the second: the question costs a
    // millisecond.
    if (this.#idleMs === TICK_MS) this.#used = this.#options.readProcessorTime();
    this.#idleMs += TICK_MS;
    this.#muteMs += TICK_MS;
    if (this.#muteMs >= MUTE_MS) return true;
    if (this.#idleMs < this.#patienceMs) return false;
    if (this.#options.readProcessorTime() === this.#used) return true;
    this.#idleMs = 0;
    return false;
  }
}
