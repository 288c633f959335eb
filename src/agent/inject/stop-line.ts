import { DUPLICATE_CLOSE_SOURCE } from '../../ffi/constants.ts';
import { CreateEventW, CreateMutexW, DuplicateHandle, ReleaseMutex } from '../../ffi/kernel32.ts';
import {
  type AsHandle,
  type BorrowedHandle,
  CURRENT_PROCESS,
  failed,
  HandleOrNull,
  NULL_HANDLE,
  type OwnedHandle,
  unsafeRawHandle,
} from '../../io/index.ts';

const MUTANT_ACCESS = 0x10_0001; // SYNCHRONIZE | MUTANT_QUERY_STATE
const EVENT_MODIFY_STATE = 0x2;
const what = 'the line for stops';

/**
 * The objects by which threads of targets ask about a stop: an event that calls the auditor, and a mutant that it holds
 * while it answers. The kernel releases the mutant of a dead auditor. All targets of one audit share them, and hold
 * handles of them.
 */
export class StopLine implements Disposable {
  readonly #alive: OwnedHandle;
  readonly #called: OwnedHandle;
  #isOpen = true;

  /** @throws Win32Error when Windows refuses */
  constructor() {
    this.#alive = HandleOrNull.fromRawHandle(CreateMutexW(null, true, null)).expect('create', what);
    try {
      this.#called = HandleOrNull.fromRawHandle(CreateEventW(null, false, false, null)).expect('create', what);
    } catch (error) {
      this.#alive[Symbol.dispose]();
      throw error;
    }
  }

  /** Signalled when a thread asks. */
  get called(): BorrowedHandle {
    return this.#called.asHandle();
  }

  /**
   * Gives a target its handles.
   *
   * @returns the values of the mutant and the event there
   * @throws Win32Error when Windows refuses
   */
  placeIn(target: AsHandle): readonly [bigint, bigint] {
    return [give(this.#alive, MUTANT_ACCESS, target), give(this.#called, EVENT_MODIFY_STATE, target)];
  }

  /** Lets all threads go that wait, and those that are going to ask. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (!ReleaseMutex(this.#alive.asRawHandle())) throw failed('close', what);
  }

  [Symbol.dispose](): void {
    using _alive = this.#alive;
    using _called = this.#called;
    this.close();
  }
}

function give(object: AsHandle, access: number, target: AsHandle): bigint {
  const value = new BigUint64Array(1);
  const [from, to] = [object.asHandle().asRawHandle(), target.asHandle().asRawHandle()];
  if (!DuplicateHandle(CURRENT_PROCESS, from, to, value, access, false, 0)) throw failed('give the target', what);
  return value[0]!;
}

/** Closes handles that {@link StopLine.placeIn} gave a target, if it has not closed them itself. */
export function takeBack(target: AsHandle, values: readonly bigint[]): void {
  for (const value of values) {
    if (value === 0n) continue;
    const raw = unsafeRawHandle(value);
    DuplicateHandle(target.asHandle().asRawHandle(), raw, NULL_HANDLE, null, 0, false, DUPLICATE_CLOSE_SOURCE);
  }
}
