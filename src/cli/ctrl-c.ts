import { toolName } from '../version.ts';
import { write } from './terminal.ts';

/** How long a target may take to end by itself after Ctrl-C. */
const GRACE_MS = 3000;
/** A target that heeds Ctrl-C is gone before a word about it is worth saying. */
const QUIET_MS = 500;
/** One Ctrl-C may come twice, from the terminal and from a parent that passes it on, as npm and timeout(1) do. */
const ECHO_MS = 200;

/**
 * Ctrl-C, from the first to the last: it reaches the target as it reaches us, so that a service can shut down as it
 * always does and is judged at its own exit. One that has not ended a while later is ended by {@link signal}.
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

  /** Aborted when the target has had its time. */
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
