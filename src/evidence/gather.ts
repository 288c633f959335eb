import { type LedgerMisuse, siteKey } from '../call-ledger.ts';
import type { Evidence, Misuse } from '../model.ts';
import { CallReader } from './calls.ts';
import { groupClosedAtExit } from './closed-at-exit.ts';
import { InheritanceGroups } from './inheritance.ts';
import { dropNestedRefusals } from './nested-refusals.ts';
import { listClosedAfterMarks, SiteGroup } from './sites.ts';
import type { Description, EvidenceSources, TableEntry } from './sources.ts';

/** Evidence, and how much of the truth it is. */
export interface GatheredEvidence {
  readonly evidence: Evidence;
  /** Handles in the kernel's table, or, where that is gone, open in the ledger. */
  readonly openHandles: number;
  /** Handles that were opened where the recorder could not see it. */
  readonly unseenOpens: number;
  /** Handles of the evidence whose name did not come in time. */
  readonly namesTimedOut: number;
  readonly distinctStacks: number;
}

/**
 * Explains the open handles of a target by what was recorded of its calls. The target must not run meanwhile.
 *
 * @param table its handles, in any order, without the recorder's own
 * @param describe looks at open handles in the target; all questions come at once
 */
export async function gather(
  table: Iterable<TableEntry>,
  sources: EvidenceSources,
  describe: (entries: readonly TableEntry[]) => Promise<ReadonlyMap<bigint, Description>>,
): Promise<GatheredEvidence> {
  const { ledger, markCounts } = sources;
  const calls = new CallReader(sources);
  const inheritances = new InheritanceGroups(ledger);
  const groups = new Map<string, SiteGroup>();
  let openHandles = 0;
  let unseenOpens = 0;
  for (const entry of table) {
    openHandles++;
    inheritances.offer(entry);
    const life = ledger.life(entry.value);
    if (life?.isOpen !== true || life.opened === undefined) {
      unseenOpens++;
      continue;
    }
    if (life.opened.call === undefined) continue; // there before recording began
    const type = life.objectType === 'Socket' ? 'Socket' : entry.type;
    const key = siteKey(life.opened, type);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, new SiteGroup(type, life, entry, calls));
    else group.add(entry, life);
  }

  const sites = [...groups.values(), ...groupClosedAtExit(ledger, calls)];
  const descriptions = await describe([...sites.flatMap((site) => site.toDescribe()), ...inheritances.toDescribe()]);
  const open = sites.map((site) => site.finish(descriptions, markCounts));
  return {
    evidence: {
      open: markCounts === undefined ? open : [...open, ...listClosedAfterMarks(markCounts, sites, calls)],
      ending: calls.ending(),
      misuses: dropNestedRefusals(ledger, [...ledger.misuses()]).map((misuse) => readMisuse(misuse, calls)),
      inheritedByChildren: inheritances.finish(calls, descriptions),
      ...(markCounts === undefined ? {} : { marks: markCounts.marks }),
    },
    openHandles,
    unseenOpens,
    namesTimedOut: [...descriptions.values()].filter(({ nameProblem }) => nameProblem === 'timed out').length,
    distinctStacks: calls.distinctStacks,
  };
}

function readMisuse(misuse: LedgerMisuse, calls: CallReader): Misuse {
  const { kind, status, count, values, life, wrapper, victim } = misuse;
  return {
    kind,
    status,
    count,
    values,
    ...(life.objectType === 'Unknown' ? {} : { object: { type: life.objectType, ...(wrapper && { wrapper }) } }),
    offending: calls.read(misuse.offending),
    ...(victim === undefined
      ? {}
      : { victim: { object: { type: victim.objectType }, opened: calls.stack(victim.stackId) } }),
    ...(life.opened?.call === undefined ? {} : { opened: calls.read(life.opened) }),
    ...(life.closed === undefined ? {} : { closed: calls.read(life.closed) }),
  };
}
