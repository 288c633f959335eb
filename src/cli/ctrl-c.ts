import { toolName } from '../version.ts';
import { type Interruption, onInterruption } from './interruptions.ts';
import { write } from './screen/terminal.ts';

/** How long a target may take to end by itself after Ctrl-C. */
const GRACE_MS = 3000;
/** The same after the end of the console: Windows ends the tool 5 s after it, and the report needs time, too. */
const GRACE_WITHOUT_CONSOLE_MS = 1000;
/** Most targets end at once after Ctrl-C: a remark comes only when it takes longer. */
const QUIET_MS = 500;
/** One Ctrl-C may arrive twice: from the terminal, and from a parent that passes it on, such as npm or timeout(1). */
const ECHO_MS = 200;

/**
 * Hears Ctrl-C and its like ({@link Interruption}). The target hears it, too, so that a service can shut down as it
 * always does and is judged at its own exit. If it has not ended a while later, or if a second one comes,
 * {@link signal} ends it.
 */
export class CtrlC implements Disposable {
  readonly #beginning = new AbortController();
  readonly #ending = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  #firstTime: number | undefined;
  readonly #hearing: Disposable = onInterruption((signal) => this.#begin(signal));

  /** Aborted by the first Ctrl-C. */
  get began(): AbortSignal {
    return this.#beginning.signal;
  }

  /** Aborted when the target's time to end by itself is over. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  #begin(signal: Interruption): void {
    const now = performance.now();
    if (this.#firstTime !== undefined) {
      if (now - this.#firstTime > ECHO_MS) this.#ending.abort(); // the second one ends the wait
      return;
    }
    this.#firstTime = now;
    this.#beginning.abort();
    const graceMs = signal === 'SIGHUP' ? GRACE_WITHOUT_CONSOLE_MS : GRACE_MS;
    const remark = `${toolName}: interrupted; the program has ${graceMs / 1000} s to end by itself, then comes the report …\n`;
    this.#timers.push(setTimeout(() => write(2, remark), QUIET_MS));
    this.#timers.push(setTimeout(() => this.#ending.abort(), graceMs));
  }

  [Symbol.dispose](): void {
    this.#hearing[Symbol.dispose]();
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
