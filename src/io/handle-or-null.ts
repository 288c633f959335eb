import { NullHandleError } from './errors.ts';
import type { OwnedHandle } from './handle.ts';
import { NULL_HANDLE, type RawHandle } from './raw.ts';
import { failed } from './system-error.ts';
import { UncheckedHandle } from './unchecked-handle.ts';

/**
 * The result of a call that returns NULL when it fails, such as `OpenProcess`, `CreateEventW` and `CreateThread`. Its
 * only use is to become an {@link OwnedHandle}, which includes the check.
 *
 * `-1n` is a valid handle here: the current process. Converting consumes; disposing of one that was not converted
 * closes its handle, unless it is NULL.
 *
 * Rust: `std::os::windows::io::HandleOrNull`.
 */
export class HandleOrNull implements Disposable {
  readonly #result: UncheckedHandle;

  private constructor(raw: RawHandle) {
    this.#result = new UncheckedHandle(raw, NULL_HANDLE);
  }

  /**
   * Takes what a call returned.
   *
   * Unsafe: the caller promises that `raw` is NULL or satisfies {@link OwnedHandle.fromRawHandle}.
   */
  static fromRawHandle(raw: RawHandle): HandleOrNull {
    return new HandleOrNull(raw);
  }

  /**
   * The handle, owned. A failed conversion makes no call to Windows, so the last error still holds the reason.
   *
   * @throws NullHandleError when it is NULL
   * @throws OwnerGoneError when it was converted or disposed of before
   */
  tryIntoOwned(): OwnedHandle {
    const owner = this.#result.convert();
    if (owner === undefined) throw new NullHandleError();
    return owner;
  }

  /**
   * The handle, owned, or an error with the reason. Must follow the call at once, because the reason is the thread's
   * last error: `HandleOrNull.fromRawHandle(OpenProcess(…)).expect('open process', '4242')`.
   *
   * @param what the thing that cannot be done, as it follows "Cannot"
   * @param object which one
   * @param tryThis what might help, as it follows "Try"
   * @throws Win32Error when it is NULL
   * @throws OwnerGoneError when it was converted or disposed of before
   */
  expect(what: string, object: string, tryThis?: string): OwnedHandle {
    const owner = this.#result.convert();
    if (owner === undefined) throw failed(what, object, tryThis);
    return owner;
  }

  /** Closes the handle, unless it is NULL or was converted. */
  [Symbol.dispose](): void {
    this.#result[Symbol.dispose]();
  }
}
