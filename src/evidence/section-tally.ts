import type { SectionPart } from '../model.ts';

/** Parts that are told apart; the calls of further ones are counted together. */
const PARTS_MAX = 1024;
/** Parts that a report names. */
const NAMED_PARTS_MAX = 10;
/** Names of one part. */
const NAMES_MAX = 4;

/** Counts calls by the sections in which they were made. */
export class SectionTally {
  readonly #counts = new Map<string, { readonly names: readonly string[]; count: number }>();
  #others = 0;

  /** @param names of the sections in one of which some calls were made; nothing is counted without any */
  add(names: readonly string[], count = 1): void {
    if (names.length === 0) return;
    const key = names.length === 1 ? names[0]! : JSON.stringify(names);
    const known = this.#counts.get(key);
    if (known !== undefined) known.count += count;
    else if (this.#counts.size < PARTS_MAX) this.#counts.set(key, { names, count });
    else this.#others += count;
  }

  /** All that another tally has counted. */
  addAll(other: SectionTally): void {
    for (const { names, count } of other.#counts.values()) this.add(names, count);
    this.#others += other.#others;
  }

  /** How many calls were counted. */
  get count(): number {
    return [...this.#counts.values()].reduce((sum, { count }) => sum + count, this.#others);
  }

  /** The parts with the most calls first, as a report has them. */
  get parts(): readonly SectionPart[] {
    const all = [...this.#counts.values()].sort((a, b) => b.count - a.count); // the order of appearance is kept
    const named = all.slice(0, NAMED_PARTS_MAX).map(({ names, count }): SectionPart => {
      const distinct = [...new Set(names)];
      return {
        names: distinct.slice(0, NAMES_MAX),
        ...(distinct.length > NAMES_MAX ? { of: distinct.length } : {}),
        count,
      };
    });
    const rest = all.slice(NAMED_PARTS_MAX);
    if (rest.length === 0) return named;
    const count = rest.reduce((sum, each) => sum + each.count, this.#others);
    return [...named, { names: [], of: rest.length + (this.#others > 0 ? 1 : 0), count }];
  }
}
