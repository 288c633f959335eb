import type { AsHandle } from '../../../io/index.ts';
import type { HookedModule } from '../../link/link-agent.ts';
import { findLibuv, type Libuv } from './locate-libuv.ts';

/** The modules of one target whose functions are hooked: DLLs of the system, and the program if it has libuv in it. */
export class TargetModules {
  /** Those of the system, as far as the target maps them. */
  readonly system: readonly HookedModule[];
  readonly #wantsRequests: boolean;
  #libuv: Libuv | undefined;

  /** @param wantsRequests functions of libuv are to be hooked, too */
  constructor(system: readonly HookedModule[], wantsRequests: boolean) {
    this.system = system;
    this.#wantsRequests = wantsRequests;
  }

  /** All that are to be hooked. */
  get hooked(): readonly HookedModule[] {
    return this.hasRequests ? [...this.system, ...this.#program] : this.system;
  }

  /** Whether functions of libuv are among {@link hooked}. */
  get hasRequests(): boolean {
    return this.#wantsRequests && this.#libuv !== undefined && this.#libuv.functions.length > 0;
  }

  /** Those with functions that an earlier audit may have hooked, and that this one only gives back. */
  get givenBack(): readonly HookedModule[] {
    return this.hasRequests ? [] : this.#program;
  }

  /** How many that are wanted are left alone, because their own code is not known. */
  get unknown(): number {
    return this.#wantsRequests ? (this.#libuv?.unknown ?? 0) : 0;
  }

  /**
   * Looks for libuv in the program of a target.
   *
   * @param program its address, and the path of its file if it has begun to run: see {@link findLibuv}
   * @param isOther an earlier audit has left hooks of it
   */
  lookForLibuv(
    target: AsHandle,
    program: { readonly base: bigint; readonly path?: string } | undefined,
    isOther = false,
  ): void {
    if (program !== undefined && (this.#wantsRequests || isOther))
      this.#libuv ??= findLibuv(target, program.base, program.path);
  }

  get #program(): readonly HookedModule[] {
    return this.#libuv === undefined ? [] : [this.#libuv];
  }
}
