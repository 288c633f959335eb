/** The least duration of a round. */
const ROUND_MS = 50;

/** The settings and callbacks of a {@link QueryWatch}. */
interface QueryWatchOptions<Query> {
  /** How long a query may take on a machine with a free processor. */
  readonly timeoutMs: number;
  readonly sleep: (durationMs: number) => Promise<unknown>;
  /** Makes a query that cannot block, on a thread of the same pool as all queries. */
  readonly askControl: () => Promise<unknown>;
  /** Called after each round, as a sign that this process is alive. */
  readonly onRound: () => void;
  readonly onBlocked: (query: Query) => void;
}

/**
 * Tells blocked queries from those that had no processor time yet.
 *
 * The clock cannot tell them apart: on a busy machine, or while the process is suspended, any time may pass before a
 * query gets its turn. So time is counted in rounds. A round is a short sleep and then a control, which is a query that
 * cannot block. A control that returns proves that the event loop, the threads of the pool, the scheduler and the
 * kernel (on Wine its server) have served a call that was made later than the query. A query that is under way for as
 * many rounds as the time-out holds is blocked. On an idle machine a round takes as long as its sleep. On a busy one it
 * takes longer, and while nothing is served, no round ends and no query counts as blocked.
 *
 * One round is not enough, because a single control may be lucky, and because a query may make several calls.
 */
export class QueryWatch<Query> {
  readonly #options: QueryWatchOptions<Query>;
  readonly #roundsMax: number;
  /** The queries that are under way, and for how many whole rounds. */
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

  /** Must be called when a query returns, even one that was reported as blocked. */
  end(query: Query): void {
    this.#rounds.delete(query);
  }

  async #watch(): Promise<void> {
    this.#isWatching = true;
    await undefined; // Queries that begin in one turn of the event loop share their rounds.
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
    if (rounds === undefined) return; // It has returned.
    this.#rounds.set(query, rounds + 1);
    if (rounds + 1 < this.#roundsMax) return;
    this.#rounds.delete(query);
    this.#options.onBlocked(query);
  }
}
