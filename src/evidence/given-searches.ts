import type { CallLedger, LedgerCall } from '../call-ledger.ts';

/**
 * The searches of FindFirstFile that a program gave to a wrong closer. The recorder does not know their handles. But
 * the stack that opened such a handle goes on, outside of Windows, as that of the search does.
 */
export class GivenSearches {
  readonly #ledger: Pick<CallLedger, 'stack'>;
  /** Searches that are left, by the caller of FindFirstFile. */
  readonly #left = new Map<bigint, { readonly stack: readonly bigint[]; count: number }[]>();

  constructor(ledger: Pick<CallLedger, 'stack' | 'searchesGivenToWrongCloser'>) {
    this.#ledger = ledger;
    const counts = new Map<number, number>();
    for (const id of ledger.searchesGivenToWrongCloser()) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const [id, count] of counts) {
      const stack = ledger.stack(id);
      const [caller] = stack;
      if (caller === undefined) continue;
      const group = this.#left.get(caller);
      if (group === undefined) this.#left.set(caller, [{ stack, count }]);
      else group.push({ stack, count });
    }
  }

  /** Whether the handle may belong to one of the searches; that search is used up. */
  take({ stackId }: LedgerCall): boolean {
    if (this.#left.size === 0) return false;
    const stack = this.#ledger.stack(stackId);
    for (const [depth, address] of stack.entries()) {
      // The inner stack is the longer one, so its far end may have been cut.
      const search = this.#left
        .get(address)
        ?.find((each) => each.count > 0 && stack.slice(depth).every((frame, index) => frame === each.stack[index]));
      if (search === undefined) continue;
      search.count--;
      return true;
    }
    return false;
  }
}
