import type { ValueEvent } from './value-events.ts';

/** A call that is new on record, or a mistake that was made again. */
interface News {
  readonly event: ValueEvent;
  /** How many lives of the value, before that of this opening, came and went between two looks. */
  readonly missedLives?: number;
}

/** Tells what is new on record of a value from one look to the next. */
export class ValueNews {
  #opened: bigint;
  #closed = 0n;
  /** Mistakes with their counts. A ledger has room for some thousand, of all values together. */
  readonly #mistakes = new Map<string, number>();

  /** @param generation the life that the value had before the first look; 0: none */
  constructor(generation: bigint) {
    this.#opened = generation;
  }

  /** @param events all that is on record by now, in order */
  *listNew(events: readonly ValueEvent[]): Generator<News> {
    for (const event of events) {
      const { what, generation, call, count } = event;
      if (count !== undefined) {
        const key = `${what} ${generation} ${call.stackId} ${call.time}`;
        if (this.#mistakes.get(key) === count) continue;
        this.#mistakes.set(key, count);
        yield { event };
      } else if (what === 'opened') {
        if (generation <= this.#opened) continue;
        const missedLives = Number(generation - this.#opened) - 1;
        this.#opened = generation;
        yield { event, ...(missedLives === 0 ? {} : { missedLives }) };
      } else if (generation > this.#closed) {
        this.#closed = generation;
        yield { event };
      }
    }
  }
}
