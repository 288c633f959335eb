import { type LedgerLife, siteKey } from '../call-ledger.ts';
import type { CallReader } from './calls.ts';
import { SiteGroup } from './sites.ts';
import type { TableEntry } from './sources.ts';

/** The handles or objects of a target by their sites. */
export class SiteGroups {
  readonly #calls: CallReader;
  readonly #groups = new Map<string, SiteGroup>();

  constructor(calls: CallReader) {
    this.#calls = calls;
  }

  /** The sites, in the order in which their first handles came. */
  get groups(): readonly SiteGroup[] {
    return [...this.#groups.values()];
  }

  /**
   * Adds a handle to its site. One without a recorded opening has none, and is left out.
   *
   * @param isGiven it was given to a wrong closer: such handles are a site of their own
   */
  add(life: LedgerLife, entry: TableEntry, isGiven: boolean): void {
    if (life.opened?.call === undefined) return;
    const type = life.objectType === 'Socket' ? 'Socket' : entry.type;
    const key = `${siteKey(life.opened, type)}${isGiven ? ' given' : ''}`;
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, new SiteGroup(type, life, entry, this.#calls, isGiven));
    else group.add(entry, life);
  }
}
