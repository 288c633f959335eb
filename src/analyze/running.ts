import type { Frame, Stack } from '../model.ts';
import type { CallRecord, Ending, OpenSite, RunningCloser, RunningThread } from '../evidence-model.ts';
import { moduleName, trimStack } from './stacks.ts';

/** A function of the program that a thread had not returned from at the judgement point. */
export interface StillInside {
  readonly threadId: number;
  readonly frame: Frame;
  /** The part that the function has in the life of the handles. */
  readonly does: 'opened' | 'opens-and-closes' | 'closes';
}

/** The handles of a finding, seen from the functions that had not returned. */
export interface Running {
  /** Handles that may have been in use, each with the function that may have used it. */
  readonly inUse: ReadonlyMap<bigint, StillInside>;
  /**
   * Nothing shows that the program had forgotten the others: handles like them are opened and closed within functions
   * that had not returned. This is one of them, or else the reason why any function may not have returned.
   */
  readonly unprepared?: StillInside | CutShort;
}

type CutShort = 'crash' | 'outside';

/** The end of a process that did not come to the end of its work, where it may close what it keeps until then. */
export type EarlyEnd = Exclude<Ending['cause'], 'call' | 'goes-on'>;

/** How a target ended before its time; `undefined` where it ended by itself, goes on, or it is not known. */
export function earlyEndOf(ending: Ending | undefined): EarlyEnd | undefined {
  const cause = ending?.cause;
  return cause === 'call' || cause === 'goes-on' ? undefined : cause;
}

interface Opening extends OpenSite {
  readonly opened: CallRecord;
}

/** Sites whose functions had all returned. */
export const nothingRuns: Running = { inUse: new Map() };

/**
 * Asks which functions had not returned when the target was judged.
 *
 * A handle may have been in use when its thread was still inside the function that opened it, or inside the very call
 * in which it was opened and others are closed. That holds for the last handle that a thread opened: it has left the
 * earlier ones behind. A thread that ends the process by a call has done with its handles.
 *
 * @param sites with handles that are open, and that count as opened at one place
 * @param siblings stacks that closed other handles from there
 */
export function judgeRunning(
  sites: readonly Opening[],
  siblings: readonly Stack[],
  ending: Ending | undefined,
): Running {
  const end = new EndOfTarget(ending);
  const views = sites.map((site): View => {
    const opened = trimStack(site.opened.stack);
    return { site, opened, shared: siblings.map((closed) => shareOf(opened, trimStack(closed))) };
  });
  const inUse = new Map<bigint, StillInside>();
  for (const { last, inside } of findLastOfThreads(views, end)) {
    if (last !== undefined) inUse.set(last, inside);
  }
  if (siblings.length > 0) addPassedOn(inUse, sites, end);
  const left = views.filter(({ site }) => countOf(site, inUse) < site.count);
  const unprepared = left.map((view) => findUnprepared(view, end));
  const [first] = unprepared;
  return { inUse, ...(first === undefined || unprepared.includes(undefined) ? {} : { unprepared: first }) };
}

/** A site, with what its stacks have in common with those of the siblings. */
interface View {
  readonly site: Opening;
  readonly opened: Stack;
  readonly shared: readonly Share[];
}

/** The handle that a thread opened last of all that count as opened at one place. */
interface LastOfThread {
  readonly last: bigint | undefined;
  readonly lastTimeMs: number;
  readonly inside: StillInside;
}

function findLastOfThreads(views: readonly View[], end: EndOfTarget): Iterable<LastOfThread> {
  const found = new Map<number, LastOfThread>();
  for (const { site, opened, shared } of views) {
    for (const opener of site.openers ?? []) {
      const { threadId, last, lastTimeMs } = opener;
      if (end.isMadeBy(threadId)) continue;
      const inside = insideOpener(opened, opener) ?? insideCommonCall(opened, shared, opener);
      if (inside === undefined || lastTimeMs < (found.get(threadId)?.lastTimeMs ?? 0)) continue;
      found.set(threadId, { last, lastTimeMs, inside });
    }
  }
  return found.values();
}

/** Adds a handle for each thread that may have been given it: the newest ones. */
function addPassedOn(inUse: Map<bigint, StillInside>, sites: readonly Opening[], end: EndOfTarget): void {
  const known = new Set(sites.flatMap(({ openers = [] }) => openers.map(({ threadId }) => threadId)));
  for (const { closers = [], newest = [] } of sites) {
    const handles = newest.filter((handle) => !inUse.has(handle));
    for (const closer of closers) {
      const [handle] = handles;
      if (handle === undefined) break;
      if (end.isMadeBy(closer.threadId) || known.has(closer.threadId)) continue;
      const inside = insideCloser(closer);
      if (inside === undefined) continue;
      known.add(closer.threadId);
      inUse.set(handle, inside);
      handles.shift();
    }
  }
}

function countOf({ openers = [], newest = [] }: Opening, inUse: ReadonlyMap<bigint, StillInside>): number {
  return new Set([...openers.flatMap(({ last = [] }) => last), ...newest].filter((handle) => inUse.has(handle))).size;
}

function findUnprepared({ site, opened, shared }: View, end: EndOfTarget): Running['unprepared'] {
  if (shared.length === 0) return undefined;
  if (end.cutShort !== undefined) return end.cutShort;
  const { count, openers = [], closers = [] } = site;
  const running = openers.flatMap((opener) => {
    const [inside] = shared.flatMap((share) => end.findLeft(opened, opener, share) ?? []);
    return inside === undefined ? [] : [{ inside, count: opener.count }];
  });
  if (running.reduce((sum, each) => sum + each.count, 0) >= count) return running[0]?.inside;
  return closers.map((closer) => end.findLeft(trimStack(closer.closed), closer)).find((inside) => inside !== undefined);
}

/** How the target came to its end, as far as it says which functions were cut short. */
class EndOfTarget {
  readonly #ending: Ending | undefined;
  /** The call that ended it; empty where it is not known. */
  readonly #stack: Stack;

  constructor(ending: Ending | undefined) {
    this.#ending = ending;
    this.#stack = ending?.stack === undefined ? [] : trimStack(ending.stack);
  }

  /** Why functions were cut short, where that holds for all of them. */
  get cutShort(): CutShort | undefined {
    const cause = this.#ending?.cause;
    return cause === 'crash' || cause === 'outside' ? cause : undefined;
  }

  /** Whether a thread ended the process by a call, which it made because it wanted to. */
  isMadeBy(threadId: number): boolean {
    return this.#ending?.cause === 'call' && this.#ending.threadId === threadId;
  }

  /**
   * The innermost of the program's functions in a stack that a thread had not returned from.
   *
   * A function that ends the process itself is as good as one that returned. An exit that is made further in cuts a
   * function short, but the outermost one may have come to its end.
   *
   * @param share only functions within this part of an opening stack count; absent for a closing stack
   */
  findLeft(stack: Stack, { threadId, liveFrom }: RunningThread, share?: Share): StillInside | undefined {
    const isExit = this.isMadeBy(threadId);
    const outermost = stack.findLastIndex(isOwnCall);
    const does = share === undefined ? 'closes' : 'opens-and-closes';
    const first = Math.max(liveFrom, share?.from ?? 0, 1);
    for (let index = first; index < stack.length; index++) {
      const callee = stack[index - 1]!;
      if (!isOwnCall(callee)) continue;
      const isBranch = index === share?.from;
      if (isBranch && share?.isSameCall !== true) continue;
      if (isExit && ((!isBranch && index - 1 === outermost) || this.#isMadeIn(stack[index]!))) continue;
      return { threadId, frame: callee, does };
    }
    return undefined;
  }

  /** Whether the function that was called from there ended the process itself, or it is not known. */
  #isMadeIn(caller: Frame): boolean {
    const place = this.#stack.findLastIndex((frame) => isSameAddress(frame, caller));
    const inner = place === -1 ? this.#stack : this.#stack.slice(0, place);
    return inner.filter(isOwnCall).length <= 1;
  }
}

/** The outer part of an opening stack that a closing stack has in common with it. */
interface Share {
  /** Index of its innermost frame in the opening stack. */
  readonly from: number;
  /** Both stacks go on from there in the same function. */
  readonly isSameCall: boolean;
}

function shareOf(opened: Stack, closed: Stack): Share {
  let [from, closedFrom] = [opened.length, closed.length];
  while (from > 0 && closedFrom > 0 && isSameAddress(opened[from - 1]!, closed[closedFrom - 1]!)) {
    from--;
    closedFrom--;
  }
  const [callee, other] = [opened[from - 1], closed[closedFrom - 1]];
  const isSameCall =
    callee !== undefined &&
    other !== undefined &&
    callee.function === other.function &&
    moduleName(callee) === moduleName(other);
  return { from, isSameCall };
}

function isSameAddress(a: Frame, b: Frame): boolean {
  return a.offset === b.offset && a.function === b.function && a.module === b.module && a.inlined === b.inlined;
}

/**
 * The thread is inside the very call of the function that opened the handle.
 *
 * A function of a library that was linked into a module without names looks like the program's own. So in such a module
 * a caller may be the function that opened it, but for a thread's outermost: a thread that waits for work is in it.
 */
function insideOpener(opened: Stack, { threadId, liveFrom }: RunningThread): StillInside | undefined {
  const outermost = opened.findLastIndex(isOwnCall);
  let index = siteOf(opened);
  while (index !== -1) {
    const callers = callersOf(opened, index);
    if (callers >= opened.length) return undefined;
    if (liveFrom <= callers) return { threadId, frame: opened[index]!, does: 'opened' };
    index = callers < outermost && isNamelessCall(opened[index]!, opened[callers]!) ? callers : -1;
  }
  return undefined;
}

/** A function of a module calls another of it, and nothing names either of them. */
function isNamelessCall(callee: Frame, caller: Frame): boolean {
  const isNameless = ({ function: name, module }: Frame): boolean => name === undefined && module !== '?';
  return isOwn(caller) && isNameless(callee) && isNameless(caller) && moduleName(callee) === moduleName(caller);
}

/** The thread is inside the very call in which it opened the handle, and in which others are closed. */
function insideCommonCall(
  opened: Stack,
  shared: readonly Share[],
  { threadId, liveFrom }: RunningThread,
): StillInside | undefined {
  const share = shared.find(({ from, isSameCall }) => isSameCall && from < opened.length && liveFrom <= from);
  const frame = share && opened[share.from - 1];
  return frame === undefined ? undefined : { threadId, frame, does: 'opens-and-closes' };
}

/**
 * Another thread, to which the handle may have been passed on, is inside a call of the function that closes others, or
 * of its caller. A caller that is a thread's outermost function does not count: a thread that waits for work is in it.
 */
function insideCloser({ threadId, liveFrom, closed: stack }: RunningCloser): StillInside | undefined {
  const closed = trimStack(stack);
  const site = siteOf(closed);
  if (site === -1) return undefined;
  const caller = closed.findIndex((frame, index) => index >= callersOf(closed, site) && isOwnCall(frame));
  const isInner = caller !== -1 && caller !== closed.findLastIndex(isOwnCall);
  const place = [site, ...(isInner ? [caller] : [])].find((index) => {
    const callers = callersOf(closed, index);
    return callers < closed.length && liveFrom <= callers;
  });
  return place === undefined ? undefined : { threadId, frame: closed[place]!, does: 'closes' };
}

/** Index of the programmer's own innermost frame, or else the program's; -1 when there is none. */
function siteOf(stack: Stack): number {
  const own = stack.findIndex(isOwn);
  return own === -1 ? stack.findIndex(({ system }) => system !== true) : own;
}

/** Index of the first frame beyond a function. Functions that were inlined into it share its call. */
function callersOf(stack: Stack, index: number): number {
  const call = stack.findIndex(({ inlined }, at) => at >= index && inlined !== true);
  return call === -1 ? stack.length : call + 1;
}

function isOwn({ system, runtime }: Frame): boolean {
  return system !== true && runtime !== true;
}

/** A frame of the programmer's own that is a call: its return address is on the stack. */
function isOwnCall(frame: Frame): boolean {
  return isOwn(frame) && frame.inlined !== true;
}
