import { type LedgerCall, type LedgerLife, siteKey } from '../call-ledger.ts';
import type { HandleObject } from '../model.ts';
import type { OpenHandle, OpenSite, RunningOpener } from '../evidence-model.ts';
import type { CallReader } from './calls.ts';
import { SectionTally } from './section-tally.ts';
import type { CountsAtMarks, Description, TableEntry } from './sources.ts';

/** Examples that are named for each site. */
const EXAMPLE_COUNT = 10;
/** Process and thread handles of one site that are asked whether their object has ended. */
const ENDED_CHECK_COUNT = 10_000;

/** The newest handles of one site that are known. */
const NEWEST_COUNT = 32;

/** Handles that one call opened from one stack and that are of one type, before they have names. */
export class SiteGroup {
  readonly #type: string;
  readonly #life: LedgerLife;
  readonly #isGiven: boolean;
  readonly #entries: TableEntry[];
  /** The types that the recorder took the objects for; more than one where it was unsure. */
  readonly #recordedTypes: Set<string>;
  readonly #calls: CallReader;
  readonly #openers = new Map<number, Opener>();
  readonly #newest = new NewestOpenings();
  readonly #sections = new SectionTally();
  /** All of them; {@link #entries} holds the first ones. */
  #count = 1;
  /** FILETIME at which the oldest of them was opened. */
  #oldestTime: bigint | undefined;

  constructor(type: string, life: LedgerLife, first: TableEntry, calls: CallReader, isGiven: boolean) {
    this.#type = type;
    this.#isGiven = isGiven;
    this.#life = life;
    this.#entries = [first];
    this.#recordedTypes = new Set([life.objectType]);
    this.#calls = calls;
    this.#noteOpening(first.value, life.opened);
  }

  /** The names of the site in counts at marks. */
  get keys(): readonly string[] {
    const { opened } = this.#life;
    return opened === undefined ? [] : Array.from(this.#recordedTypes, (type) => siteKey(opened, type));
  }

  add(entry: TableEntry, life: LedgerLife): void {
    this.#count++;
    this.#recordedTypes.add(life.objectType);
    this.#noteOpening(entry.value, life.opened);
    if (this.#entries.length < (this.#canEnd ? ENDED_CHECK_COUNT : EXAMPLE_COUNT)) this.#entries.push(entry);
  }

  #noteOpening(value: bigint, opened: LedgerCall | undefined): void {
    if (opened === undefined) return;
    const { threadId, time } = opened;
    this.#sections.add(this.#calls.sectionNames(opened));
    if (this.#oldestTime === undefined || time < this.#oldestTime) this.#oldestTime = time;
    if (this.#calls.mayBePassedOn) this.#newest.add({ value, time });
    if (!this.#calls.isRunning(threadId)) return;
    let opener = this.#openers.get(threadId);
    if (opener === undefined) {
      opener = { count: 0, last: { value, time } };
      this.#openers.set(threadId, opener);
    }
    opener.count++;
    if (time >= opener.last.time) opener.last = { value, time };
  }

  /** The sections in which they were opened, and in how many of these the site left some open. */
  sectionsOpened(): Pick<OpenSite, 'sections'> {
    const opened = this.#sections.parts;
    const leftIn = sum(this.keys.map((key) => this.#calls.leftBySections.get(key)?.sections ?? 0));
    if (opened.length === 0 && leftIn === 0) return {};
    return { sections: { ...(opened.length === 0 ? {} : { opened }), ...(leftIn === 0 ? {} : { leftIn }) } };
  }

  /** The threads that ran on after they opened some of them, and that may close them yet. */
  listRunning(): Pick<OpenSite, 'openers' | 'closers' | 'newest'> {
    const calls = this.#calls;
    const stackId = this.#life.opened?.stackId ?? 0;
    const openers = [...this.#openers].flatMap(([threadId, { count, last }]): readonly RunningOpener[] => {
      const running = calls.liveFrames(threadId, stackId);
      if (running === undefined) return [];
      // The clock ticks slowly: of two openings in one tick neither is known to be the later one.
      const isLast = (calls.lastClosedTime(threadId, stackId) ?? 0n) <= last.time;
      return [{ ...running, count, lastTimeMs: calls.timeMs(last.time), ...(isLast ? { last: last.value } : {}) }];
    });
    const closers = calls.closers(stackId);
    return {
      ...(openers.length === 0 ? {} : { openers }),
      ...(closers.length === 0
        ? {}
        : { closers, newest: this.#newest.openings.slice(0, closers.length).map(({ value }) => value) }),
    };
  }

  get #canEnd(): boolean {
    return this.#type === 'Process' || this.#type === 'Thread';
  }

  /** The handles to look at in the target: none where they are closed already. */
  toDescribe(): readonly TableEntry[] {
    return this.#life.isOpen ? this.#entries : [];
  }

  finish(descriptions: ReadonlyMap<bigint, Description>, markCounts: CountsAtMarks | undefined): OpenSite {
    const calls = this.#calls;
    const { opened } = this.#life;
    const describe = (entry: TableEntry): OpenHandle => ({
      value: entry.value,
      object: { ...this.#objectOf(descriptions.get(entry.value)), ...calls.wrapperOf(entry.value) },
      access: entry.access,
      inheritable: entry.inheritable,
      protectFromClose: entry.protectFromClose,
    });
    const examples = this.#entries.slice(0, EXAMPLE_COUNT).map(describe);
    return {
      object:
        this.#count === 1
          ? examples[0]!.object
          : { type: this.#type, ...commonWrapper(examples), ...commonState(examples) },
      count: this.#count,
      examples,
      ...(opened === undefined ? {} : { opened: calls.read(opened), ...findSiblings(opened, calls) }),
      ...(this.#oldestTime === undefined || !this.#life.isOpen ? {} : { oldestTimeMs: calls.timeMs(this.#oldestTime) }),
      ...this.listRunning(),
      ...this.sectionsOpened(),
      endedCount: this.#entries.filter(({ value }) => calls.hadEnded(descriptions.get(value))).length,
      ...(this.#life.isOpen ? {} : { closedAtExit: true }),
      ...(this.#isGiven ? { givenToWrongCloser: true as const } : {}),
      ...(markCounts === undefined || this.#isGiven ? {} : { countsAtMarks: markCounts.countsOf(this.keys) }),
    };
  }

  #objectOf(description: Description | undefined): HandleObject {
    const object = description?.object ?? { type: this.#type };
    // A handle that was opened as a socket stays one, although a shut one may no longer answer as such.
    return this.#type === 'Socket' && object.type !== 'Socket' ? { type: 'Socket' } : object;
  }
}

/** Where other handles of a site were closed. */
export function findSiblings(
  { stackId }: LedgerCall,
  calls: CallReader,
): Pick<OpenSite, 'siblingsClosedAt' | 'closedElsewhere'> {
  const siblingsClosedAt = calls.closingStack(stackId);
  if (siblingsClosedAt !== undefined) return { siblingsClosedAt };
  const closedElsewhere = calls.closedElsewhere(stackId);
  return closedElsewhere.length === 0 ? {} : { closedElsewhere };
}

/** A handle, and when it was opened. */
interface Opened {
  readonly value: bigint;
  readonly time: bigint;
}

/** The openings of one thread that still runs. */
interface Opener {
  count: number;
  last: Opened;
}

/** The handles that were opened last, of any number that come in any order. */
class NewestOpenings {
  /** The newest first. */
  readonly openings: Opened[] = [];

  add(opened: Opened): void {
    if (this.openings.length === NEWEST_COUNT && opened.time < this.openings.at(-1)!.time) return;
    const place = this.openings.findIndex(({ time }) => opened.time >= time);
    this.openings.splice(place === -1 ? this.openings.length : place, 0, opened);
    if (this.openings.length > NEWEST_COUNT) this.openings.pop();
  }
}

/** The state of the sockets, if all examples are in the same. */
function commonState(handles: readonly OpenHandle[]): Pick<HandleObject, 'socket'> {
  const state = handles[0]?.object.socket?.state;
  return state !== undefined && handles.every(({ object }) => object.socket?.state === state)
    ? { socket: { state } }
    : {};
}

/** The kind of runtime object that stands for all of the handles, if it is the same for all. */
function commonWrapper(handles: readonly OpenHandle[]): Pick<HandleObject, 'wrapper'> {
  const type = handles[0]?.object.wrapper?.type;
  return type !== undefined && handles.every(({ object }) => object.wrapper?.type === type)
    ? { wrapper: { type } }
    : {};
}

/** Sites that were open at a mark and are not at the judgement point: they may have grown all the same. */
export function listClosedAfterMarks(
  markCounts: CountsAtMarks,
  sites: readonly SiteGroup[],
  calls: CallReader,
): readonly OpenSite[] {
  const open = new Set(sites.flatMap((site) => site.keys));
  return [...markCounts.sites].flatMap(([key, { opened, objectType, counts }]) => {
    if (open.has(key)) return [];
    const siblingsClosedAt = calls.closingStack(opened.stackId);
    const left = calls.leftBySections.get(key);
    return {
      object: { type: objectType },
      count: counts.at(-1) ?? 0,
      examples: [],
      opened: calls.read(opened),
      ...(siblingsClosedAt === undefined ? {} : { siblingsClosedAt }),
      endedCount: 0,
      countsAtMarks: counts,
      closedAfterMarks: true as const,
      ...(left === undefined ? {} : { sections: { opened: left.tally.parts, leftIn: left.sections } }),
    };
  });
}

/** Sites that left handles open at the ends of sections, and have none open at the judgement point or at a mark. */
export function listClosedAfterSections(
  sites: readonly SiteGroup[],
  markCounts: CountsAtMarks | undefined,
  calls: CallReader,
): readonly OpenSite[] {
  const open = new Set(sites.flatMap((site) => site.keys));
  return [...calls.leftBySections].flatMap(([key, { opened, objectType, sections, tally }]) => {
    if (open.has(key) || markCounts?.sites.has(key) === true) return [];
    const siblingsClosedAt = calls.closingStack(opened.stackId);
    return {
      object: { type: objectType },
      count: tally.count,
      examples: [],
      opened: calls.read(opened),
      ...(siblingsClosedAt === undefined ? {} : { siblingsClosedAt }),
      endedCount: 0,
      sections: { opened: tally.parts, leftIn: sections },
      closedAfterSections: true as const,
    };
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
