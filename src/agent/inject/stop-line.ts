import { DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS } from '../../ffi/constants.ts';
import { CreateMutexW, DuplicateHandle, ReleaseMutex } from '../../ffi/kernel32.ts';
import { type AsHandle, CURRENT_PROCESS, failed, HandleOrNull, OwnedHandle, unsafeRawHandle } from '../../io/index.ts';

const MUTANT_ACCESS = 0x10_0001; // SYNCHRONIZE | MUTANT_QUERY_STATE
const what = 'the mutant for stops';

/**
 * A mutant that this thread holds while it answers threads of targets that ask about a stop. The kernel releases it for
 * a dead auditor. All targets of one audit share it, and have a handle of it.
 */
export class StopLine implements Disposable {
  readonly #mutant: OwnedHandle;
  #isOpen = true;

  /** @throws Win32Error when Windows refuses */
  constructor() {
    this.#mutant = HandleOrNull.fromRawHandle(CreateMutexW(null, true, null)).expect('create', what);
  }

  /**
   * Gives a target its handle.
   *
   * @returns the value there
   * @throws Win32Error when Windows refuses
   */
  placeIn(target: AsHandle): bigint {
    const value = new BigUint64Array(1);
    const [from, to] = [this.#mutant.asRawHandle(), target.asHandle().asRawHandle()];
    if (!DuplicateHandle(CURRENT_PROCESS, from, to, value, MUTANT_ACCESS, false, 0))
      throw failed('give the target', what);
    return value[0]!;
  }

  /** Lets all threads go that wait, and those that are going to ask. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (!ReleaseMutex(this.#mutant.asRawHandle())) throw failed('release', what);
  }

  [Symbol.dispose](): void {
    using _mutant = this.#mutant;
    this.close();
  }
}

/** Closes the handle that {@link StopLine.placeIn} gave a target. The caller knows that the target has it still. */
export function takeBack(target: AsHandle, value: bigint): void {
  if (value === 0n) return;
  const from = target.asHandle().asRawHandle();
  const moved = new BigInt64Array(1);
  const options = DUPLICATE_CLOSE_SOURCE | DUPLICATE_SAME_ACCESS;
  if (!DuplicateHandle(from, unsafeRawHandle(value), CURRENT_PROCESS, moved, 0, false, options)) return;
  OwnedHandle.fromRawHandle(unsafeRawHandle(moved[0]!))[Symbol.dispose]();
}
