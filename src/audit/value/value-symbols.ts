import type { Ledger } from '../../agent/ledger/ledger.ts';
import type { Stack } from '../../model.ts';
import type { Module } from '../../process/modules.ts';
import { Symbolizer } from '../../symbols/symbolizer.ts';
import { NotedModules } from '../noted-modules.ts';
import type { NameSources } from '../options.ts';
import type { ValueEvent } from './value-events.ts';

/** A call that has to do with a handle value, for a person. */
export interface ShownEvent extends Omit<ValueEvent, 'call'> {
  /** Name of the call: `NtCreateEvent`. */
  readonly call: string;
  readonly threadId: number;
  /** FILETIME. */
  readonly time: bigint;
  readonly stack: Stack;
}

/** The process that made the calls. */
interface Caller {
  /** Whole path of its program. */
  readonly image: string;
  /** The modules that it has loaded now. */
  modules(): readonly Module[];
}

/**
 * Names the stacks of calls while the process runs. The symbols are its own: those of a report must not remember an
 * answer from before a module was known.
 */
export class ValueSymbols implements Disposable {
  readonly #caller: Caller;
  readonly #ledger: Ledger;
  readonly #symbolizer: Symbolizer;
  readonly #modules: NotedModules;

  constructor(caller: Caller, ledger: Ledger, names: NameSources = {}) {
    this.#caller = caller;
    this.#ledger = ledger;
    this.#symbolizer = new Symbolizer([], { userPaths: [caller.image], ...names });
    this.#modules = new NotedModules(this.#symbolizer);
  }

  /** @throws NtStatusError when the modules of the process cannot be listed */
  show({ call: { call = 'unknown', threadId, time, stackId }, ...event }: ValueEvent): ShownEvent {
    if (this.#modules.areBehind(this.#ledger)) this.#modules.add(this.#ledger, () => this.#caller.modules());
    return { ...event, call, threadId, time, stack: this.#symbolizer.resolveStack(this.#ledger.stack(stackId)) };
  }

  [Symbol.dispose](): void {
    this.#symbolizer[Symbol.dispose]();
  }
}
