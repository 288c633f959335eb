import type { Ledger } from '../../agent/ledger/ledger.ts';
import { fileTimeNow } from '../../process/file-time.ts';
import type { Target } from '../../process/target.ts';
import { UserError } from '../../user-error.ts';
import type { NameSources, WatchOptions } from '../options.ts';
import { ValueWatch } from './value-watch.ts';

/** The ledgers are looked at again and again, so that the targets do no more for a value that is watched. */
const LOOK_INTERVAL_MS = 10;

/** A process that may be watched. */
interface Participant {
  readonly target: Target;
  readonly recording: { readonly ledger: Ledger };
}

/** A process whose value is watched. */
interface Watched {
  readonly watch: ValueWatch;
  readonly isStarted: boolean;
  /** The first error of a look; there is no look after it. */
  failure?: unknown;
}

/** Tells of each call that has to do with a value, in every process that joins, soon after it was made. */
export class ValueWatches implements Disposable {
  readonly #options: WatchOptions;
  readonly #names: NameSources;
  readonly #watched = new Map<number, Watched>();
  readonly #timer: NodeJS.Timeout;
  #startTime: bigint | undefined;
  #failure: unknown;

  constructor(options: WatchOptions, names: NameSources) {
    this.#options = options;
    this.#names = names;
    this.#timer = setInterval(() => this.#watched.forEach(look), LOOK_INTERVAL_MS);
  }

  /** Begins to watch a process, before it runs on. Times are counted from the first process on. */
  join({ target, recording: { ledger } }: Participant): void {
    this.#startTime ??= fileTimeNow();
    const watch = new ValueWatch(target, ledger, this.#options, this.#names, this.#startTime);
    this.#watched.set(target.pid, { watch, isStarted: target.origin === 'started' });
  }

  /** Looks at a process for the last time, when it makes no more calls. After it, nothing of the process is used. */
  leave(pid: number): void {
    const watched = this.#watched.get(pid);
    if (watched === undefined) return;
    this.#watched.delete(pid);
    look(watched);
    watched.watch[Symbol.dispose]();
    const { failure, isStarted } = watched;
    // The judgement of a process that has overwritten its record says so, and the report has the others.
    if (isStarted || !(failure instanceof UserError)) this.#failure ??= failure;
  }

  /**
   * Looks at all processes for the last time.
   *
   * @throws what a look has thrown
   */
  finish(): void {
    for (const pid of [...this.#watched.keys()]) this.leave(pid);
    if (this.#failure !== undefined) throw this.#failure;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const { watch } of this.#watched.values()) watch[Symbol.dispose]();
    this.#watched.clear();
  }
}

/** The target must not suffer when it fails. */
function look(watched: Watched): void {
  if (watched.failure !== undefined) return;
  try {
    watched.watch.look();
  } catch (error) {
    watched.failure = error;
  }
}
