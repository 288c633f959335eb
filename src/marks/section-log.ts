import type { CallLedger, LedgerCall } from '../call-ledger.ts';
import { countedGap, type Gap } from '../completeness.ts';
import type { SectionLine, SectionScope } from './section-line.ts';

/** A section of the target's work that has begun: a test, say. */
export interface Section {
  readonly name: string;
  readonly scope: SectionScope;
  /** A label: the next one ends it. */
  readonly isLabel: boolean;
}

/** The sections that were open from a moment on, until the next one. */
interface Moment {
  /** Time of the ledgers' clock. */
  readonly from: bigint;
  readonly open: readonly Section[];
}

/** A record of calls whose clock the log sets. */
export interface SectionedLedger extends Pick<CallLedger, 'openValues' | 'openObjects' | 'life'> {
  /** Sets the time that is added to the clock's where the time of a call is recorded, in 100 ns. */
  setClockOffset(offset: bigint): void;
  /** The times of all openings and misuses that are on record, in no order. */
  callTimes(): Iterable<bigint>;
}

/** Sections that may be open at once. */
const OPEN_MAX = 1024;
/** Threads and processes that are remembered to have had sections of their own. */
const OWNERS_MAX = 1 << 16;
/** Moments and their sections that are kept before the ones that no recorded call needs are dropped: some 16 MiB. */
const KEPT_MAX = 1 << 19;

/**
 * The labelled sections of the target's work, and which of them were open at any time.
 *
 * The times of calls are those of clock ticks, and a tick is longer than many a test. So the log raises the offset that
 * recorders add to the time ({@link SectionedLedger.setClockOffset}) whenever a section begins or ends. A call that was
 * made before is then recorded with an earlier time than the beginning, and one that is made after it with no earlier
 * time.
 *
 * A program may begin sections without end. Beyond {@link KEPT_MAX} the log forgets the moments in which no call was
 * made that is still on record. The ledgers are of bounded size, and so is the log.
 */
export class SectionLog {
  readonly #readTime: () => bigint;
  readonly #keptMax: number;
  readonly #ledgers = new Map<SectionedLedger, number>();
  readonly #threads = new Set<number>();
  readonly #processes = new Set<number>();
  #moments: Moment[] = [];
  #open: readonly Section[] = [];
  #offset = 0n;
  #begun = 0;
  #kept = 0;
  #compactAt: number;
  #forgotten = 0;

  /**
   * @param readTime the clock that recorders read
   * @param keptMax at least 16
   */
  constructor(readTime: () => bigint, keptMax: number = KEPT_MAX) {
    this.#readTime = readTime;
    this.#keptMax = keptMax;
    this.#compactAt = keptMax / 2;
  }

  /** How many sections have begun. */
  get begun(): number {
    return this.#begun;
  }

  /** The ids of the processes under audit, by their ledgers. */
  get ledgers(): ReadonlyMap<SectionedLedger, number> {
    return this.#ledgers;
  }

  /** That calls have lost their sections; none when none have. */
  get gaps(): readonly Gap[] {
    return countedGap('sections-forgotten', this.#forgotten);
  }

  /** Sets the clock of a ledger from now on. Its memory must stay until {@link leave}. */
  join(ledger: SectionedLedger, processId: number): void {
    this.#ledgers.set(ledger, processId);
    ledger.setClockOffset(this.#offset);
  }

  /** A process is over, and so are its own sections: its id may be another's from now on. */
  leave(ledger: SectionedLedger): void {
    const processId = this.#ledgers.get(ledger);
    this.#ledgers.delete(ledger);
    const remaining = this.#open.filter(({ scope }) => scope.processId === undefined || scope.processId !== processId);
    if (remaining.length === this.#open.length) return;
    this.#open = remaining;
    this.#note();
  }

  /**
   * Begins or ends a section, from this moment on.
   *
   * @returns the section that has ended, if one has; or why the line cannot be followed
   */
  take({
    verb,
    name,
    scope,
  }: SectionLine & { readonly verb: 'begin' | 'end' | 'label' }): { readonly ended?: Section } | string {
    const last = verb === 'begin' ? undefined : this.#findOpen(verb, name, scope);
    if (verb === 'end' && last === undefined) return name === '' ? 'no section is open' : 'no such section is open';
    const remaining = this.#open.filter((section) => section !== last);
    const begins = verb !== 'end' && name !== '';
    if (begins && remaining.length >= OPEN_MAX) return `${OPEN_MAX} sections are open already`;
    this.#open = begins ? [...remaining, { name, scope, isLabel: verb === 'label' }] : remaining;
    if (begins) this.#begun++;
    noteOwner(this.#threads, scope.threadId);
    noteOwner(this.#processes, scope.processId);
    this.#note();
    return last === undefined ? {} : { ended: last };
  }

  /**
   * The sections in one of which a call was made; none for a call outside of all.
   *
   * A thread's own section is the one that it began last. A process's own may be several, when it runs tests at once. A
   * thread or process without any may work for each one that is open. One that has had sections of its own, and has
   * none at the time, works for those that are bound to no thread or process.
   */
  sectionsOf({ threadId, time }: Pick<LedgerCall, 'threadId' | 'time'>, processId: number): readonly Section[] {
    const open = this.#moments[this.#indexAt(time)]?.open ?? [];
    if (open.length === 0) return open;
    const ofThread = open.findLast(({ scope }) => scope.threadId === threadId);
    if (ofThread !== undefined) return [ofThread];
    const unbound = open.filter(({ scope }) => scope.threadId === undefined && scope.processId === undefined);
    if (this.#threads.has(threadId)) return unbound;
    const ofProcess = open.filter(({ scope }) => scope.processId === processId);
    if (ofProcess.length > 0) return ofProcess;
    return this.#processes.has(processId) ? unbound : open;
  }

  #findOpen(verb: 'end' | 'label', name: string, scope: SectionScope): Section | undefined {
    const { threadId, processId } = scope;
    const ofScope = this.#open.filter(
      (section) => section.scope.threadId === threadId && section.scope.processId === processId,
    );
    if (verb === 'label') return ofScope.findLast(({ isLabel }) => isLabel);
    if (name === '') return ofScope.at(-1);
    const isNamed = (section: Section): boolean => section.name === name;
    const isBound = threadId !== undefined || processId !== undefined;
    return ofScope.findLast(isNamed) ?? (isBound ? undefined : this.#open.findLast(isNamed));
  }

  #note(): void {
    this.#offset += 1n;
    for (const ledger of this.#ledgers.keys()) ledger.setClockOffset(this.#offset);
    this.#moments.push({ from: this.#readTime() + this.#offset, open: this.#open });
    this.#kept += 1 + this.#open.length;
    if (this.#kept > this.#compactAt) this.#compact();
  }

  /** Forgets the moments in which no call was made that is on record; when they are still too many, the first ones. */
  #compact(): void {
    const isNeeded = new Uint8Array(this.#moments.length);
    for (const ledger of this.#ledgers.keys())
      for (const time of ledger.callTimes()) {
        const index = this.#indexAt(time);
        if (index >= 0) isNeeded[index] = 1;
      }
    isNeeded[isNeeded.length - 1] = 1;
    this.#keep((index) => isNeeded[index] === 1);
    if (this.#kept > this.#keptMax / 2) {
      const half = this.#moments.length >> 1;
      this.#forgotten += this.#moments.slice(0, half).filter(({ open }) => open.length > 0).length;
      this.#keep((index) => index >= half);
    }
    this.#compactAt = Math.min(this.#keptMax, Math.max(this.#keptMax / 2, 2 * this.#kept));
  }

  /** Keeps some moments. The calls of others are outside of all sections. */
  #keep(isKept: (index: number) => boolean): void {
    const kept: Moment[] = [];
    this.#moments.forEach((moment, index) => {
      if (isKept(index)) kept.push(moment);
      else if (kept.length > 0 && kept.at(-1)!.open.length > 0) kept.push({ from: moment.from, open: [] });
    });
    this.#moments = kept;
    this.#kept = kept.reduce((sum, { open }) => sum + 1 + open.length, 0);
  }

  /** Index of the last moment that is not later than a time; -1 for a time before all of them. */
  #indexAt(time: bigint): number {
    let [low, high] = [0, this.#moments.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#moments[middle]!.from <= time) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

function noteOwner(owners: Set<number>, id: number | undefined): void {
  if (id !== undefined && owners.size < OWNERS_MAX) owners.add(id);
}
