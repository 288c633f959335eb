import { CreateMutexW, ReleaseMutex } from '../../ffi/kernel32.ts';
import { type AsHandle, type BorrowedHandle, failed, HandleOrNull, type OwnedHandle } from '../../io/index.ts';

const what = 'the mutant for stops';

/**
 * A mutant that this thread holds while it answers threads of targets that ask about a stop. The kernel releases it for
 * a dead auditor. All targets of one audit share it, and have a handle of it.
 */
export class StopLine implements AsHandle, Disposable {
  readonly #mutant: OwnedHandle;
  #isOpen = true;

  /** @throws Win32Error when Windows refuses */
  constructor() {
    this.#mutant = HandleOrNull.fromRawHandle(CreateMutexW(null, true, null)).expect('create', what);
  }

  asHandle(): BorrowedHandle {
    return this.#mutant.asHandle();
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
