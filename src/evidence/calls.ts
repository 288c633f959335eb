import type { LedgerCall } from '../call-ledger.ts';
import type { CallRecord, Ending, HandleObject, RunningThread, Stack } from '../model.ts';
import type { Description, EvidenceSources } from './sources.ts';

/** Other stacks that are compared with one site's. */
const CLOSED_ELSEWHERE_COUNT = 32;

/** Turns the ledger's calls into ones with resolved stacks, each stack once. */
export class CallReader {
  readonly #sources: EvidenceSources;
  readonly #stacks = new Map<number, Stack>();
  #closedBySite: ReadonlyMap<bigint, readonly ClosedStack[]> | undefined;

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
      timeMs: Math.max(0, Number(call.time - this.#sources.startTime) / 10_000),
      stack: this.stack(call.stackId),
    };
  }

  stack(id: number): Stack {
    let stack = this.#stacks.get(id);
    if (stack === undefined) {
      stack = this.#sources.symbols.resolveStack(this.#sources.ledger.stack(id));
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

  /** Ids of the threads that ran at the judgement point. */
  get runningThreads(): Iterable<number> {
    return this.#sources.live?.threadIds ?? [];
  }

  /** The frames of a recorded stack that a thread had not left; `undefined` when it had left them all. */
  liveFrames(threadId: number, stackId: number): RunningThread | undefined {
    const { ledger, symbols, live } = this.#sources;
    const addresses = ledger.stack(stackId);
    // On Wine a walk runs past the bottom of a thread, and what it finds there means nothing.
    const end = 1 + addresses.findLastIndex((address) => symbols.moduleOf(address) !== undefined);
    const first = live?.firstLive(threadId, addresses.slice(0, end)) ?? end;
    if (first >= end) return undefined;
    const stack = this.stack(stackId);
    // Functions that were inlined have no return address: their frames stand before that of the caller.
    let liveFrom = 0;
    for (let left = first; left > 0 && liveFrom < stack.length; liveFrom++)
      if (stack[liveFrom]!.inlined !== true) left--;
    return liveFrom < stack.length ? { threadId, liveFrom } : undefined;
  }

  /** How the target came to its end. */
  ending(): Ending {
    const { ledger, isAborted } = this.#sources;
    if (isAborted === true) return { cause: 'aborted' };
    const exit = ledger.exit();
    if (exit === undefined) return { cause: 'outside' };
    const { threadId, byException, stackId } = exit;
    if (byException) return { cause: 'exception', threadId };
    return { cause: 'call', threadId, ...(stackId === 0 ? {} : { stack: this.stack(stackId) }) };
  }

  /** Id of the stack by which a handle from the same opening stack was closed last; 0 when none was. */
  closingStackId(openedStackId: number): number {
    return this.#sources.ledger.closedBy(openedStackId);
  }

  /** Where a handle from the same opening stack was closed last. */
  closingStack(openedStackId: number): Stack | undefined {
    const id = this.closingStackId(openedStackId);
    return id === 0 ? undefined : this.stack(id);
  }

  /**
   * Other stacks by which the same instruction of the program opened handles that were closed; see
   * {@link OpenSite.closedElsewhere}.
   */
  closedElsewhere(openedStackId: number): readonly { readonly opened: Stack; readonly closed: Stack }[] {
    const site = this.#siteAddress(openedStackId);
    if (site === undefined) return [];
    this.#closedBySite ??= this.#groupClosedStacks();
    const pairs = this.#closedBySite.get(site) ?? [];
    return pairs.map(({ id, closedBy }) => ({ opened: this.stack(id), closed: this.stack(closedBy) }));
  }

  #groupClosedStacks(): ReadonlyMap<bigint, readonly ClosedStack[]> {
    const closedBySite = new Map<bigint, ClosedStack[]>();
    for (const pair of this.#sources.ledger.closedStacks()) {
      const address = this.#siteAddress(pair.id);
      if (address === undefined) continue;
      const pairs = closedBySite.get(address);
      if (pairs === undefined) closedBySite.set(address, [pair]);
      else if (pairs.length < CLOSED_ELSEWHERE_COUNT) pairs.push(pair);
    }
    return closedBySite;
  }

  /** Where the program's own innermost call of a stack returns to. */
  #siteAddress(stackId: number): bigint | undefined {
    const { ledger, symbols } = this.#sources;
    return ledger.stack(stackId).find((address) => symbols.moduleOf(address)?.isSystem === false);
  }
}

/** A stack that opened handles, and the one that closed one of them last. */
interface ClosedStack {
  readonly id: number;
  readonly closedBy: number;
}
