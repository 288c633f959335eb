import type { Ledger } from '../../agent/ledger/ledger.ts';
import type { Stack } from '../../model.ts';
import type { Module } from '../../process/modules.ts';
import { Symbolizer } from '../../symbols/symbolizer.ts';
import { listNotedModules } from '../noted-modules.ts';
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
  /** How many images were mapped when modules were last added; more may have been loaded before recording began. */
  #imageCount = -1;

  constructor(caller: Caller, ledger: Ledger, names: NameSources = {}) {
    this.#caller = caller;
    this.#ledger = ledger;
    this.#symbolizer = new Symbolizer([], { userPaths: [caller.image], ...names });
  }

  /** @throws NtStatusError when the modules of the process cannot be listed */
  show({ call: { call = 'unknown', threadId, time, stackId }, ...event }: ValueEvent): ShownEvent {
    const addresses = this.#ledger.stack(stackId);
    if (addresses.some((address) => this.#symbolizer.moduleOf(address) === undefined)) this.#addModules();
    return { ...event, call, threadId, time, stack: this.#symbolizer.resolveStack(addresses) };
  }

  #addModules(): void {
    const noted = listNotedModules(this.#ledger);
    if (noted.length === this.#imageCount) return;
    this.#imageCount = noted.length;
    this.#symbolizer.addModules(this.#caller.modules());
    this.#symbolizer.addModules(noted);
  }

  [Symbol.dispose](): void {
    this.#symbolizer[Symbol.dispose]();
  }
}
