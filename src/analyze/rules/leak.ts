import type { Level, Stack } from '../../model.ts';
import type { CallRecord, Evidence, Mark, Misuse, OpenHandle, OpenSite, Watch } from '../../evidence-model.ts';
import { type Actor, attributeOpening } from '../attribution.ts';
import {
  compareText,
  canonicalText,
  commonObject,
  haveSameProgramFrames,
  type RuleCheck,
  checkSites,
} from '../grouping.ts';
import { addCounts, type IterationVerdict, judgeIterations } from '../growth/iterations.ts';
import { earlyEndOf, judgeRunning, nothingRuns } from '../running.ts';
import {
  dissect,
  exportedName,
  functionName,
  normaliseStack,
  normaliseStackWithInternals,
  trimStack,
} from '../stacks.ts';
import { spellLeak, type Fate, type Tally } from '../leak-wording.ts';
import { isTakenIn } from './wrong-closer.ts';

/**
 * An open site whose opening a recorder saw. A handle that an unrecorded process put there is no leak of this program.
 */
interface Opening extends OpenSite {
  readonly opened: CallRecord;
}

const manyLiveByDefault = 50;

/** `leak`: opened by the program's own code and still open at the judgement point. */
export const leak: RuleCheck = checkSites<Opening>({
  rule: 'leak',
  select: (evidence) =>
    evidence.open.filter(
      (site): site is Opening =>
        site.opened !== undefined &&
        isProgramsIfSwept(site) &&
        !isTakenIn(site, evidence) &&
        !isOfOpenStream(site, evidence),
    ),
  typeOf: ({ object }) => object.type,
  sectionsOf: ({ sections }) => sections,
  siteOf({ opened, object }) {
    const actor = actorOf({ opened, object });
    return [actor, ...(actor === 'program' ? normaliseStack(opened.stack) : normaliseStackWithInternals(opened.stack))];
  },
  assessSite(all, { manyLive = manyLiveByDefault, warmUpIterations }, { marks = [], misuses, ending, watch }) {
    const sites = all.flatMap((site) => withoutMisused(site, misuses));
    const [first] = sites;
    if (first === undefined) return undefined;
    const live = sites.filter((site) => site.closedAfterMarks !== true && site.closedAfterSections !== true);
    const leftIn = sum(sites.map(({ sections }) => sections?.leftIn ?? 0));
    const isGone = live.length === 0;
    const before = countsFromBefore(commonObject(sites.map(({ object }) => object)).type, marks);
    const series = [...sites.map(({ countsAtMarks = [] }) => countsAtMarks), before];
    const counted = judgeIterations(addCounts(series, marks), marks, {
      warmUpIterations,
      areIntervals: watch?.everyMs !== undefined,
      countAtStart: before[0],
      // A program that goes on keeps what it leaks.
      countNow: watch?.goesOn === true ? sum(live.map(({ count }) => count)) + (before.at(-1) ?? 0) : undefined,
    });
    const growth = isDecisive(counted, watch) ? counted : undefined;
    if (isGone && growth?.growsAlways !== true && leftIn === 0) return undefined;
    const actor = actorOf(first);
    const allSiblings = sites.flatMap(siblingsOf).sort((a, b) => compareText(canonicalText(a), canonicalText(b)));
    const [siblings] = allSiblings;
    const mayRun = actor === 'program' && growth?.growsAlways !== true && leftIn < 2;
    const { inUse, unprepared } = mayRun ? judgeRunning(live, allSiblings, ending) : nothingRuns;
    const allCount = sum((isGone ? sites : live).map((site) => site.count));
    const isInUse = inUse.size > 0 && inUse.size === allCount;
    const count = isInUse ? allCount : allCount - inUse.size;
    // Where others are closed, the program closes them before its end.
    const mayBeClosedAtEnd =
      mayRun && siblings === undefined && count < manyLive && growth === undefined && watch?.goesOn !== true;
    const tally: Tally = {
      object: commonObject(sites.map(({ object }) => object)),
      count,
      ended: sum(sites.map((site) => site.endedCount)),
      earlyEnd: mayBeClosedAtEnd ? earlyEndOf(ending) : undefined,
      siblings,
      openings: sites.map((site) => site.opened.stack),
      openedBy: first.openedBy,
      fate: fateOf(live),
      isGone,
      leftIn,
      growth,
      inUse: [...inUse.values()],
      isInUse,
      unprepared,
      ending,
      isStandardStream: live.length > 0 && live.every(isStandardStream),
      watch,
      oldestMs: Math.min(...live.flatMap(({ oldestTimeMs }) => oldestTimeMs ?? [])),
    };
    return {
      level: chooseLevel(actor, tally, manyLive),
      message: spellLeak(first.opened.stack, tally, actor),
      ...(growth === undefined
        ? {}
        : {
            growth: {
              iterations: growth.iterations,
              grewIn: growth.grewIn,
              handlesPerIteration: growth.handlesPerIteration,
            },
          }),
      count: tally.count,
      handles: sites.flatMap((site) => site.examples).filter(({ value }) => isInUse || !inUse.has(value)),
      object: first.object,
      stacks: {
        opened: trimStack(first.opened.stack),
        ...(siblings === undefined ? {} : { siblingsClosed: trimStack(siblings) }),
      },
    };
  },
});

/**
 * For each mark, how many handles of a type were left of those that were there before recording began. A pool that
 * closes them, and opens others in their place, does not grow.
 */
function countsFromBefore(type: string, marks: readonly Mark[]): readonly number[] {
  const kernelTypes = type === 'Socket' ? ['Socket', 'File'] : [type];
  return marks.map(({ openBefore }) => sum(kernelTypes.map((each) => openBefore?.get(each) ?? 0)));
}

/**
 * Where other handles of the site are closed. They were opened by the same stack, or by one that differs only in lines
 * and offsets.
 */
function siblingsOf({ opened, siblingsClosedAt, closedElsewhere = [] }: Opening): readonly Stack[] {
  if (siblingsClosedAt !== undefined) return [siblingsClosedAt];
  const site = normaliseStack(opened.stack).join('|');
  const isSibling = (other: Stack): boolean =>
    normaliseStack(other).join('|') === site && isOpenedAlike(other, opened.stack);
  return closedElsewhere.flatMap((other) => (isSibling(other.opened) ? [other.closed] : []));
}

/**
 * Both stacks make the same system call inside of the function of Windows. The two ends of a pipe are no siblings, and
 * neither is a handle that a function opens and closes for itself on the way, as `tmpfile` does.
 */
function isOpenedAlike(one: Stack, other: Stack): boolean {
  const spell = (stack: Stack): string =>
    dissect(stack)
      .inner.map(({ module, function: name, offset }) => `${module}!${name}+${offset}`)
      .join('|');
  return spell(one) === spell(other);
}

/** Windows' own leftovers are its business: it sweeps them up as it likes. */
function isProgramsIfSwept({ sweptBy, opened, object }: OpenSite): boolean {
  return sweptBy === undefined || (opened !== undefined && attributeOpening(opened.stack, object) === 'program');
}

/**
 * Leaves out the handles of a site that another finding explains. One that the program closes or uses after a sweep was
 * not left to it: the program had forgotten the sweep.
 */
function withoutMisused(site: Opening, misuses: readonly Misuse[]): readonly Opening[] {
  const { sweptBy, opened, examples } = site;
  if (sweptBy === undefined) return [site];
  const isExplained = ({ closed }: Misuse): boolean =>
    closed?.stack.some((frame) => frame.system === true && functionName(frame) === sweptBy) === true;
  const candidates = misuses.filter(isExplained);
  if (candidates.length === 0) return [site];
  const values = candidates.flatMap((each) =>
    each.opened !== undefined && haveSameProgramFrames(each.opened.stack, opened.stack) ? each.values : [],
  );
  const nameOf = ({ value, object: { wrapper } }: OpenHandle): bigint => wrapper?.value ?? value;
  const misused = new Set(values);
  const count = site.count - misused.size;
  return count > 0 ? [{ ...site, count, examples: examples.filter((each) => !misused.has(nameOf(each))) }] : [];
}

/** `_popen` gives a stream, and keeps its process for `_pclose`: a stream that is left open is one mistake. */
function isOfOpenStream({ object, count, opened }: OpenSite, { open }: Evidence): boolean {
  const { api } = dissect(opened?.stack ?? []);
  if (opened === undefined || object.type !== 'Process' || !/^_w?popen$/.test((api && exportedName(api)) ?? ''))
    return false;
  const isStream = (site: OpenSite): boolean =>
    site.object.wrapper?.type === 'FILE' &&
    site.count >= count &&
    site.opened !== undefined &&
    haveSameProgramFrames(site.opened.stack, opened.stack);
  return open.some(isStream);
}

function fateOf(live: readonly Opening[]): Fate {
  const leftFor = live.flatMap(({ closedAtExit, sweptBy }) => {
    if (sweptBy !== undefined) return [`${sweptBy} to close`];
    return closedAtExit === true ? ['the runtime to close at exit'] : [];
  });
  return { isOpen: leftFor.length < live.length, leftFor: [...new Set(leftFor)].sort(compareText) };
}

/**
 * Growth from interval to interval says that a site leaks, but not that it does not: many programs leak at longer
 * intervals, or only at their end.
 */
function isDecisive(growth: IterationVerdict | undefined, watch: Watch | undefined): boolean {
  return watch?.everyMs === undefined || watch.goesOn || growth?.growsAlways === true;
}

/** By the design of C runtimes, the files of descriptors 0, 1 and 2 last as long as the process. */
function isStandardStream({ count, examples }: Opening): boolean {
  const isStandard = ({ object: { wrapper } }: OpenHandle): boolean => {
    const descriptor = wrapper?.type === 'Descriptor' ? wrapper.value : wrapper?.descriptor;
    return descriptor !== undefined && descriptor <= 2;
  };
  return count === examples.length && examples.every(isStandard);
}

/**
 * Marked iterations decide where there are any. A site that grows with each of them is a leak, even if it is closed in
 * the end. A site that does not is a cache, a pool or a singleton, even if it is large or others of it are closed.
 */
function chooseLevel(
  actor: Actor,
  { count, siblings, ended, earlyEnd, growth, isGone, leftIn, isStandardStream, isInUse, unprepared, watch }: Tally,
  manyLive: number,
): Level {
  if (isStandardStream || isInUse) return 'note';
  if (actor === 'unknown' || actor === 'runtime') return growth?.growsAlways === true ? 'warning' : 'note';
  if (actor !== 'program') return 'note';
  // Section after section leaves some: a singleton is left in one.
  if (leftIn > 1) return 'error';
  if (isGone && leftIn === 1 && growth?.growsAlways !== true) return 'warning';
  // A process that goes on may close it yet.
  if (watch?.goesOn === true) return growth?.growsAlways === true ? 'error' : 'note';
  if (growth !== undefined) return growth.growsAlways ? 'error' : 'warning';
  const isForgotten = siblings === undefined ? count >= manyLive : unprepared === undefined;
  return isForgotten || (ended > 0 && earlyEnd === undefined) ? 'error' : 'warning';
}

function actorOf({ opened, object }: Pick<Opening, 'opened' | 'object'>): Actor {
  return attributeOpening(opened.stack, object);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
