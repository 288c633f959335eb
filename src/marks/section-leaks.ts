import { type LedgerCall, type LedgerLife, siteKey } from '../call-ledger.ts';
import { SectionTally } from '../evidence/section-tally.ts';
import type { SiteLeft } from '../evidence/sources.ts';
import { nowMs } from '../process/clock.ts';
import type { Section, SectionedLedger, SectionLog } from './section-log.ts';

/** How often {@link SectionLeaks.judge} looks again while it waits for handles to be closed. */
const POLL_MS = 20;

/** A handle that a section opened. */
interface Opened {
  readonly ledger: SectionedLedger;
  readonly value: bigint;
  readonly isObject: boolean;
  readonly generation: bigint;
  readonly opened: LedgerCall;
  readonly objectType: string;
}

interface Site extends SiteLeft {
  sections: number;
}

/**
 * The handles that sections have opened, and not closed by their ends.
 *
 * Only handles that are certain to be of a section count: not those that one of several opened.
 */
export class SectionLeaks {
  readonly #log: SectionLog;
  readonly #sites = new Map<SectionedLedger, Map<string, Site>>();

  constructor(log: SectionLog) {
    this.#log = log;
  }

  /** The sites of one process that left handles open. */
  sitesOf(ledger: SectionedLedger): ReadonlyMap<string, SiteLeft> {
    return this.#sites.get(ledger) ?? new Map<string, SiteLeft>();
  }

  /**
   * Notes which handles of a section are open now that it has ended.
   *
   * Other threads may still close some. So it looks again for up to `settleMs`, until all are closed.
   *
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   */
  async judge(section: Section, settleMs: number): Promise<void> {
    const deadline = nowMs() + settleMs;
    let open = [...this.#log.ledgers].flatMap(([ledger, processId]) => [...this.#listOpen(section, ledger, processId)]);
    while (open.length > 0 && nowMs() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_MS, settleMs)));
      open = open.filter((each) => this.#log.ledgers.has(each.ledger) && isOpen(each));
    }
    const touched = new Set<Site>();
    for (const { ledger, opened, objectType } of open) {
      const site = this.#siteOf(ledger, opened, objectType);
      site.tally.add([section.name]);
      touched.add(site);
    }
    for (const site of touched) site.sections++;
  }

  *#listOpen(section: Section, ledger: SectionedLedger, processId: number): Generator<Opened> {
    const select = (value: bigint, life: LedgerLife | undefined, isObject: boolean): readonly Opened[] => {
      if (life?.isOpen !== true || life.opened?.call === undefined) return [];
      const { opened, objectType, generation } = life;
      const sections = this.#log.sectionsOf(opened, processId);
      if (sections.length !== 1 || sections[0] !== section) return [];
      return [{ ledger, value, isObject, generation, opened, objectType }];
    };
    for (const value of ledger.openValues()) yield* select(value, ledger.life(value), false);
    for (const { value, life } of ledger.openObjects()) yield* select(value, life, true);
  }

  #siteOf(ledger: SectionedLedger, opened: LedgerCall, objectType: string): Site {
    let sites = this.#sites.get(ledger);
    if (sites === undefined) this.#sites.set(ledger, (sites = new Map()));
    const key = siteKey(opened, objectType);
    let site = sites.get(key);
    if (site === undefined) sites.set(key, (site = { opened, objectType, sections: 0, tally: new SectionTally() }));
    return site;
  }
}

function isOpen({ ledger, value, isObject, generation }: Opened): boolean {
  if (!isObject) {
    const life = ledger.life(value);
    return life?.isOpen === true && life.generation === generation;
  }
  for (const { value: key, life } of ledger.openObjects())
    if (key === value && life.generation === generation) return true;
  return false;
}
