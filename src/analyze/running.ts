import type { CallRecord, Ending, Frame, OpenSite, RunningThread, Stack } from '../model.ts';
import { moduleName, trimStack } from './stacks.ts';

/** A function of the program that a thread had not returned from at the judgement point. */
export interface StillInside {
  readonly threadId: number;
  readonly frame: Frame;
  /** What the function does with handles of the site. */
  readonly does: 'opened' | 'opens-and-closes' | 'closes';
}

/** A site's handles that may have been about to be closed. */
interface RunningSite {
  /** Handles that may have been in use, each with the function that may have used it. */
  readonly inUse: ReadonlyMap<bigint, StillInside>;
  /**
   * Nothing shows that the program had forgotten the others: handles like them are opened and closed within a function
   * that had not returned. `outside` when it is not known which had.
   */
  readonly unprepared?: StillInside | 'outside';
}

interface Opening extends OpenSite {
  readonly opened: CallRecord;
}

/**
 * Asks which functions had not returned when the target was judged.
 *
 * A handle may have been in use when its thread was still inside the function that opened it, or inside the very call
 * in which it was opened and others are closed. That holds for the last handle that a thread opened: it has left the
 * earlier ones behind. A thread that ends the process by a call has done with its handles.
 *
 * @param siblings stacks that closed other handles of the site
 */
export function judgeRunning(site: Opening, siblings: readonly Stack[], ending: Ending | undefined): RunningSite {
  const opened = trimStack(site.opened.stack);
  const shared = siblings.map((closed) => shareOf(opened, trimStack(closed)));
  const end = new EndOfTarget(ending);
  const inUse = new Map<bigint, StillInside>();
  const { openers = [], closers = [], newest = [] } = site;
  for (const opener of openers) {
    if (end.isMadeBy(opener.threadId)) continue;
    const inside = insideOpener(opened, opener) ?? insideCommonCall(opened, shared, opener);
    if (inside !== undefined) inUse.set(opener.last, inside);
  }
  const closed = site.siblingsClosedAt === undefined ? undefined : trimStack(site.siblingsClosedAt);
  if (closed !== undefined) {
    const known = new Set(openers.map(({ threadId }) => threadId));
    const others = newest.filter((handle) => !inUse.has(handle));
    for (const closer of closers) {
      if (end.isMadeBy(closer.threadId) || known.has(closer.threadId)) continue;
      const inside = insideCloser(closed, closer);
      const handle = inside && others.shift();
      if (handle !== undefined) inUse.set(handle, inside!);
    }
  }
  const unprepared = findUnprepared(site, opened, shared, closed, end);
  return { inUse, ...(unprepared === undefined ? {} : { unprepared }) };
}

function findUnprepared(
  { count, openers = [], closers = [] }: Opening,
  opened: Stack,
  shared: readonly Share[],
  closed: Stack | undefined,
  end: EndOfTarget,
): RunningSite['unprepared'] {
  if (shared.length === 0) return undefined;
  if (end.isFromOutside) return 'outside';
  const running = openers.flatMap((opener) => {
    const found = shared.flatMap((share) => end.findLeft(opened, opener, share) ?? []);
    return found.slice(0, 1).map((inside) => ({ inside, count: opener.count }));
  });
  if (running.reduce((sum, each) => sum + each.count, 0) >= count) return running[0]?.inside;
  if (closed === undefined) return undefined;
  const isShared = { from: closed.length, isSameCall: false };
  return closers
    .map((closer) => end.findLeft(closed, closer, isShared, 'closes'))
    .find((inside) => inside !== undefined);
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

  get isFromOutside(): boolean {
    return this.#ending?.cause === 'outside';
  }

  /** Whether a thread ended the process by a call, which it made because it wanted to. */
  isMadeBy(threadId: number): boolean {
    return this.#ending?.cause === 'call' && this.#ending.threadId === threadId;
  }

  /**
   * The innermost of the program's functions that a thread had not returned from, and that it shares.
   *
   * A function that ends the process itself is as good as one that returned. An exit that is made further in cuts a
   * function short, but the outermost one may have come to its end.
   */
  findLeft(
    stack: Stack,
    thread: RunningThread,
    share: Share,
    does: StillInside['does'] = 'opens-and-closes',
  ): StillInside | undefined {
    const { threadId, liveFrom } = thread;
    const isExit = this.isMadeBy(threadId);
    const outermost = stack.findLastIndex(isOwnCall);
    const first = Math.max(liveFrom, does === 'closes' ? 0 : share.from, 1);
    for (let index = first; index < stack.length; index++) {
      const callee = stack[index - 1]!;
      if (!isOwnCall(callee)) continue;
      const isBranch = index === share.from;
      if (isBranch && !share.isSameCall) continue;
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

/** The thread is inside the very call of the function that opened the handle. */
function insideOpener(opened: Stack, { threadId, liveFrom }: RunningThread): StillInside | undefined {
  const site = siteOf(opened);
  const callers = callersOf(opened, site);
  if (site === -1 || callers >= opened.length || liveFrom > callers) return undefined;
  return { threadId, frame: opened[site]!, does: 'opened' };
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
function insideCloser(closed: Stack, { threadId, liveFrom }: RunningThread): StillInside | undefined {
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
