import type { CallLedger, LedgerMisuse } from '../call-ledger.ts';
import type { StackReader } from './sources.ts';

/**
 * Leaves out the refusals that a refused function of a DLL made on its way: some of Winsock's functions pass a bad
 * socket on to the kernel (on Wine `setsockopt` and `listen` do), whose refusal is recorded before that of the function
 * itself. The call that counts is the one that the program made. A function that is given a closed pseudo console may
 * go on to use the handles that had been beneath it, and `fclose` takes whatever it finds at an address for handles.
 *
 * A library that calls functions by their names makes all calls from one place. A refusal is on the way of a function
 * only if the function's own DLL is on the stack within it.
 *
 * Takes time in proportion to the records, however many come from one place: the target waits meanwhile.
 */
export function dropNestedRefusals(
  ledger: Pick<CallLedger, 'stack'>,
  misuses: readonly LedgerMisuse[],
  modules: Pick<StackReader, 'moduleOf'>,
): LedgerMisuse[] {
  const callers = new CallerTree(modules);
  for (const { functionOf, offending, values, mayUseOthers } of misuses)
    if (functionOf !== undefined) callers.add(functionOf, ledger.stack(offending.stackId), mayUseOthers ?? values);
  return misuses.filter(({ offending, values }) => !callers.hasCaller(ledger.stack(offending.stackId), values));
}

/** The values that a function was refused; `true` when any may have been among those that it used. */
type Values = readonly bigint[] | true;

/** The stacks of refused functions, innermost address first, as a tree; each node knows the values that lie below. */
class CallerTree {
  readonly #root = new Branch();
  readonly #modules: Pick<StackReader, 'moduleOf'>;
  readonly #moduleNames = new Map<bigint, string | undefined>();

  constructor(modules: Pick<StackReader, 'moduleOf'>) {
    this.#modules = modules;
  }

  add(dll: string, stack: readonly bigint[], values: Values): void {
    let branch = this.#root;
    for (const address of stack) {
      branch = branch.grow(address);
      branch.note(dll, values);
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
      const dlls = this.#follow(stack, depth)?.dllsThatRefused(values) ?? [];
      if (dlls.length > 0 && this.#leadsThrough(stack.slice(0, depth), dlls)) return true;
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

  /** Whether one of the addresses lies in one of the DLLs, or in no module that is known. */
  #leadsThrough(addresses: readonly bigint[], dlls: readonly string[]): boolean {
    return addresses.some((address) => {
      const name = this.#moduleName(address);
      return name === undefined || dlls.includes(name);
    });
  }

  #moduleName(address: bigint): string | undefined {
    if (!this.#moduleNames.has(address))
      this.#moduleNames.set(address, this.#modules.moduleOf(address)?.name.toLowerCase());
    return this.#moduleNames.get(address);
  }
}

class Branch {
  readonly next = new Map<bigint, Branch>();
  /** The values that functions of each DLL were refused. */
  readonly #refused = new Map<string, { readonly values: Set<bigint>; hasAny: boolean }>();

  grow(address: bigint): Branch {
    let branch = this.next.get(address);
    if (branch === undefined) {
      branch = new Branch();
      this.next.set(address, branch);
    }
    return branch;
  }

  note(dll: string, values: Values): void {
    let refused = this.#refused.get(dll);
    if (refused === undefined) {
      refused = { values: new Set(), hasAny: false };
      this.#refused.set(dll, refused);
    }
    if (values === true) refused.hasAny = true;
    else for (const value of values) refused.values.add(value);
  }

  dllsThatRefused(values: readonly bigint[]): readonly string[] {
    return [...this.#refused].flatMap(([dll, refused]) =>
      refused.hasAny || values.some((value) => refused.values.has(value)) ? [dll] : [],
    );
  }
}
