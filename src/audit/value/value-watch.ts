import type { Ledger } from '../../agent/ledger/ledger.ts';
import { SystemError } from '../../io/index.ts';
import { fileTimeNow } from '../../process/file-time.ts';
import type { Module } from '../../process/modules.ts';
import type { Target } from '../../process/target.ts';
import type { NameSources, WatchOptions } from '../options.ts';
import { listValueEvents } from './value-events.ts';
import { ValueNews } from './value-news.ts';
import { ValueSymbols } from './value-symbols.ts';

/** The ledger is looked at again and again, so that the target does no more for a value that is watched. */
const LOOK_INTERVAL_MS = 10;

/** Tells of each call that has to do with one value of a target's, soon after it was made. */
export class ValueWatch implements Disposable {
  readonly #ledger: Ledger;
  readonly #options: WatchOptions;
  readonly #symbols: ValueSymbols;
  readonly #news: ValueNews;
  readonly #startTime = fileTimeNow();
  readonly #timer: NodeJS.Timeout;
  #failure: unknown;

  /** Begins to watch, before the target runs on. */
  constructor(target: Target, ledger: Ledger, options: WatchOptions, names: NameSources) {
    this.#ledger = ledger;
    this.#options = options;
    const modules = (): readonly Module[] => listModulesOf(target);
    this.#symbols = new ValueSymbols({ image: target.image, modules }, ledger, names);
    this.#news = new ValueNews(ledger.life(options.value)?.generation ?? 0n);
    this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL_MS);
  }

  /**
   * Looks for the last time, when the target makes no more calls.
   *
   * @throws what an earlier look, or this one, has thrown
   */
  finish(): void {
    clearInterval(this.#timer);
    this.#look();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Tells what was recorded since the last look. The target must not suffer when that fails. */
  #look(): void {
    if (this.#failure !== undefined) return;
    try {
      for (const { event, missedLives } of this.#news.listNew(listValueEvents(this.#ledger, this.#options.value))) {
        const { time, ...shown } = this.#symbols.show(event);
        const timeMs = Math.max(0, Number(time - this.#startTime) / 10_000);
        this.#options.onEvent({ ...shown, timeMs, ...(missedLives === undefined ? {} : { missedLives }) });
      }
    } catch (error) {
      clearInterval(this.#timer);
      this.#failure = error;
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#symbols[Symbol.dispose]();
  }
}

/** The modules of a target that may be about to end: its stacks have fewer names then. */
function listModulesOf(target: Target): readonly Module[] {
  try {
    return target.exitCode() === undefined ? target.modules() : [];
  } catch (error) {
    if (error instanceof SystemError) return [];
    throw error;
  }
}
