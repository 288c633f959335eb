import type { Ledger } from '../../agent/ledger/ledger.ts';
import { SystemError } from '../../io/index.ts';
import { EnvironmentBlock } from '../../process/environment/environment-block.ts';
import { listFirstModules, type Module } from '../../process/modules.ts';
import type { Target } from '../../process/target.ts';
import type { NameSources, WatchOptions } from '../options.ts';
import { listValueEvents } from './value-events.ts';
import { ValueNews } from './value-news.ts';
import { ValueSymbols } from './value-symbols.ts';

/** Tells of each call of one process that has to do with a value. */
export class ValueWatch implements Disposable {
  readonly #ledger: Ledger;
  readonly #options: WatchOptions;
  readonly #startTime: bigint;
  readonly #process: { readonly pid: number; readonly image: string } | undefined;
  readonly #symbols: ValueSymbols;
  readonly #news: ValueNews;

  /**
   * Begins to watch, before the target runs on.
   *
   * @param startTime FILETIME from which times are counted
   */
  constructor(target: Target, ledger: Ledger, options: WatchOptions, names: NameSources, startTime: bigint) {
    this.#ledger = ledger;
    this.#options = options;
    this.#startTime = startTime;
    this.#process = target.origin === 'started' ? undefined : { pid: target.pid, image: target.image };
    // A child may have ended before the first look.
    const firstModules = tryToList(() => listFirstModules(EnvironmentBlock.of(target), target.image));
    const modules = (): readonly Module[] => [
      ...tryToList(() => (target.exitCode() === undefined ? target.modules() : [])),
      ...firstModules,
    ];
    this.#symbols = new ValueSymbols({ image: target.image, modules }, ledger, names);
    this.#news = new ValueNews(ledger.life(options.value)?.generation ?? 0n);
  }

  /**
   * Tells what was recorded since the last look.
   *
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   */
  look(): void {
    for (const { event, missedLives } of this.#news.listNew(listValueEvents(this.#ledger, this.#options.value))) {
      const { time, ...shown } = this.#symbols.show(event);
      this.#options.onEvent({
        ...shown,
        ...(this.#process && { process: this.#process }),
        timeMs: Math.max(0, Number(time - this.#startTime) / 10_000),
        ...(missedLives === undefined ? {} : { missedLives }),
      });
    }
  }

  [Symbol.dispose](): void {
    this.#symbols[Symbol.dispose]();
  }
}

/** The modules of a target that may be about to end: its stacks have fewer names then. */
function tryToList(list: () => readonly Module[]): readonly Module[] {
  try {
    return list();
  } catch (error) {
    if (error instanceof SystemError) return [];
    throw error;
  }
}
