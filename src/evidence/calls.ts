import { type LedgerCall, type LedgerLife, ownAddresses } from '../call-ledger.ts';
import type { HandleObject, SectionPart, Sections, Stack } from '../model.ts';
import type {
  CallRecord,
  Closing,
  EarlierLife,
  Ending,
  PastLife,
  RunningCloser,
  RunningThread,
} from '../evidence-model.ts';
import { SectionTally } from './section-tally.ts';
import type { Description, EvidenceSources, SectionsSeen } from './sources.ts';
import { POOL_FRAME_COUNT } from './unknown-requests.ts';

/** More closings than these are not looked at: the target waits meanwhile. */
const CLOSING_COUNT_MAX = 4096;
/** Other stacks that are compared with one site's. */
const CLOSED_ELSEWHERE_COUNT = 32;

const noneLeft: SectionsSeen['left'] = new Map();

/** Windows ends a process by an ordinary call, too, when no handler takes an exception. */
const crashFunction: RegExp = /^(?:KiUserExceptionDispatcher|UnhandledExceptionFilter|abort)$/;

/**
 * Windows makes a thread in this function for Ctrl-C, Ctrl-Break and the end of the console. It ends the process where
 * no handler of the program does [ran, Wine 8].
 */
const interruption = 'CtrlRoutine';

/** Turns the ledger's calls into ones with resolved stacks, each stack once. */
export class CallReader {
  readonly #sources: EvidenceSources;
  readonly #stacks = new Map<number, Stack>();
  readonly #closers = new Map<number, readonly RunningCloser[]>();
  #lastClosed: ReadonlyMap<string, bigint> | undefined;
  #closedBySite: ReadonlyMap<string, readonly ClosedStack[]> | undefined;

  constructor(sources: EvidenceSources) {
    this.#sources = sources;
  }

  /** How many stacks were resolved. */
  get distinctStacks(): number {
    return this.#stacks.size;
  }

  read(call: LedgerCall): CallRecord {
    return {
      call: call.call ?? 'unknown',
      threadId: call.threadId,
      timeMs: this.timeMs(call.time),
      stack: this.stack(call.stackId, call.time),
    };
  }

  /** The labelled sections in one of which a call was made. */
  sectionNames(call: Pick<LedgerCall, 'threadId' | 'time'>, processId?: number): readonly string[] {
    return this.#sources.sections?.namesOf(call, processId) ?? [];
  }

  /** The sites that left handles open at the ends of sections; none where that is not judged. */
  get leftBySections(): SectionsSeen['left'] {
    return this.#sources.sections?.left ?? noneLeft;
  }

  /** The sections in which a handle was opened and a mistake was made with it. */
  sectionsOf(opened: LedgerCall | undefined, called: LedgerCall): { readonly sections?: Sections } {
    const partsOf = (call: LedgerCall | undefined): readonly SectionPart[] => {
      const tally = new SectionTally();
      if (call?.call !== undefined) tally.add(this.sectionNames(call));
      return tally.parts;
    };
    const [openedIn, calledIn] = [partsOf(opened), partsOf(called)];
    if (openedIn.length + calledIn.length === 0) return {};
    return {
      sections: {
        ...(openedIn.length === 0 ? {} : { opened: openedIn }),
        ...(calledIn.length === 0 ? {} : { called: calledIn }),
      },
    };
  }

  /** Milliseconds since recording began; see {@link CallRecord.timeMs}. */
  timeMs(time: bigint): number {
    return Math.max(0, Number(time - this.#sources.startTime) / 10_000);
  }

  /** @param time FILETIME of a call with this stack: code that is made at run time may have lain there for a while */
  stack(id: number, time?: bigint): Stack {
    let stack = this.#stacks.get(id);
    if (stack === undefined) {
      stack = this.#sources.symbols.resolveStack(this.#sources.ledger.stack(id), time);
      this.#stacks.set(id, stack);
    }
    return stack;
  }

  /** Whether a process or thread had ended by itself: the target's own exit ends its other threads. */
  hadEnded(description: Description | undefined): boolean {
    if (description?.ended !== true) return false;
    const exitingTime = this.#sources.ledger.exitingTime();
    return exitingTime === undefined || description.endedTime === undefined || description.endedTime < exitingTime;
  }

  wrapperOf(value: bigint): Pick<HandleObject, 'wrapper'> {
    const wrapper = this.#sources.ledger.wrapperOf(value);
    return wrapper === undefined ? {} : { wrapper };
  }

  /** Whether a thread ran at the judgement point, and its stack is known. */
  isRunning(threadId: number): boolean {
    return this.#sources.live?.has(threadId) === true;
  }

  /** When a running thread opened the last handle from a stack that is closed; `undefined` when none is. */
  lastClosedTime(threadId: number, openedStackId: number): bigint | undefined {
    this.#lastClosed ??= this.#findLastClosed();
    return this.#lastClosed.get(`${threadId} ${openedStackId}`);
  }

  #findLastClosed(): ReadonlyMap<string, bigint> {
    const found = new Map<string, bigint>();
    const { ledger, live } = this.#sources;
    for (const { threadId, stackId, time } of ledger.openingsOfClosed(new Set(live?.threadIds))) {
      const key = `${threadId} ${stackId}`;
      if (time > (found.get(key) ?? 0n)) found.set(key, time);
    }
    return found;
  }

  /** Whether one running thread may have given handles to another. */
  get mayBePassedOn(): boolean {
    return (this.#sources.live?.count ?? 0) > 1;
  }

  /** The threads that had not left some of the functions by which siblings of a site were closed. */
  closers(openedStackId: number): readonly RunningCloser[] {
    const own = this.#sources.ledger.closedBy(openedStackId);
    const stackIds = own === 0 ? this.#closedElsewhere(openedStackId).map(({ closedBy }) => closedBy) : [own];
    const innermost = new Map<number, RunningCloser>();
    for (const closer of [...new Set(stackIds)].flatMap((stackId) => this.#runningIn(stackId))) {
      const known = innermost.get(closer.threadId);
      if (known === undefined || closer.liveFrom < known.liveFrom) innermost.set(closer.threadId, closer);
    }
    return [...innermost.values()];
  }

  /** The threads inside of functions of one closing stack, which many sites may share. */
  #runningIn(stackId: number): readonly RunningCloser[] {
    let running = this.#closers.get(stackId);
    if (running === undefined) {
      running = Array.from(this.#sources.live?.threadIds ?? []).flatMap((threadId) => {
        const frames = this.liveFrames(threadId, stackId);
        return frames === undefined ? [] : [{ ...frames, closed: this.stack(stackId) }];
      });
      this.#closers.set(stackId, running);
    }
    return running;
  }

  /** The frames of a recorded stack that a thread had not left; `undefined` when it had left them all. */
  liveFrames(threadId: number, stackId: number): RunningThread | undefined {
    const { ledger, symbols, live } = this.#sources;
    const addresses = ownAddresses(ledger.stack(stackId));
    // On Wine a walk runs past the bottom of a thread, and what it finds there means nothing.
    const end = 1 + addresses.findLastIndex((address) => symbols.moduleOf(address) !== undefined);
    const first = live?.firstLive(threadId, addresses.slice(0, end)) ?? end;
    if (first >= end) return undefined;
    const stack = this.stack(stackId);
    // Functions that were inlined have no return address: their frames stand before that of the caller.
    let liveFrom = 0;
    for (let left = first; left > 0 && liveFrom < stack.length; liveFrom++)
      if (stack[liveFrom]!.inlined !== true) left--;
    // A thread of libuv's pool that waits for work has done with what it was asked for.
    const requested = stack.findIndex((frame) => frame.requested === true);
    if (requested !== -1 && liveFrom > requested - POOL_FRAME_COUNT) return undefined;
    return liveFrom < stack.length ? { threadId, liveFrom } : undefined;
  }

  /** How the target came to its end, if it did. */
  ending(): Ending {
    const { ledger, isAborted, goesOn, hasFailedFast } = this.#sources;
    if (goesOn === true) return { cause: 'goes-on' };
    if (isAborted === true) return { cause: 'aborted' };
    const exit = ledger.exit();
    if (exit === undefined) return { cause: hasFailedFast === true ? 'crash' : 'outside' };
    const { threadId, byException, stackId } = exit;
    const stack = this.stack(stackId);
    const isCrash =
      byException ||
      // The thread was unwound to its first function, which takes what no other handler took.
      stack[0]?.function === 'RtlUserThreadStart' ||
      stack.some(({ function: name }) => crashFunction.test(name ?? ''));
    const cause = isCrash ? 'crash' : isInterruption(stack) ? 'interrupted' : 'call';
    return { cause, threadId, ...(stack.length === 0 ? {} : { stack }) };
  }

  /**
   * Where a handle from the same opening stack, and of the same type, was closed last. Handles whose types were not
   * known to the recorder (duplicates of another process's, for example) may be of several types: they tell nothing.
   */
  closingStack(openedStackId: number): Stack | undefined {
    const { ledger } = this.#sources;
    const id = ledger.typeOpenedBy(openedStackId) === 'Unknown' ? 0 : ledger.closedBy(openedStackId);
    return id === 0 ? undefined : this.stack(id);
  }

  /**
   * Other stacks by which the same instruction of the program opened handles of the same type that were closed; see
   * {@link OpenSite.closedElsewhere}.
   */
  closedElsewhere(openedStackId: number): readonly { readonly opened: Stack; readonly closed: Stack }[] {
    return this.#closedElsewhere(openedStackId).map(({ id, closedBy }) => ({
      opened: this.stack(id),
      closed: this.stack(closedBy),
    }));
  }

  #closedElsewhere(openedStackId: number): readonly ClosedStack[] {
    const site = this.#openingSite(openedStackId);
    if (site === undefined) return [];
    this.#closedBySite ??= this.#groupClosedStacks();
    return this.#closedBySite.get(site) ?? [];
  }

  /** Every opening stack with the stack that closed one of its handles last; `undefined` where there are too many. */
  closings(): readonly Closing[] | undefined {
    const closings: Closing[] = [];
    for (const { id, closedBy } of this.#sources.ledger.closedStacks()) {
      if (closings.length === CLOSING_COUNT_MAX) return undefined;
      closings.push({ opened: this.stack(id), closed: this.stack(closedBy) });
    }
    return closings;
  }

  /** The lives that a value had before, as far as both stacks of one are known, with their types. */
  earlierLives(lives: readonly LedgerLife[]): readonly EarlierLife[] {
    return lives.flatMap(({ objectType: type, opened, closed }) =>
      (opened?.stackId ?? 0) === 0 || (closed?.stackId ?? 0) === 0
        ? []
        : [{ object: { type }, opened: this.stack(opened!.stackId), closed: this.stack(closed!.stackId) }],
    );
  }

  /** The same lives, the oldest first, with all that is known of their calls. */
  pastLives(lives: readonly LedgerLife[]): readonly PastLife[] {
    return lives.toReversed().flatMap(({ objectType: type, opened, closed }) => {
      if (opened === undefined) return [];
      return [{ object: { type }, opened: this.read(opened), ...(closed && { closed: this.read(closed) }) }];
    });
  }

  #groupClosedStacks(): ReadonlyMap<string, readonly ClosedStack[]> {
    const closedBySite = new Map<string, ClosedStack[]>();
    for (const pair of this.#sources.ledger.closedStacks()) {
      const site = this.#openingSite(pair.id);
      if (site === undefined) continue;
      const pairs = closedBySite.get(site);
      if (pairs === undefined) closedBySite.set(site, [pair]);
      else if (pairs.length < CLOSED_ELSEWHERE_COUNT) pairs.push(pair);
    }
    return closedBySite;
  }

  /** Where the program's own innermost call of a stack returns to, and the type of what it opened, if that is known. */
  #openingSite(stackId: number): string | undefined {
    const { ledger, symbols } = this.#sources;
    const type = ledger.typeOpenedBy(stackId);
    if (type === 'Unknown') return undefined;
    const address = symbols.programAddress(ledger.stack(stackId));
    return address === undefined ? undefined : `${address} ${type}`;
  }
}

/** A handler of the program's own would be on the stack, and would have ended the process because it wanted to. */
function isInterruption(stack: Stack): boolean {
  const begin = stack.findIndex(({ exported, function: name }) => (exported ?? name) === interruption);
  return begin !== -1 && stack.slice(0, begin + 1).every(({ system }) => system === true);
}

/** A stack that opened handles, and the one that closed one of them last. */
interface ClosedStack {
  readonly id: number;
  readonly closedBy: number;
}
