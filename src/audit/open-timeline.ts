import type { OpenOverTime, Report } from '../model.ts';
import { nowMs } from '../process/clock.ts';

interface CountedLedger {
  /** How many are open, by type. */
  openByType(): ReadonlyMap<string, number>;
}

/** The time between the first counts. */
const FIRST_INTERVAL_MS = 20;
/** Beyond that every second count is dropped, and the next ones are as far from each other as those that stay. */
const COUNTS_MAX = 200;
/** Counting may take this part of the time: a program may have millions of handles open. */
const SHARE_MAX = 0.02;

interface Count {
  readonly timeMs: number;
  readonly types: ReadonlyMap<string, number>;
}

/**
 * How many handles the processes of an audit have open, counted now and then while they run. It costs the processes
 * nothing, and the auditor some microseconds a count; an audit of an hour has some hundreds of counts.
 */
export class OpenTimeline implements Disposable {
  readonly #ledgers = new Set<CountedLedger>();
  readonly #now: () => number;
  #started: number | undefined;
  #intervalMs = FIRST_INTERVAL_MS;
  #counts: Count[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(now: () => number = nowMs) {
    this.#now = now;
  }

  /** A process is recorded from now on. The first one sets the clock to 0. */
  join(ledger: CountedLedger): void {
    this.#ledgers.add(ledger);
    if (this.#started !== undefined) return;
    this.#started = this.#now();
    this.#takeLater(0);
  }

  /** A process has ended: nothing is open in it any more. */
  leave(ledger: CountedLedger): void {
    this.#ledgers.delete(ledger);
  }

  /** Counts what is open now, unless no process is left. */
  take(): void {
    if (this.#started === undefined || this.#ledgers.size === 0) return;
    const timeMs = Math.round(this.#now() - this.#started);
    const types = new Map<string, number>();
    for (const ledger of this.#ledgers) {
      try {
        for (const [type, count] of ledger.openByType()) types.set(type, (types.get(type) ?? 0) + count);
      } catch {
        // The target has overwritten the record; its judgement says so.
        this.#ledgers.delete(ledger);
      }
    }
    // The later of two counts in one millisecond stands.
    if (this.#counts.at(-1)?.timeMs === timeMs) this.#counts.pop();
    this.#counts.push({ timeMs, types });
    if (this.#counts.length <= COUNTS_MAX) return;
    this.#counts = this.#counts.filter((_, index) => index % 2 === 0);
    this.#intervalMs *= 2;
  }

  /** The counts as a part of a report; without any, nothing. */
  describe(): Pick<Report, 'openOverTime'> {
    if (this.#counts.length === 0) return {};
    const types = [...new Set(this.#counts.flatMap((each) => [...each.types.keys()]))].sort();
    const openOverTime: OpenOverTime = {
      timesMs: this.#counts.map(({ timeMs }) => timeMs),
      types: types.map((type) => ({ type, counts: this.#counts.map((each) => each.types.get(type) ?? 0) })),
    };
    return { openOverTime };
  }

  #takeLater(delayMs: number): void {
    this.#timer = setTimeout(() => {
      const began = this.#now();
      this.take();
      this.#takeLater(Math.max(this.#intervalMs, (this.#now() - began) / SHARE_MAX));
    }, delayMs).unref();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
