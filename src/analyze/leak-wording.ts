import type { HandleObject, Stack } from '../model.ts';
import type { Ending, OtherProcess, Watch } from '../evidence-model.ts';
import { spellDuration } from '../text/duration.ts';
import { type Actor, outermostSystemFrame, runtimeOpener } from './attribution.ts';
import type { IterationVerdict } from './growth/iterations.ts';
import { properClosers } from './object-noun.ts';
import { isGo, partOfGo } from './runtimes/go.ts';
import type { EarlyEnd, Running, StillInside } from './running.ts';
import { dissect, functionName, isCut, isLoading, moduleName } from './stacks.ts';
import { spellActor, spellApi, spellCount, spellFrames, spellPlace } from './wording.ts';

/** The end of the handles of a site: who closed them, or that they are open. */
export interface Fate {
  readonly isOpen: boolean;
  /** `the runtime to close at exit`, `WSACleanup to close`; in a fixed order. */
  readonly leftFor: readonly string[];
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

/** All that is known of the handles of a leak. */
export interface Tally {
  /** The kind of all of the handles. */
  readonly object: HandleObject;
  readonly count: number;
  /** How many are of a thread or process that has ended. */
  readonly ended: number;
  /** The end that may have come before the program closed them; absent where that would be no excuse. */
  readonly earlyEnd: EarlyEnd | undefined;
  readonly siblings: Stack | undefined;
  readonly openings: readonly Stack[];
  /** The other process that put them here; absent when the program opened them itself. */
  readonly openedBy: OtherProcess | undefined;
  /** `are still open`, without the verb's number. */
  readonly fate: Fate;
  /** All were closed after the last mark, or the last section that left some open. */
  readonly isGone: boolean;
  /** In how many sections the site left handles open at the end; 0 where that is not judged. */
  readonly leftIn: number;
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
  readonly watch: Watch | undefined;
  /** When the oldest of them was opened, in milliseconds since recording began; Infinity where that is not known. */
  readonly oldestMs: number;
}

/**
 * The message of a leak.
 *
 * @param opened a stack that opened some of the handles
 * @param actor whose code opened them
 */
export function spellLeak(opened: Stack, tally: Tally, actor: Actor): string {
  const message = actor === 'program' ? programMessage(tally) : noteMessage(opened, tally, actor);
  return `${message}${growthSentence(tally, actor)}`;
}

/** ` It grew by 3 handles with each of 8 iterations.`; a site of Windows gets a sentence only if it always grew. */
function growthSentence({ growth, watch }: Tally, actor: Actor): string {
  if (growth === undefined) return '';
  const { grewIn, iterations, growsAlways, handlesPerIteration } = growth;
  const what = watch?.everyMs === undefined ? 'iterations' : `intervals of ${spellDuration(watch.everyMs)}`;
  const each = `each of the ${iterations} ${what} after the warm-up`;
  if (growsAlways) return ` The site grew in ${each}, by ${spellAverage(handlesPerIteration)}.`;
  if (actor !== 'program') return '';
  if (grewIn === 0) return ` The site did not grow in any of the ${iterations} ${what} after the warm-up.`;
  return ` The site grew in ${grewIn} of the ${iterations} ${what} after the warm-up, so it may be a cache that fills.`;
}

function spellAverage(handles: number): string {
  if (Number.isInteger(handles)) return `${handles} ${handles === 1 ? 'handle' : 'handles'}`;
  return `about ${handles.toFixed(1)} handles`;
}

function programMessage(tally: Tally): string {
  const { object, count, ended, siblings, openings, openedBy, fate, isGone, growth, isStandardStream, inUse, isInUse } =
    tally;
  if (isGone) {
    const late =
      growth?.growsAlways === true
        ? `${count === 1 ? 'was' : 'were'} open at the last mark, and closed only after it`
        : `${count === 1 ? 'was still open when its test' : 'were still open when their tests'} ended, and closed only later`;
    return `${spellCount(count, object)} opened at ${spellPlace(...openings)} ${late}${siblings === undefined ? '' : `, at ${spellPlace(siblings)}`}.`;
  }
  const opening = `opened at ${spellPlace(...openings)}${spellActor(openedBy)}`;
  const base = `${spellCount(count, object)} ${opening} ${spellFate(fate, count, object.type)}`;
  if (isStandardStream)
    return `${base}: the program made ${count === 1 ? 'it a standard stream, which lasts' : 'them standard streams, which last'} as long as the process.`;
  if (isInUse) return `${base}: ${spellInside(inUse, tally)}.`;
  const parts = [`${base}${spellAge(tally)}`];
  if (ended > 0) parts.push(endedClause(object.type, count, ended));
  const more =
    inUse.length === 0
      ? ''
      : ` ${inUse.length === 1 ? 'One more' : `${inUse.length} more`} may have been in use${spellWhere(inUse, tally)}.`;
  // The closes of handles that another process put here are known only as long as their values are not used again.
  if (siblings === undefined) {
    const never = openedBy === undefined ? '; none from this site was ever closed' : '';
    return `${parts.join(' ')}${never}.${spellEarlyEnd(tally)}${more}`;
  }
  return `${parts.join(' ')}; others from this site are closed at ${spellPlace(siblings)}${spellUnprepared(tally)}.${more}`;
}

/** `, opened 41 s ago`, for a process that goes on. */
function spellAge({ watch, oldestMs, count }: Tally): string {
  if (watch?.goesOn !== true || !Number.isFinite(oldestMs)) return '';
  const age = spellDuration(Math.max(0, watch.durationMs - oldestMs));
  return count === 1 ? `, opened ${age} ago` : `, the oldest opened ${age} ago`;
}

/** `thread 44 was still inside work (app.c:8), which opened it, when the process exited` */
function spellInside(inside: readonly StillInside[], { ending, siblings, watch }: Tally): string {
  const threads = new Set(inside.map(({ threadId }) => threadId));
  const [first] = inside;
  const who = threads.size === 1 ? `thread ${first!.threadId} was` : `${threads.size} threads were`;
  const does = {
    opened: `which opened ${inside.length === 1 ? 'it' : 'them'}`,
    'opens-and-closes': `within which others from this site are closed at ${spellPlace(siblings ?? [])}`,
    closes: 'which closes others from this site',
  }[first!.does];
  return `${who} still inside ${spellFrames([first!.frame])}, ${does}, ${spellMoment(ending, watch)}`;
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
function spellUnprepared({ unprepared, ending, watch }: Tally): string {
  if (unprepared === undefined) return '';
  if (typeof unprepared === 'string') return `, but ${earlyEnds[unprepared]}`;
  const place = spellFrames([unprepared.frame]);
  if (ending?.cause === 'call' && ending.threadId === unprepared.threadId)
    return `, but the process exited inside ${place}`;
  return `, but thread ${unprepared.threadId} was still inside ${place} ${spellMoment(ending, watch)}`;
}

const earlyEnds: Readonly<Record<EarlyEnd, string>> = {
  crash: 'the process crashed',
  outside: 'another process or the kernel ended this one',
  interrupted: 'the process was interrupted',
  aborted: 'the audit was aborted',
};

/** ` But the process was interrupted, …`: why it proves nothing that threads have ended. */
function spellEarlyEnd({ ended, earlyEnd, count }: Tally): string {
  if (ended === 0 || earlyEnd === undefined) return '';
  return ` But ${earlyEnds[earlyEnd]}, and the program may close ${count === 1 ? 'it' : 'them'} at its end.`;
}

function spellMoment(ending: Ending | undefined, watch: Watch | undefined): string {
  if (watch?.goesOn === true || ending?.cause === 'goes-on') return 'at the time of this report';
  if (ending?.cause === 'aborted' || ending?.cause === 'interrupted') return `when ${earlyEnds[ending.cause]}`;
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

function noteMessage(opened: Stack, { object, count, openings, isGone, growth }: Tally, actor: Actor): string {
  const handles = spellCount(count, object);
  if (isGone) {
    const verb = count === 1 ? 'was' : 'were';
    const moment =
      growth?.growsAlways === true ? 'the last mark' : `the end of ${count === 1 ? 'its test' : 'their tests'}`;
    return `${handles} ${verb} open at ${moment}, opened by ${openers[actor]}.`;
  }
  const verb = count === 1 ? 'is' : 'are';
  if (actor === 'unknown')
    return `${handles} ${verb} still open, but the stack of the opening ${spellUnknown(opened)}.`;
  if (actor === 'startup') return `${handles} opened before main, at ${spellPlace(...openings)}, ${verb} still open.`;
  const { site, api } = dissect(opened);
  if (actor === 'runtime') {
    const who =
      site !== undefined && isGo(site)
        ? `the ${partOfGo(site)} of Go opened for itself, at ${spellPlace(...openings)}`
        : spellRuntime(opened, object);
    return `${handles} that ${who}, ${verb} still open.`;
  }
  if (site === undefined || api === undefined) {
    const frame = outermostSystemFrame(opened);
    const who = frame === undefined ? 'the system' : spellApi(frame);
    const when = isLoading(opened) ? 'while a thread was starting' : 'on a thread that runs no code of the program';
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
