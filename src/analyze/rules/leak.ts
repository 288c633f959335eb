import type { CallRecord, HandleObject, Level, OpenHandle, OpenSite, Stack } from '../../model.ts';
import { type Actor, attributeOpening, outermostSystemFrame } from '../attribution.ts';
import { compareText, canonicalText, commonObject, type RuleCheck, checkSites } from '../grouping.ts';
import { addCounts, type IterationVerdict, judgeIterations } from '../iterations.ts';
import { partOfGo } from '../runtimes/go.ts';
import { dissect, isLoading, normaliseStack, normaliseStackWithInternals, trimStack } from '../stacks.ts';
import { spellApi, spellCount, spellFrames, spellPlace } from '../wording.ts';

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
  select: ({ open }) => open.filter((site): site is Opening => site.opened !== undefined),
  typeOf: ({ object }) => object.type,
  siteOf({ opened, object }) {
    const actor = actorOf({ opened, object });
    return [actor, ...(actor === 'program' ? normaliseStack(opened.stack) : normaliseStackWithInternals(opened.stack))];
  },
  assessSite(sites, { manyLive = manyLiveByDefault, warmUpIterations }, { marks = [] }) {
    const [first] = sites;
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
    const siblings = sites
      .flatMap(siblingsOf)
      .sort((a, b) => compareText(canonicalText(a), canonicalText(b)))
      .at(0);
    const tally: Tally = {
      object: commonObject(sites.map(({ object }) => object)),
      count: sum((isGone ? sites : live).map((site) => site.count)),
      ended: sum(sites.map((site) => site.endedCount)),
      siblings,
      openings: sites.map((site) => site.opened.stack),
      closedAtExit: live.length > 0 && live.every((site) => site.closedAtExit === true),
      isGone,
      growth,
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
      handles: sites.flatMap((site) => site.examples),
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

interface Tally {
  /** The kind of all of the handles. */
  readonly object: HandleObject;
  readonly count: number;
  readonly ended: number;
  readonly siblings: Stack | undefined;
  readonly openings: readonly Stack[];
  readonly closedAtExit: boolean;
  /** All were closed after the last mark. */
  readonly isGone: boolean;
  /** Absent when iterations were not marked, or too few of them. */
  readonly growth: IterationVerdict | undefined;
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
  { count, siblings, ended, growth, isStandardStream }: Tally,
  manyLive: number,
): Level {
  if (isStandardStream) return 'note';
  if (actor === 'unknown') return growth?.growsAlways === true ? 'warning' : 'note';
  if (actor !== 'program') return 'note';
  const isError = growth === undefined ? siblings !== undefined || count >= manyLive || ended > 0 : growth.growsAlways;
  return isError ? 'error' : 'warning';
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

function programMessage({
  object,
  count,
  ended,
  siblings,
  openings,
  closedAtExit,
  isGone,
  isStandardStream,
}: Tally): string {
  const verb = count === 1 ? 'is' : 'are';
  if (isGone) {
    const late = `${count === 1 ? 'was' : 'were'} open at the last mark, and closed only after it`;
    return `${spellCount(count, object)} opened at ${spellPlace(...openings)} ${late}${siblings === undefined ? '' : `, at ${spellPlace(siblings)}`}.`;
  }
  const fate = closedAtExit
    ? `${count === 1 ? 'was' : 'were'} left for the runtime to close at exit`
    : `${verb} still open`;
  const base = `${spellCount(count, object)} opened at ${spellPlace(...openings)} ${fate}`;
  if (isStandardStream)
    return `${base}: the program made ${count === 1 ? 'it a standard stream' : 'them standard streams'}, which last as long as the process.`;
  const parts = [base];
  if (ended > 0) parts.push(endedClause(object.type, count, ended));
  if (siblings !== undefined) return `${parts.join(' ')}; others from this site are closed at ${spellPlace(siblings)}.`;
  return `${parts.join(' ')}; none from this site was ever closed.`;
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
  runtime: 'Go for itself',
  system: 'the system for itself',
  unknown: 'an unknown stack',
};

function noteMessage({ opened }: Opening, { object, count, openings, isGone }: Tally, actor: Actor): string {
  const handles = spellCount(count, object);
  if (isGone) return `${handles} ${count === 1 ? 'was' : 'were'} open at the last mark, opened by ${openers[actor]}.`;
  const verb = count === 1 ? 'is' : 'are';
  if (actor === 'unknown')
    return `${handles} ${verb} still open, but the stack of the opening could not be walked${opened.stack.length === 0 ? '' : ' to its end'}.`;
  if (actor === 'startup') return `${handles} opened before main, at ${spellPlace(...openings)}, ${verb} still open.`;
  const { site, api } = dissect(opened.stack);
  if (actor === 'runtime' && site !== undefined)
    return `${handles} that the ${partOfGo(site)} of Go opened for itself, at ${spellPlace(...openings)}, ${verb} still open.`;
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

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
