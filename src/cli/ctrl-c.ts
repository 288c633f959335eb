import { toolName } from '../version.ts';
import { write } from './terminal.ts';

/** How long a target may take to end by itself after Ctrl-C. */
const GRACE_MS = 3000;
/** Most targets end at once after Ctrl-C: a remark comes only when it takes longer. */
const QUIET_MS = 500;
/** One Ctrl-C may arrive twice: from the terminal, and from a parent that passes it on, such as npm or timeout(1). */
const ECHO_MS = 200;

/**
 * Hears Ctrl-C. The target hears it, too, so that a service can shut down as it always does and is judged at its own
 * exit. If it has not ended a while later, or if a second Ctrl-C comes, {@link signal} ends it.
 */
export class CtrlC implements Disposable {
  readonly #beginning = new AbortController();
  readonly #ending = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #interrupt = (): void => this.#begin();
  #firstTime: number | undefined;

  constructor() {
    process.on('SIGINT', this.#interrupt);
  }

  /** Aborted by the first Ctrl-C. */
  get began(): AbortSignal {
    return this.#beginning.signal;
  }

  /** Aborted when the target's time to end by itself is over. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  #begin(): void {
    const now = performance.now();
    if (this.#firstTime !== undefined) {
      if (now - this.#firstTime > ECHO_MS) this.#ending.abort(); // the second one ends the wait
      return;
    }
    this.#firstTime = now;
    this.#beginning.abort();
    const remark = `${toolName}: interrupted; the program has ${GRACE_MS / 1000} s to end by itself, then comes the report …\n`;
    this.#timers.push(setTimeout(() => write(2, remark), QUIET_MS));
    this.#timers.push(setTimeout(() => this.#ending.abort(), GRACE_MS));
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#interrupt);
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
