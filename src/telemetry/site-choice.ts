import { otherSites } from './metric.ts';

/** The open handles of one site and type. */
export interface SiteCount {
  readonly type: string;
  readonly site: string;
  readonly count: number;
}

/** Series that one process has at most, beside those of `other`. */
const SITES_MAX = 50;

/**
 * Chooses the sites of one process that have a series of their own, because each costs its reader memory for good.
 *
 * A site keeps its place as long as it has open handles, so that its series has no gaps. Free places go to the sites
 * with the most. The handles of all others are added up by type.
 */
export class SiteChoice {
  readonly #sitesMax: number;
  #chosen: ReadonlySet<string> = new Set();

  constructor(sitesMax: number = SITES_MAX) {
    this.#sitesMax = sitesMax;
  }

  /** The counts of the chosen sites, and for each other type one whose site is {@link otherSites}. */
  choose(counts: readonly SiteCount[]): readonly SiteCount[] {
    const joined = joinAlike(counts).filter(({ count }) => count > 0);
    const ranked = joined.toSorted(
      (a, b) =>
        Number(this.#chosen.has(keyOf(b))) - Number(this.#chosen.has(keyOf(a))) ||
        b.count - a.count ||
        (keyOf(a) < keyOf(b) ? -1 : 1),
    );
    const own = ranked.slice(0, this.#sitesMax);
    this.#chosen = new Set(own.map(keyOf));
    const others = ranked.slice(this.#sitesMax).map((each) => ({ ...each, site: otherSites }));
    return [...own, ...joinAlike(others)];
  }
}

/** Adds up what has the same type and site: several stacks may lead to one place. */
function joinAlike(counts: readonly SiteCount[]): readonly SiteCount[] {
  const sums = new Map<string, SiteCount>();
  for (const each of counts) {
    const sum = sums.get(keyOf(each));
    sums.set(keyOf(each), sum === undefined ? each : { ...sum, count: sum.count + each.count });
  }
  return [...sums.values()];
}

function keyOf({ type, site }: SiteCount): string {
  return `${type}\0${site}`;
}
