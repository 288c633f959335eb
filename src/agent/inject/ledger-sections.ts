import type { LedgerLayout } from '../ledger/layout.ts';
import { LedgerSection } from './ledger-section.ts';

/** An emptied section keeps its memory, some seven megabytes. */
const KEPT_MAX = 8;

/**
 * The ledgers of targets that come and go, all of one layout. The memory of a ledger whose target has ended serves the
 * next one: to get new memory, and to write to it for the first time, takes several times as long as to empty it.
 */
export class LedgerSections implements Disposable {
  /** Those that are used again and again, whether a target has them now or not. */
  readonly #kept = new Set<LedgerSection>();
  readonly #free: LedgerSection[] = [];
  #isDisposed = false;

  /** @throws Win32Error when there is no memory for it */
  take(layout: LedgerLayout): LedgerSection {
    return this.#free.pop() ?? new LedgerSection(layout);
  }

  /** @param section of a target that has ended, so that nothing writes to it any more */
  giveBack(section: LedgerSection): void {
    const hasRoom = !this.#isDisposed && (this.#kept.has(section) || this.#kept.size < KEPT_MAX);
    if (hasRoom && section.tryEmpty()) {
      this.#kept.add(section);
      this.#free.push(section);
    } else {
      this.#kept.delete(section);
      section[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const section of this.#free.splice(0)) section[Symbol.dispose]();
  }
}
