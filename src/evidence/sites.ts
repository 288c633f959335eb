import { type LedgerCall, type LedgerLife, siteKey } from '../call-ledger.ts';
import type { HandleObject, OpenHandle, OpenSite, RunningOpener } from '../model.ts';
import type { CallReader } from './calls.ts';
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
  readonly #entries: TableEntry[];
  /** The types that the recorder took the objects for; more than one where it was unsure. */
  readonly #recordedTypes: Set<string>;
  readonly #calls: CallReader;
  readonly #openers = new Map<number, Opener>();
  /** The newest first. */
  readonly #newest: Newest[] = [];
  /** All of them; {@link #entries} holds the first ones. */
  #count = 1;

  constructor(type: string, life: LedgerLife, first: TableEntry, calls: CallReader) {
    this.#type = type;
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
    const oldest = this.#newest.length < NEWEST_COUNT ? undefined : this.#newest.at(-1);
    if (oldest === undefined || time >= oldest.time) {
      if (oldest !== undefined) this.#newest.pop();
      const place = this.#newest.findIndex((other) => time >= other.time);
      this.#newest.splice(place === -1 ? this.#newest.length : place, 0, { value, time });
    }
    if (!this.#calls.isRunning(threadId)) return;
    const opener = this.#openers.get(threadId);
    if (opener === undefined) {
      this.#openers.set(threadId, { count: 1, last: { value, time } });
      return;
    }
    opener.count++;
    if (time >= opener.last.time) opener.last = { value, time };
  }

  /** The threads that ran on after they opened some of them, and that may close them yet. */
  #listRunning(): Pick<OpenSite, 'openers' | 'closers' | 'newest'> {
    const calls = this.#calls;
    const stackId = this.#life.opened?.stackId ?? 0;
    const openers = [...this.#openers].flatMap(([threadId, { count, last }]): readonly RunningOpener[] => {
      const running = calls.liveFrames(threadId, stackId);
      return running === undefined
        ? []
        : [{ ...running, count, last: last.value, lastTimeMs: calls.timeMs(last.time) }];
    });
    const closers = calls.closers(stackId);
    return {
      ...(openers.length === 0 ? {} : { openers }),
      ...(closers.length === 0
        ? {}
        : { closers, newest: this.#newest.slice(0, closers.length).map(({ value }) => value) }),
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
    const siblingsClosedAt = opened && calls.closingStack(opened.stackId);
    const closedElsewhere =
      opened !== undefined && siblingsClosedAt === undefined ? calls.closedElsewhere(opened.stackId) : [];
    return {
      object: this.#count === 1 ? examples[0]!.object : { type: this.#type, ...commonWrapper(examples) },
      count: this.#count,
      examples,
      ...(opened === undefined ? {} : { opened: calls.read(opened) }),
      ...(siblingsClosedAt === undefined ? {} : { siblingsClosedAt }),
      ...(closedElsewhere.length === 0 ? {} : { closedElsewhere }),
      ...this.#listRunning(),
      endedCount: this.#entries.filter(({ value }) => calls.hadEnded(descriptions.get(value))).length,
      ...(this.#life.isOpen ? {} : { closedAtExit: true }),
      ...(markCounts === undefined ? {} : { countsAtMarks: markCounts.countsOf(this.keys) }),
    };
  }

  #objectOf(description: Description | undefined): HandleObject {
    const object = description?.object ?? { type: this.#type };
    // A handle that was opened as a socket stays one, although a shut one may no longer answer as such.
    return this.#type === 'Socket' && object.type !== 'Socket' ? { type: 'Socket' } : object;
  }
}

/** A handle, and when it was opened. */
interface Newest {
  readonly value: bigint;
  readonly time: bigint;
}

/** The openings of one thread that still runs. */
interface Opener {
  count: number;
  last: Newest;
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
    return {
      object: { type: objectType },
      count: counts.at(-1) ?? 0,
      examples: [],
      opened: calls.read(opened),
      ...(siblingsClosedAt === undefined ? {} : { siblingsClosedAt }),
      endedCount: 0,
      countsAtMarks: counts,
      closedAfterMarks: true as const,
    };
  });
}
