import type { LedgerLife, LedgerMisuse } from '../call-ledger.ts';
import type { Evidence, Misuse, OpenSite } from '../evidence-model.ts';
import { CallReader } from './calls.ts';
import { groupClosedAtExit } from './closed-at-exit.ts';
import { InheritanceGroups } from './inheritance.ts';
import { dropNestedRefusals } from './nested-refusals.ts';
import { GivenHandles } from './given-handles.ts';
import { GivenSearches } from './given-searches.ts';
import { RefusedObjects } from './refused-objects.ts';
import { SiteGroups } from './site-groups.ts';
import { listClosedAfterMarks, listClosedAfterSections } from './sites.ts';
import { groupOpenObjects } from './open-objects.ts';
import { listSwept } from './swept.ts';
import type { CallOfOther, Description, EvidenceSources, OtherProcesses, TableEntry } from './sources.ts';

/**
 * The types that one process gives another. Handles of other types come from the system itself, in every process, and
 * are no news: registrations of events (EtwRegistration), packets and factories of the thread pool, desktops, ports.
 * The Linux side of Wine's win32u opens keys and a mutex.
 */
const passedBetweenProcesses: ReadonlySet<string> = new Set(
  'File Section Event Semaphore Timer IoCompletion Process Thread Token Job'.split(' '),
);

/** Evidence, and how much of the truth it is. */
export interface GatheredEvidence {
  readonly evidence: Evidence;
  /** Handles in the kernel's table, or, where that is gone, open in the ledger. */
  readonly openHandles: number;
  /** Handles of types that processes give each other, opened where the recorder could not see it. */
  readonly unseenOpens: number;
  /** Handles that were open before recording began. */
  readonly openBefore: number;
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
  const { ledger, markCounts, others } = sources;
  const given = new GivenHandles(others, ledger);
  const searches = new GivenSearches(ledger);
  const calls = new CallReader(sources);
  const inheritances = new InheritanceGroups(ledger);
  const recorded = [...ledger.misuses()];
  const refused = new RefusedObjects(recorded);
  const stillOpen = new SiteGroups(calls);
  let openHandles = 0;
  let unseenOpens = 0;
  let openBefore = 0;
  const lastHandle = ledger.exit()?.handle;
  for (const entry of table) {
    openHandles++;
    if (entry.value === lastHandle) continue;
    inheritances.offer(entry);
    const life = ledger.life(entry.value);
    refused.offer(entry, life);
    if (life?.isOpen !== true || life.opened === undefined) {
      if (given.take(entry)) continue;
      if (passedBetweenProcesses.has(entry.type) && !(sources.hasWindows && entry.type === 'Event')) unseenOpens++;
      continue;
    }
    if (life.opened.call === undefined) {
      openBefore++;
      continue;
    }
    stillOpen.add(life, entry, life.givenToWrongCloser === true || searches.take(life.opened));
  }

  const ofHandles = [...stillOpen.groups, ...groupClosedAtExit(ledger, calls)];
  const toDescribe = ofHandles.flatMap((site) => site.toDescribe());
  const descriptions = await describe([...toDescribe, ...given.toDescribe(), ...inheritances.toDescribe()]);
  const sites = [...ofHandles, ...groupOpenObjects(ledger, calls)];
  const open = [
    ...sites.map((site) => site.finish(descriptions, markCounts)),
    ...given.finish(calls, descriptions),
    ...listSwept(ledger, calls),
  ];
  const misuses = dropNestedRefusals(ledger, recorded, sources.symbols)
    .filter((misuse) => !refused.isPeculiarity(misuse))
    .map((misuse) => addCallsOfOthers(readMisuse(misuse, calls, refused), misuse, calls, others));
  const closings = misuses.some(({ earlierLives }) => earlierLives !== undefined) ? calls.closings() : undefined;
  return {
    evidence: {
      open: [
        ...open,
        ...(markCounts === undefined ? [] : listClosedAfterMarks(markCounts, sites, calls)),
        ...listClosedAfterSections(sites, markCounts, calls),
      ],
      ...(open.some(dependsOnEnding) ? { ending: calls.ending() } : {}),
      misuses,
      ...(closings === undefined ? {} : { closings }),
      inheritedByChildren: inheritances.finish(calls, descriptions, others?.kept),
      ...(markCounts === undefined ? {} : { marks: markCounts.marks }),
    },
    openHandles,
    unseenOpens,
    openBefore,
    namesTimedOut: [...descriptions.values()].filter(({ nameProblem }) => nameProblem === 'timed out').length,
    distinctStacks: calls.distinctStacks,
  };
}

/** To name the call that ended the target takes time, and most targets leave nothing for which it matters. */
function dependsOnEnding({ opened, siblingsClosedAt, closedElsewhere, openers, endedCount }: OpenSite): boolean {
  const isInQuestion = (siblingsClosedAt ?? closedElsewhere ?? openers) !== undefined || endedCount > 0;
  return isInQuestion && opened?.stack.some(({ system }) => system !== true) === true;
}

function readMisuse(misuse: LedgerMisuse, calls: CallReader, refused: RefusedObjects): Misuse {
  const type = refused.typeOf(misuse);
  const { kind, status, count, values, life, wrapper, victim, outcome } = misuse;
  return {
    kind,
    status,
    count,
    values,
    ...(type === 'Unknown' ? {} : { object: { type, ...(wrapper && { wrapper }) } }),
    ...(refused.wasOpenUnseen(misuse) ? { openedUnseen: true } : {}),
    ...(outcome === undefined ? {} : { outcome }),
    offending: calls.read(misuse.offending),
    ...(victim === undefined
      ? {}
      : { victim: { object: { type: victim.objectType }, opened: calls.stack(victim.stackId) } }),
    ...(life.opened?.call === undefined ? {} : { opened: calls.read(life.opened) }),
    ...(life.closed === undefined ? {} : { closed: calls.read(life.closed) }),
    ...calls.sectionsOf(life.opened, misuse.offending),
    ...(wasRecycled(misuse) ? { lives: calls.pastLives(misuse.earlierLives ?? []) } : {}),
    ...(mayHaveBeenClosedByAnother(misuse) ? { earlierLives: calls.earlierLives(misuse.earlierLives ?? []) } : {}),
  };
}

/** Another process may have opened or closed the handle here: the target's own ledger knows nothing of that. */
function addCallsOfOthers(
  read: Misuse,
  { life, offending, values }: LedgerMisuse,
  calls: CallReader,
  others: OtherProcesses | undefined,
): Misuse {
  const [value] = values;
  if (others === undefined || value === undefined) return read;
  const record = ({ by: _by, time, objectType: _type, ...call }: CallOfOther): Misuse['opened'] & {} => ({
    ...call,
    timeMs: calls.timeMs(time),
  });
  const opened = life.opened?.call === undefined ? others.opened.get(value) : undefined;
  const closed = life.closed === undefined ? others.closed.get(value) : undefined;
  const wasOpened = opened !== undefined && opened.time <= offending.time;
  const wasClosed =
    closed !== undefined && closed.time <= offending.time && closed.time >= (life.opened?.time ?? opened?.time ?? 0n);
  return {
    ...read,
    ...(wasOpened ? { opened: record(opened), openedBy: opened.by } : {}),
    ...(wasClosed ? { closed: record(closed), closedBy: closed.by } : {}),
  };
}

/** The value was closed, or should have been, and it had stood for something else before, which may have been meant. */
function mayHaveBeenClosedByAnother({ kind, victim, life, earlierLives = [] }: LedgerMisuse): boolean {
  const { opened, closed } = life;
  if (kind === 'closed-as-handle' || victim !== undefined || opened === undefined) return false;
  if (kind !== 'wrong-closer' && closed === undefined) return false;
  return earlierLives.some((each) => hasBothStacks(each) && each.opened?.stackId !== opened.stackId);
}

function hasBothStacks({ opened, closed }: LedgerLife): boolean {
  return (opened?.stackId ?? 0) !== 0 && (closed?.stackId ?? 0) !== 0;
}

/** The value had a life that was unlike its last one. A million lives of one loop need no symbols. */
function wasRecycled({ life, earlierLives = [] }: LedgerMisuse): boolean {
  return earlierLives.some(
    ({ opened, closed }) => opened?.stackId !== life.opened?.stackId || closed?.stackId !== life.closed?.stackId,
  );
}
