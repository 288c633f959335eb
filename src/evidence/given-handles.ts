import type { CallLedger } from '../call-ledger.ts';
import type { OpenSite } from '../evidence-model.ts';
import type { SectionPart, Stack } from '../model.ts';
import type { CallReader } from './calls.ts';
import { SectionTally } from './section-tally.ts';
import type { CallOfOther, Description, OtherProcesses, TableEntry } from './sources.ts';

/** Examples that are named for each site. */
const EXAMPLE_COUNT = 10;

/** The open handles of one call. */
interface GivenGroup {
  /** The place of the call: see {@link Places}. */
  readonly place: string;
  readonly call: CallOfOther;
  readonly entries: TableEntry[];
  /** The call as it was made for each of them. */
  readonly times: CallOfOther[];
  oldest: bigint;
}

/**
 * Open handles that another process under audit has put into the target, by the call that did it. Takes time in
 * proportion to the calls, however many places they come from: the target waits meanwhile.
 */
export class GivenHandles {
  readonly #others: OtherProcesses | undefined;
  readonly #ledger: Pick<CallLedger, 'life'>;
  readonly #places = new Places();
  readonly #groups = new Map<string, GivenGroup>();

  constructor(others: OtherProcesses | undefined, ledger: Pick<CallLedger, 'life'>) {
    this.#others = others;
    this.#ledger = ledger;
  }

  /** Takes an open handle that the target did not open by a call of its own. @returns whether another process did */
  take(entry: TableEntry): boolean {
    const call = this.#others?.opened.get(entry.value);
    if (call === undefined || this.#wasClosedAfter(entry.value, call)) return false;
    const place = this.#places.placeOf(call);
    const key = `${entry.type} ${place}`;
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, { place, call, entries: [entry], times: [call], oldest: call.time });
    else {
      group.entries.push(entry);
      group.times.push(call);
      if (call.time < group.oldest) group.oldest = call.time;
    }
    return true;
  }

  /** The handles that need a name. */
  toDescribe(): readonly TableEntry[] {
    return [...this.#groups.values()].flatMap(({ entries }) => entries.slice(0, EXAMPLE_COUNT));
  }

  finish(calls: CallReader, descriptions: ReadonlyMap<bigint, Description>): readonly OpenSite[] {
    if (this.#groups.size === 0) return [];
    const closings = this.#listClosings();
    return Array.from(
      this.#groups.values(),
      ({ place, call: { by, time, objectType: _type, ...call }, entries, times, oldest }): OpenSite => {
        const opened = sectionsOf(times, calls);
        const examples = entries
          .slice(0, EXAMPLE_COUNT)
          .map(({ value, type, access, inheritable, protectFromClose }) => ({
            value,
            object: descriptions.get(value)?.object ?? { type },
            access,
            inheritable,
            protectFromClose,
          }));
        const closedBy = closings.get(place);
        return {
          object: entries.length === 1 ? examples[0]!.object : { type: examples[0]!.object.type },
          count: entries.length,
          examples,
          opened: { ...call, timeMs: calls.timeMs(time) },
          openedBy: by,
          oldestTimeMs: calls.timeMs(oldest),
          ...(opened.length === 0 ? {} : { sections: { opened } }),
          ...(closedBy === undefined ? {} : { siblingsClosedAt: calls.stack(closedBy) }),
          endedCount: 0,
        };
      },
    );
  }

  /**
   * By place, the stack by which the target closed a handle that a call from there had put into it. The ledger knows
   * the close of a handle that it never saw opened, as long as the value was not opened again since.
   */
  #listClosings(): ReadonlyMap<string, number> {
    const given = Array.from(this.#others?.opened ?? [], ([value, call]) => {
      const { opened, closed } = this.#ledger.life(value) ?? {};
      return { place: this.#places.placeOf(call), call, closed: opened === undefined ? closed : undefined };
    });
    const isOnlyPlace = given.every(({ place }) => place === given[0]?.place);
    const closings = new Map<string, number>();
    for (const { place, call, closed } of given) {
      // An earlier close is that of an earlier handle, which may be from another place.
      const isOfPlace = closed !== undefined && (isOnlyPlace || closed.time >= call.time);
      if (isOfPlace && !closings.has(place)) closings.set(place, closed.stackId);
    }
    return closings;
  }

  #wasClosedAfter(value: bigint, { time }: CallOfOther): boolean {
    const life = this.#ledger.life(value);
    return life?.closed !== undefined && life.closed.time >= time;
  }
}

/** The places of calls: the process, the function called, and the stack as far as it is the same in each run. */
class Places {
  /** Many calls have one stack: each is spelt once. */
  readonly #stacks = new Map<Stack, string>();

  placeOf({ by, stack, call }: CallOfOther): string {
    let spelt = this.#stacks.get(stack);
    if (spelt === undefined) {
      spelt = JSON.stringify(stack.map((frame) => [frame.module, frame.function, frame.offset]));
      this.#stacks.set(stack, spelt);
    }
    return `${by.pid} ${call} ${spelt}`;
  }
}

function sectionsOf(given: readonly CallOfOther[], calls: CallReader): readonly SectionPart[] {
  const tally = new SectionTally();
  for (const call of given) tally.add(calls.sectionNames(call, call.by.pid));
  return tally.parts;
}
