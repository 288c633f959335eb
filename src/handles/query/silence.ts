/** The least duration of a tick. */
export const TICK_MS = 100;
/** A process that sends nothing for this long is hung, even if it uses processor time. */
const MUTE_MS = 60_000;

/** The limits of a {@link Silence}. */
interface SilenceOptions {
  /** How long a process may send nothing and use no processor time. */
  readonly silenceMs: number;
  /** How much longer before its first message: a start may have to wait for disks and virus scanners. */
  readonly startupMs: number;
  /** The processor time that the process has used until now; `undefined` when there is no such process. */
  readonly readProcessorTime: () => bigint | undefined;
}

/**
 * Tells a process that hangs from one that is slow because the machine is busy.
 *
 * A process that uses processor time is alive, even if it sends nothing yet, for example while it starts. Time is
 * counted in ticks of this process's event loop, so that none passes while this process is starved or suspended.
 */
export class Silence {
  readonly #options: SilenceOptions;
  #patienceMs: number;
  #muteMs = 0;
  /** Time since its last message, or since it was last seen to use processor time. */
  #idleMs = 0;
  #used: bigint | undefined;

  constructor(options: SilenceOptions) {
    this.#options = options;
    this.#patienceMs = options.silenceMs + options.startupMs;
  }

  /** Must be called when the process has sent something. */
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
    // Not at the first tick: the question takes a millisecond, and a process that works has usually sent something
    // before the second.
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
