import type { CallRecord, OpenSite, Stack } from '../model.ts';
import { type Actor, attributeOpening, outermostSystemFrame } from './attribution.ts';
import { compareText, canonicalText, type Judge, siteRule, type Verdict } from './grouping.ts';
import { dissect, isLoading, normaliseStack, normaliseStackWithInternals, trimStack } from './stacks.ts';
import { spellApi, spellCount, spellFrames, spellPlace } from './wording.ts';

/** An open site whose opening was seen; a handle that somebody else put there is no leak of this program. */
interface Opening extends OpenSite {
  readonly opened: CallRecord;
}

const manyLiveByDefault = 50;

/** `leak`: opened by the program's own code and still open at the judgement point. */
export const leak: Judge = siteRule<Opening>({
  rule: 'leak',
  select: ({ open }) => open.filter((site): site is Opening => site.opened !== undefined),
  typeOf: ({ object }) => object.type,
  siteOf({ opened, object }) {
    const actor = actorOf({ opened, object });
    return [actor, ...(actor === 'program' ? normaliseStack(opened.stack) : normaliseStackWithInternals(opened.stack))];
  },
  judge(sites, { manyLive = manyLiveByDefault }) {
    const [first] = sites;
    const actor = actorOf(first);
    const siblings = sites
      .flatMap(({ siblingsClosedAt }) => (siblingsClosedAt === undefined ? [] : [siblingsClosedAt]))
      .sort((a, b) => compareText(canonicalText(a), canonicalText(b)))
      .at(0);
    const tally: Tally = {
      count: sum(sites.map((site) => site.count)),
      ended: sum(sites.map((site) => site.endedCount)),
      siblings,
      openings: sites.map((site) => site.opened.stack),
      closedAtExit: sites.every((site) => site.closedAtExit === true),
    };
    const isError = siblings !== undefined || tally.count >= manyLive || tally.ended > 0;
    const verdict: Pick<Verdict, 'level' | 'message'> =
      actor === 'program'
        ? { level: isError ? 'error' : 'warning', message: programMessage(first, tally) }
        : { level: 'note', message: noteMessage(first, tally, actor) };
    return {
      ...verdict,
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

interface Tally {
  readonly count: number;
  readonly ended: number;
  readonly siblings: Stack | undefined;
  readonly openings: readonly Stack[];
  readonly closedAtExit: boolean;
}

function actorOf({ opened, object }: Pick<Opening, 'opened' | 'object'>): Actor {
  return attributeOpening(opened.stack, object);
}

function programMessage({ object }: Opening, { count, ended, siblings, openings, closedAtExit }: Tally): string {
  const verb = count === 1 ? 'is' : 'are';
  const fate = closedAtExit ? `${count === 1 ? 'was' : 'were'} left for the runtime to close at exit` : `${verb} still open`;
  const base = `${spellCount(count, object)} opened at ${spellPlace(...openings)} ${fate}`;
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

function noteMessage({ object, opened }: Opening, { count, openings }: Tally, actor: Actor): string {
  const handles = spellCount(count, object);
  const verb = count === 1 ? 'is' : 'are';
  if (actor === 'unknown') return `${handles} ${verb} still open, but the stack of the opening could not be walked.`;
  if (actor === 'startup') return `${handles} opened before main, at ${spellPlace(...openings)}, ${verb} still open.`;
  const { site, api } = dissect(opened.stack);
  if (site === undefined || api === undefined) {
    const frame = outermostSystemFrame(opened.stack);
    const who = frame === undefined ? 'the system' : spellApi(frame);
    const when = isLoading(opened.stack) ? 'while a thread was starting' : 'on a thread that runs no code of the program';
    return `${handles} that ${who} opened for itself, ${when}, ${verb} still open.`;
  }
  return `${handles} that ${spellApi(api)} opened for itself, called at ${spellFrames([site])}, ${verb} still open.`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
