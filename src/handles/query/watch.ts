/** How long a round takes at least. */
const ROUND_MS = 50;

/** What a {@link QueryWatch} works with. */
interface QueryWatchOptions<Query> {
  /** How long a query may take where nobody has to wait for a processor. */
  readonly timeoutMs: number;
  readonly sleep: (durationMs: number) => Promise<unknown>;
  /** Does a query that cannot block, on the way that all queries take: by a thread of the same pool. */
  readonly askControl: () => Promise<unknown>;
  /** A round is over, which shows that this process lives. */
  readonly onRound: () => void;
  readonly onBlocked: (query: Query) => void;
}

/**
 * Tells queries that are blocked from those that had no processor time yet.
 *
 * The clock cannot tell them apart: on a busy machine, or while the process is suspended, any time may pass before a
 * query has had its turn. So patience is counted in rounds. A round is a short sleep and then a control, a query that
 * cannot block. A control that comes back proves that the event loop, the pool's threads, the scheduler and the kernel
 * (on Wine its server) have served a call that came later than the query did. A query that is out for as many rounds
 * as there are in the time-out is blocked. Rounds of an idle machine take as long as their sleeps; those of a starved
 * one stretch with it, and where nothing is served at all, none ends and no query is called blocked.
 *
 * Several rounds are needed, because one control may be lucky, and because a query may take several calls.
 */
export class QueryWatch<Query> {
  readonly #options: QueryWatchOptions<Query>;
  readonly #roundsMax: number;
  /** The queries that are out, and for how many whole rounds. */
  readonly #rounds = new Map<Query, number>();
  #isWatching = false;

  constructor(options: QueryWatchOptions<Query>) {
    this.#options = options;
    this.#roundsMax = Math.ceil(options.timeoutMs / ROUND_MS);
  }

  begin(query: Query): void {
    this.#rounds.set(query, 0);
    if (!this.#isWatching) void this.#watch();
  }

  /** The query has come back. One that was called blocked before may, too. */
  end(query: Query): void {
    this.#rounds.delete(query);
  }

  async #watch(): Promise<void> {
    this.#isWatching = true;
    await undefined; // Queries that begin in one turn are of one round.
    while (this.#rounds.size > 0) {
      const out = [...this.#rounds.keys()];
      await this.#options.sleep(ROUND_MS);
      await this.#options.askControl();
      this.#options.onRound();
      for (const query of out) this.#count(query);
    }
    this.#isWatching = false;
  }

  #count(query: Query): void {
    const rounds = this.#rounds.get(query);
    if (rounds === undefined) return; // It came back meanwhile.
    this.#rounds.set(query, rounds + 1);
    if (rounds + 1 < this.#roundsMax) return;
    this.#rounds.delete(query);
    this.#options.onBlocked(query);
  }
}
