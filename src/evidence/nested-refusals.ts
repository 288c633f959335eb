import type { CallLedger, LedgerMisuse } from '../call-ledger.ts';

/**
 * Leaves out the refusals that a refused function of a DLL made on its way: some of Winsock's functions pass a bad
 * socket on to the kernel (on Wine `setsockopt` and `listen` do), whose refusal is recorded before that of the function
 * itself. The call that counts is the one that the program made. A function that is given a closed pseudo console may
 * go on to use the handles that had been beneath it, and a wrong closer takes whatever it finds for handles.
 *
 * Takes time in proportion to the records, however many come from one place: the target waits meanwhile.
 */
export function dropNestedRefusals(
  ledger: Pick<CallLedger, 'stack'>,
  misuses: readonly LedgerMisuse[],
): LedgerMisuse[] {
  const callers = new CallerTree();
  for (const { byFunction, kind, offending, values, hidesHandles } of misuses) {
    const mayRefuseOthers = hidesHandles === true || kind === 'wrong-closer';
    if (byFunction) callers.add(ledger.stack(offending.stackId), mayRefuseOthers ? 'any' : values);
  }
  return misuses.filter(({ offending, values }) => !callers.hasCaller(ledger.stack(offending.stackId), values));
}

/** The stacks of refused functions, innermost address first, as a tree; each node knows the values that lie below. */
class CallerTree {
  readonly #root = new Branch();

  add(stack: readonly bigint[], values: readonly bigint[] | 'any'): void {
    let branch = this.#root;
    for (const address of stack) {
      branch = branch.grow(address);
      if (values === 'any') branch.hasAny = true;
      else for (const value of values) branch.values.add(value);
    }
  }

  /**
   * Whether a function was refused one of the values and has a stack that goes on where this one comes to the
   * function's caller. The inner stack is the longer one, so its far end may have been cut.
   */
  hasCaller(stack: readonly bigint[], values: readonly bigint[]): boolean {
    // A recursion holds an address several times: the innermost is the call that was made last.
    const seen = new Set(stack.slice(0, 1));
    for (let depth = 1; depth < stack.length; depth++) {
      const address = stack[depth]!;
      if (seen.has(address)) continue;
      seen.add(address);
      const branch = this.#follow(stack, depth);
      if (branch !== undefined && (branch.hasAny || values.some((value) => branch.values.has(value)))) return true;
    }
    return false;
  }

  #follow(stack: readonly bigint[], from: number): Branch | undefined {
    let branch: Branch | undefined = this.#root;
    for (let depth = from; depth < stack.length && branch !== undefined; depth++) {
      branch = branch.next.get(stack[depth]!);
    }
    return branch;
  }
}

class Branch {
  readonly next = new Map<bigint, Branch>();
  readonly values = new Set<bigint>();
  /** The function was refused an object, and any handle may be one beneath it. */
  hasAny = false;

  grow(address: bigint): Branch {
    let branch = this.next.get(address);
    if (branch === undefined) {
      branch = new Branch();
      this.next.set(address, branch);
    }
    return branch;
  }
}
