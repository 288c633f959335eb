/** The stack of a thread that stood still at the judgement point: words that may be return addresses. */
interface StackWords {
  readonly threadId: number;
  /** 64-bit words from the innermost one on, each as two halves, the lower one first. */
  readonly halves: Uint32Array;
}

/**
 * The stacks of the threads that lived at the judgement point. They are not walked: a function that has not returned
 * has its return address on the stack, and the return addresses of its callers beyond it, in their order.
 */
export class LiveStacks {
  readonly #stacks: ReadonlyMap<number, Uint32Array>;

  /** @param stacks one for each thread */
  constructor(stacks: Iterable<StackWords>) {
    this.#stacks = new Map(Array.from(stacks, ({ threadId, halves }) => [threadId, halves]));
  }

  get count(): number {
    return this.#stacks.size;
  }

  get threadIds(): Iterable<number> {
    return this.#stacks.keys();
  }

  has(threadId: number): boolean {
    return this.#stacks.has(threadId);
  }

  /**
   * The calls that a thread has not returned from, among those of one of its earlier stacks.
   *
   * @param addresses return addresses of the earlier stack, innermost first
   * @returns the index of the innermost one that is on the stack with all those beyond it; their number when none is
   */
  firstLive(threadId: number, addresses: readonly bigint[]): number {
    const halves = this.#stacks.get(threadId) ?? new Uint32Array();
    let end = halves.length;
    for (let index = addresses.length - 1; index >= 0; index--) {
      const place = findLast(halves, addresses[index]!, end);
      if (place < 0) return index + 1;
      end = place - 2; // a frame has more than its return address; a list of addresses has not
    }
    return 0;
  }
}

/** Where a word stands for the last time before `end`; -1 where it does not. Counted in halves. */
function findLast(halves: Uint32Array, word: bigint, end: number): number {
  const low = Number(BigInt.asUintN(32, word));
  const high = Number(BigInt.asUintN(32, word >> 32n));
  for (let at = end - 2; at >= 0; at -= 2) {
    if (halves[at] === low && halves[at + 1] === high) return at;
  }
  return -1;
}
