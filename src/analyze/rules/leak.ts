import type { HandleObject, Level, Stack } from '../../model.ts';
import type { CallRecord, Ending, Evidence, Misuse, OpenHandle, OpenSite } from '../../evidence-model.ts';
import { type Actor, attributeOpening, outermostSystemFrame, runtimeOpener } from '../attribution.ts';
import {
  compareText,
  canonicalText,
  commonObject,
  haveSameProgramFrames,
  type RuleCheck,
  checkSites,
} from '../grouping.ts';
import { addCounts, type IterationVerdict, judgeIterations } from '../iterations.ts';
import { properClosers } from '../object-noun.ts';
import { isGo, partOfGo } from '../runtimes/go.ts';
import { judgeRunning, nothingRuns, type Running, type StillInside } from '../running.ts';
import {
  dissect,
  exportedName,
  functionName,
  isCut,
  isLoading,
  moduleName,
  normaliseStack,
  normaliseStackWithInternals,
  trimStack,
} from '../stacks.ts';
import { spellApi, spellCount, spellFrames, spellPlace } from '../wording.ts';
import { isTakenIn } from './wrong-closer.ts';

/**
 * An open site whose opening the recorder saw. A handle that another process put there is no leak of this program.
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
  siteOf({ opened, object }) {
    const actor = actorOf({ opened, object });
    return [actor, ...(actor === 'program' ? normaliseStack(opened.stack) : normaliseStackWithInternals(opened.stack))];
  },
  assessSite(all, { manyLive = manyLiveByDefault, warmUpIterations }, { marks = [], misuses, ending }) {
    const sites = all.flatMap((site) => withoutMisused(site, misuses));
    const [first] = sites;
    if (first === undefined) return undefined;
    const live = sites.filter(({ closedAfterMarks }) => closedAfterMarks !== true);
    const isGone = live.length === 0;
    const growth = judgeIterations(
      addCounts(
        sites.map(({ countsAtMarks = [] }) => countsAtMarks),
        marks,
      ),
      marks,
      warmUpIterations,
    );
    if (isGone && growth?.growsAlways !== true) return undefined;
    const actor = actorOf(first);
    const allSiblings = sites.flatMap(siblingsOf).sort((a, b) => compareText(canonicalText(a), canonicalText(b)));
    const [siblings] = allSiblings;
    const mayRun = actor === 'program' && growth?.growsAlways !== true;
    const { inUse, unprepared } = mayRun ? judgeRunning(live, allSiblings, ending) : nothingRuns;
    const allCount = sum((isGone ? sites : live).map((site) => site.count));
    const isInUse = inUse.size > 0 && inUse.size === allCount;
    const tally: Tally = {
      object: commonObject(sites.map(({ object }) => object)),
      count: isInUse ? allCount : allCount - inUse.size,
      ended: sum(sites.map((site) => site.endedCount)),
      siblings,
      openings: sites.map((site) => site.opened.stack),
      fate: fateOf(live),
      isGone,
      growth,
      inUse: [...inUse.values()],
      isInUse,
      unprepared,
      ending,
      isStandardStream: live.length > 0 && live.every(isStandardStream),
    };
    return {
      level: chooseLevel(actor, tally, manyLive),
      message: `${actor === 'program' ? programMessage(tally) : noteMessage(first, tally, actor)}${growthSentence(tally, actor)}`,
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

/** The end of the handles of a site: who closed them, or that they are open. */
interface Fate {
  readonly isOpen: boolean;
  /** `the runtime to close at exit`, `WSACleanup to close`; in a fixed order. */
  readonly leftFor: readonly string[];
}

function fateOf(live: readonly Opening[]): Fate {
  const leftFor = live.flatMap(({ closedAtExit, sweptBy }) => {
    if (sweptBy !== undefined) return [`${sweptBy} to close`];
    return closedAtExit === true ? ['the runtime to close at exit'] : [];
  });
  return { isOpen: leftFor.length < live.length, leftFor: [...new Set(leftFor)].sort(compareText) };
}

/** `are still open`, `were left for WSACleanup to close`, `are still open or were left for WSACleanup to close`. */
function spellFate({ isOpen, leftFor }: Fate, count: number, type: string): string {
  const isMany = count !== 1;
  // Its closer is known by few, and no other function does its work.
  const wish = type === 'PseudoConsole' ? ` and ${isMany ? 'want' : 'wants'} ${properClosers[type]}` : '';
  return [
    ...(isOpen ? [`${isMany ? 'are' : 'is'} still open${wish}`] : []),
    ...leftFor.map((whom) => `${count === 1 ? 'was' : 'were'} left for ${whom}`),
  ].join(' or ');
}

interface Tally {
  /** The kind of all of the handles. */
  readonly object: HandleObject;
  readonly count: number;
  readonly ended: number;
  readonly siblings: Stack | undefined;
  readonly openings: readonly Stack[];
  /** `are still open`, without the verb's number. */
  readonly fate: Fate;
  /** All were closed after the last mark. */
  readonly isGone: boolean;
  /** Absent when iterations were not marked, or too few of them. */
  readonly growth: IterationVerdict | undefined;
  /** Where handles may have been in use; {@link count} leaves these out, unless they are all. */
  readonly inUse: readonly StillInside[];
  readonly isInUse: boolean;
  /** Why it proves nothing that others are closed. */
  readonly unprepared: Running['unprepared'] | undefined;
  readonly ending: Ending | undefined;
  /** The program put it in the place of its stdin, stdout or stderr. */
  readonly isStandardStream: boolean;
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
  { count, siblings, ended, growth, isStandardStream, isInUse, unprepared }: Tally,
  manyLive: number,
): Level {
  if (isStandardStream || isInUse) return 'note';
  if (actor === 'unknown' || actor === 'runtime') return growth?.growsAlways === true ? 'warning' : 'note';
  if (actor !== 'program') return 'note';
  if (growth !== undefined) return growth.growsAlways ? 'error' : 'warning';
  const isForgotten = siblings === undefined ? count >= manyLive : unprepared === undefined;
  return isForgotten || ended > 0 ? 'error' : 'warning';
}

/** ` It grew by 3 handles with each of 8 iterations.`; a site of Windows gets a sentence only if it always grew. */
function growthSentence({ growth }: Tally, actor: Actor): string {
  if (growth === undefined) return '';
  const { grewIn, iterations, growsAlways, handlesPerIteration } = growth;
  const each = `each of the ${iterations} iterations after the warm-up`;
  if (growsAlways) return ` The site grew in ${each}, by ${spellAverage(handlesPerIteration)}.`;
  if (actor !== 'program') return '';
  if (grewIn === 0) return ` The site did not grow in any of the ${iterations} iterations after the warm-up.`;
  return ` The site grew in ${grewIn} of the ${iterations} iterations after the warm-up, so it may be a cache that fills.`;
}

function spellAverage(handles: number): string {
  if (Number.isInteger(handles)) return `${handles} ${handles === 1 ? 'handle' : 'handles'}`;
  return `about ${handles.toFixed(1)} handles`;
}

function actorOf({ opened, object }: Pick<Opening, 'opened' | 'object'>): Actor {
  return attributeOpening(opened.stack, object);
}

function programMessage(tally: Tally): string {
  const { object, count, ended, siblings, openings, fate, isGone, isStandardStream, inUse, isInUse } = tally;
  if (isGone) {
    const late = `${count === 1 ? 'was' : 'were'} open at the last mark, and closed only after it`;
    return `${spellCount(count, object)} opened at ${spellPlace(...openings)} ${late}${siblings === undefined ? '' : `, at ${spellPlace(siblings)}`}.`;
  }
  const base = `${spellCount(count, object)} opened at ${spellPlace(...openings)} ${spellFate(fate, count, object.type)}`;
  if (isStandardStream)
    return `${base}: the program made ${count === 1 ? 'it a standard stream' : 'them standard streams'}, which last as long as the process.`;
  if (isInUse) return `${base}: ${spellInside(inUse, tally)}.`;
  const parts = [base];
  if (ended > 0) parts.push(endedClause(object.type, count, ended));
  const more =
    inUse.length === 0
      ? ''
      : ` ${inUse.length === 1 ? 'One more' : `${inUse.length} more`} may have been in use${spellWhere(inUse, tally)}.`;
  if (siblings === undefined) return `${parts.join(' ')}; none from this site was ever closed.${more}`;
  return `${parts.join(' ')}; others from this site are closed at ${spellPlace(siblings)}${spellUnprepared(tally)}.${more}`;
}

/** `thread 44 was still inside work (app.c:8), which opened it, when the process exited` */
function spellInside(inside: readonly StillInside[], { ending, siblings }: Tally): string {
  const threads = new Set(inside.map(({ threadId }) => threadId));
  const [first] = inside;
  const who = threads.size === 1 ? `thread ${first!.threadId} was` : `${threads.size} threads were`;
  const does = {
    opened: `which opened ${inside.length === 1 ? 'it' : 'them'}`,
    'opens-and-closes': `within which others from this site are closed at ${spellPlace(siblings ?? [])}`,
    closes: 'which closes others from this site',
  }[first!.does];
  return `${who} still inside ${spellFrames([first!.frame])}, ${does}, ${spellMoment(ending)}`;
}

/** ` there` when it is the place of {@link spellUnprepared}, or else all of {@link spellInside}. */
function spellWhere(inside: readonly StillInside[], tally: Tally): string {
  const { unprepared } = tally;
  const isThere = ({ threadId, frame }: StillInside): boolean =>
    typeof unprepared === 'object' &&
    threadId === unprepared.threadId &&
    spellFrames([frame]) === spellFrames([unprepared.frame]);
  return inside.every(isThere) ? ' there' : `: ${spellInside(inside, tally)}`;
}

/** `, but the process exited inside run_loop (app.c:30)`, or nothing. */
function spellUnprepared({ unprepared, ending }: Tally): string {
  if (unprepared === undefined) return '';
  if (unprepared === 'outside') return ', but another process ended this one';
  if (unprepared === 'crash') return ', but the process crashed';
  const place = spellFrames([unprepared.frame]);
  if (ending?.cause === 'call' && ending.threadId === unprepared.threadId)
    return `, but the process exited inside ${place}`;
  return `, but thread ${unprepared.threadId} was still inside ${place} ${spellMoment(ending)}`;
}

function spellMoment(ending: Ending | undefined): string {
  if (ending?.cause === 'aborted') return 'when the audit was aborted';
  return `when the process ${ending?.cause === 'crash' ? 'crashed' : 'exited'}`;
}

function endedClause(type: string, count: number, ended: number): string {
  const noun = type === 'Thread' ? 'thread' : 'process';
  if (count === 1) return `although its ${noun} has ended`;
  const plural = noun === 'thread' ? 'threads' : 'processes';
  if (ended >= count) return `although their ${plural} have ended`;
  return `although ${ended} of their ${plural} ${ended === 1 ? 'has' : 'have'} ended`;
}

const openers: Readonly<Record<Actor, string>> = {
  program: 'the program',
  startup: 'the system for itself',
  runtime: 'the runtime for itself',
  system: 'the system for itself',
  unknown: 'an unknown stack',
};

/** Why the maker of an opening is not known. */
function spellUnknown(stack: Stack): string {
  if (stack.length === 0) return 'could not be walked';
  return isCut(stack) ? 'is too deep to show the code that asked for it' : 'could not be walked to its end';
}

function noteMessage({ opened }: Opening, { object, count, openings, isGone }: Tally, actor: Actor): string {
  const handles = spellCount(count, object);
  if (isGone) return `${handles} ${count === 1 ? 'was' : 'were'} open at the last mark, opened by ${openers[actor]}.`;
  const verb = count === 1 ? 'is' : 'are';
  if (actor === 'unknown')
    return `${handles} ${verb} still open, but the stack of the opening ${spellUnknown(opened.stack)}.`;
  if (actor === 'startup') return `${handles} opened before main, at ${spellPlace(...openings)}, ${verb} still open.`;
  const { site, api } = dissect(opened.stack);
  if (actor === 'runtime') {
    const who =
      site !== undefined && isGo(site)
        ? `the ${partOfGo(site)} of Go opened for itself, at ${spellPlace(...openings)}`
        : spellRuntime(opened.stack, object);
    return `${handles} that ${who}, ${verb} still open.`;
  }
  if (site === undefined || api === undefined) {
    const frame = outermostSystemFrame(opened.stack);
    const who = frame === undefined ? 'the system' : spellApi(frame);
    const when = isLoading(opened.stack)
      ? 'while a thread was starting'
      : 'on a thread that runs no code of the program';
    return `${handles} that ${who} opened for itself, ${when}, ${verb} still open.`;
  }
  return `${handles} that ${spellApi(api)} opened for itself, called at ${spellFrames([site])}, ${verb} still open.`;
}

/** `the runtime opened once for itself (uv_once), called at main (x.c:4)` */
function spellRuntime(stack: Stack, object: HandleObject): string {
  const { site } = dissect(stack);
  const opener = runtimeOpener(stack, object);
  const name = opener && (functionName(opener.frame) ?? moduleName(opener.frame));
  const how = `the runtime opened ${opener?.isOnce === true ? 'once ' : ''}for itself (${name})`;
  return site === undefined || site.runtime === true ? how : `${how}, called at ${spellFrames([site])}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
