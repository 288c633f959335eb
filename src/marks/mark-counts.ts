import { type CallLedger, type LedgerLife, siteKey } from '../call-ledger.ts';
import type { Gap } from '../completeness.ts';
import type { CountsAtMarks, SiteAtMarks } from '../evidence/sources.ts';
import type { Mark } from '../evidence-model.ts';
import { nowMs } from '../process/clock.ts';

interface Tally {
  readonly life: LedgerLife;
  count: number;
}

/** How often {@link MarkCounts.take} looks again while it waits for handles to be closed. */
const POLL_MS = 20;
/** 32 MiB. A thousand sites have the counts of four thousand marks in it. */
const COUNTS_MAX = 1 << 22;
/** Enough to judge growth by, after any warm-up that so few marks allow, however many sites there are. */
const MARKS_MIN = 16;

/**
 * How many handles of each site were open at each mark, read from the ledger while the target runs on.
 *
 * A program may mark without end. When there are more counts than {@link COUNTS_MAX}, marks are joined in pairs, as if
 * the iterations of both had been counted together. A site that grew in every iteration still did; one that made up in
 * one iteration for another counts as grown in both. The first marks and the newest half of them stay as they are: a
 * site that begins late, or rests now and then, is seen to do so.
 */
export class MarkCounts implements CountsAtMarks {
  readonly #ledger: Pick<CallLedger, 'openValues' | 'openObjects' | 'life'>;
  readonly #started: number;
  readonly #countsMax: number;
  #marks: Mark[] = [];
  #joined = false;
  readonly #sites = new Map<string, SiteAtMarks & { counts: number[] }>();

  /** @param started `nowMs()` at the target's first instruction */
  constructor(
    ledger: Pick<CallLedger, 'openValues' | 'openObjects' | 'life'>,
    started: number,
    countsMax: number = COUNTS_MAX,
  ) {
    this.#ledger = ledger;
    this.#started = started;
    this.#countsMax = countsMax;
  }

  /** That the counts are coarser than the marks; `undefined` when they are not. */
  get gap(): Gap | undefined {
    if (!this.#joined) return undefined;
    return { kind: 'marks-joined', iterations: this.#marks.reduce((sum, mark) => sum + mark.iterations, 0) };
  }

  get marks(): readonly Mark[] {
    return this.#marks;
  }

  get sites(): ReadonlyMap<string, SiteAtMarks> {
    return this.#sites;
  }

  countsOf(keys: readonly string[]): readonly number[] {
    const series = keys.map((key) => this.#sites.get(key)?.counts ?? []);
    return this.#marks.map((_, index) => series.reduce((sum, counts) => sum + (counts[index] ?? 0), 0));
  }

  /**
   * Counts what is open now, after some iterations have ended.
   *
   * Other threads may still close handles of the iteration. So it looks again for up to `settleMs`, until no site has
   * more handles than at the mark before, and keeps the lowest count of each site. A leaked handle is there all the
   * time; a handle that is about to be closed is not, and neither is a handle of the next iteration.
   *
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   */
  async take(iterations: number, settleMs: number): Promise<void> {
    const timeMs = nowMs() - this.#started;
    const deadline = nowMs() + settleMs;
    const { tallies: fewest, openBefore } = this.#countOpen();
    while (nowMs() < deadline && this.#hasGrown(fewest)) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_MS, settleMs)));
      const { tallies: again } = this.#countOpen();
      for (const [key, tally] of fewest) tally.count = Math.min(tally.count, again.get(key)?.count ?? 0);
    }
    this.#marks.push({ timeMs, iterations, ...(openBefore.size === 0 ? {} : { openBefore }) });
    for (const [key, { life, count }] of fewest) {
      if (life.opened === undefined) continue;
      let site = this.#sites.get(key);
      if (site === undefined) {
        site = {
          opened: life.opened,
          objectType: life.objectType,
          counts: Array.from({ length: this.#marks.length - 1 }, () => 0),
        };
        this.#sites.set(key, site);
      }
      site.counts.push(count);
    }
    for (const { counts } of this.#sites.values()) if (counts.length < this.#marks.length) counts.push(0);
    while (this.#marks.length > MARKS_MIN && this.#marks.length * (1 + this.#sites.size) > this.#countsMax)
      this.#joinMarks();
  }

  /** Joins the second quarter of the marks in pairs, and keeps the counts of the second of each pair. */
  #joinMarks(): void {
    const begin = Math.floor(this.#marks.length / 4);
    const end = begin + 2 * Math.floor(begin / 2);
    const isFirstOfPair = (index: number): boolean => index >= begin && index < end && (index - begin) % 2 === 0;
    const keepSecond = <Each>(all: readonly Each[]): Each[] => all.filter((_, index) => !isFirstOfPair(index));
    const summed = this.#marks.map((mark, index, all) =>
      index > 0 && isFirstOfPair(index - 1)
        ? { ...mark, iterations: all[index - 1]!.iterations + mark.iterations }
        : mark,
    );
    this.#marks = keepSecond(summed);
    for (const site of this.#sites.values()) site.counts = keepSecond(site.counts);
    this.#joined = true;
  }

  #hasGrown(now: ReadonlyMap<string, Tally>): boolean {
    return [...now].some(([key, { count }]) => count > (this.#sites.get(key)?.counts.at(-1) ?? 0));
  }

  #countOpen(): { readonly tallies: Map<string, Tally>; readonly openBefore: ReadonlyMap<string, number> } {
    const tallies = new Map<string, Tally>();
    const openBefore = new Map<string, number>();
    const add = (life: LedgerLife | undefined): void => {
      if (life?.isOpen !== true || life.opened === undefined) return; // just being opened or closed
      if (life.opened.call === undefined) {
        openBefore.set(life.objectType, (openBefore.get(life.objectType) ?? 0) + 1);
        return;
      }
      const key = siteKey(life.opened, life.objectType);
      const tally = tallies.get(key);
      if (tally === undefined) tallies.set(key, { life, count: 1 });
      else tally.count++;
    };
    for (const value of this.#ledger.openValues()) add(this.#ledger.life(value));
    for (const { life } of this.#ledger.openObjects()) add(life);
    return { tallies, openBefore };
  }
}
