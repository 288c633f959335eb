import { INVALID_HANDLE_VALUE } from '../ffi/kernel32.ts';
import { InvalidHandleError } from './errors.ts';
import type { OwnedHandle } from './handle.ts';
import type { RawHandle } from './raw.ts';
import { failed } from './system-error.ts';
import { UncheckedHandle } from './unchecked-handle.ts';

/**
 * The result of a call that returns INVALID_HANDLE_VALUE when it fails, such as `CreateFileW` and
 * `CreateNamedPipeW`. Its only use is to become an {@link OwnedHandle}, which includes the check.
 *
 * NULL is a valid handle here. Converting consumes; disposing of one that was not converted closes its handle, unless
 * it is INVALID_HANDLE_VALUE.
 *
 * Rust: `std::os::windows::io::HandleOrInvalid`.
 */
export class HandleOrInvalid implements Disposable {
  readonly #result: UncheckedHandle;

  private constructor(raw: RawHandle) {
    this.#result = new UncheckedHandle(raw, INVALID_HANDLE_VALUE);
  }

  /**
   * Takes what a call returned.
   *
   * Unsafe: the caller promises that `raw` is INVALID_HANDLE_VALUE or satisfies {@link OwnedHandle.fromRawHandle}.
   */
  static fromRawHandle(raw: RawHandle): HandleOrInvalid {
    return new HandleOrInvalid(raw);
  }

  /**
   * The handle, owned. A failed conversion makes no call to Windows, so the last error still holds the reason.
   *
   * @throws InvalidHandleError when it is INVALID_HANDLE_VALUE
   * @throws OwnerGoneError when it was converted or disposed of before
   */
  tryIntoOwned(): OwnedHandle {
    const owner = this.#result.convert();
    if (owner === undefined) throw new InvalidHandleError();
    return owner;
  }

  /**
   * The handle, owned, or an error with the reason. Must follow the call at once, because the reason is the thread's
   * last error: `HandleOrInvalid.fromRawHandle(CreateFileW(…)).expect('open file', path)`.
   *
   * @param what the thing that cannot be done, as it follows "Cannot"
   * @param object which one
   * @param tryThis what might help, as it follows "Try"
   * @throws Win32Error when it is INVALID_HANDLE_VALUE
   * @throws OwnerGoneError when it was converted or disposed of before
   */
  expect(what: string, object: string, tryThis?: string): OwnedHandle {
    const owner = this.#result.convert();
    if (owner === undefined) throw failed(what, object, tryThis);
    return owner;
  }

  /** Closes the handle, unless it is INVALID_HANDLE_VALUE or was converted. */
  [Symbol.dispose](): void {
    this.#result[Symbol.dispose]();
  }
}
