import type { LedgerCall, LedgerEarlierLife } from '../call-ledger.ts';
import type { CallRecord, Closing, EarlierLife, HandleObject, Stack } from '../model.ts';
import type { Description, EvidenceSources } from './sources.ts';

/** More closings than these are not looked at: the target waits meanwhile. */
const CLOSING_COUNT_MAX = 4096;
/** Other stacks that are compared with one site's. */
const CLOSED_ELSEWHERE_COUNT = 32;

/** Turns the ledger's calls into ones with resolved stacks, each stack once. */
export class CallReader {
  readonly #sources: EvidenceSources;
  readonly #stacks = new Map<number, Stack>();
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
    const site = this.#openingSite(openedStackId);
    if (site === undefined) return [];
    this.#closedBySite ??= this.#groupClosedStacks();
    const pairs = this.#closedBySite.get(site) ?? [];
    return pairs.map(({ id, closedBy }) => ({ opened: this.stack(id), closed: this.stack(closedBy) }));
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

  /** The lives that a value had before, with their stacks and types. */
  earlierLives(lives: readonly LedgerEarlierLife[]): readonly EarlierLife[] {
    return lives.map(({ openedStackId, closedStackId }) => ({
      object: { type: this.#sources.ledger.typeOpenedBy(openedStackId) },
      opened: this.stack(openedStackId),
      closed: this.stack(closedStackId),
    }));
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
    const address = ledger.stack(stackId).find((each) => symbols.moduleOf(each)?.isSystem === false);
    return address === undefined ? undefined : `${address} ${type}`;
  }
}

/** A stack that opened handles, and the one that closed one of them last. */
interface ClosedStack {
  readonly id: number;
  readonly closedBy: number;
}
