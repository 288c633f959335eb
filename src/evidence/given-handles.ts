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
  readonly call: CallOfOther;
  readonly entries: TableEntry[];
  /** The call as it was made for each of them. */
  readonly times: CallOfOther[];
  oldest: bigint;
}

/** Open handles that another process under audit has put into the target, by the call that did it. */
export class GivenHandles {
  readonly #others: OtherProcesses | undefined;
  readonly #ledger: Pick<CallLedger, 'life'>;
  readonly #groups = new Map<string, GivenGroup>();

  constructor(others: OtherProcesses | undefined, ledger: Pick<CallLedger, 'life'>) {
    this.#others = others;
    this.#ledger = ledger;
  }

  /** Takes an open handle that the target did not open by a call of its own. @returns whether another process did */
  take(entry: TableEntry): boolean {
    const call = this.#others?.opened.get(entry.value);
    if (call === undefined || this.#wasClosedAfter(entry.value, call)) return false;
    const key = keyOf(call, entry.type);
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, { call, entries: [entry], times: [call], oldest: call.time });
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
    return Array.from(
      this.#groups.values(),
      ({ call: { by, time, objectType, ...call }, entries, times, oldest }): OpenSite => {
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
        const siblingsClosedAt = this.#siblingsClosedAt({ by, time, objectType, ...call }, calls);
        return {
          object: entries.length === 1 ? examples[0]!.object : { type: examples[0]!.object.type },
          count: entries.length,
          examples,
          opened: { ...call, timeMs: calls.timeMs(time) },
          openedBy: by,
          oldestTimeMs: calls.timeMs(oldest),
          ...(opened.length === 0 ? {} : { sections: { opened } }),
          ...(siblingsClosedAt === undefined ? {} : { siblingsClosedAt }),
          endedCount: 0,
        };
      },
    );
  }

  /**
   * Where the target closed a handle that the same call had put there. The ledger knows the close of a handle that it
   * never saw opened, as long as the value was not opened again since.
   */
  #siblingsClosedAt(call: CallOfOther, calls: CallReader): Stack | undefined {
    const given = [...(this.#others?.opened ?? [])];
    const isOnlySite = given.every(([, each]) => keyOf(each, '') === keyOf(call, ''));
    for (const [value, each] of given) {
      if (keyOf(each, '') !== keyOf(call, '')) continue;
      const { opened, closed } = this.#ledger.life(value) ?? {};
      if (opened !== undefined || closed === undefined) continue;
      // An earlier close is that of an earlier handle, which may be of another site.
      if (isOnlySite || closed.time >= each.time) return calls.stack(closed.stackId);
    }
    return undefined;
  }

  #wasClosedAfter(value: bigint, { time }: CallOfOther): boolean {
    const life = this.#ledger.life(value);
    return life?.closed !== undefined && life.closed.time >= time;
  }
}

function keyOf({ by, stack, call }: CallOfOther, type: string): string {
  return JSON.stringify([by.pid, call, type, stack.map((frame) => [frame.module, frame.function, frame.offset])]);
}

function sectionsOf(given: readonly CallOfOther[], calls: CallReader): readonly SectionPart[] {
  const tally = new SectionTally();
  for (const call of given) tally.add(calls.sectionNames(call, call.by.pid));
  return tally.parts;
}
