import {
  DUPLICATE_CLOSE_SOURCE,
  DUPLICATE_SAME_ACCESS,
  HANDLE_FLAG_PROTECT_FROM_CLOSE,
  PROCESS_DUP_HANDLE,
} from '../ffi/constants.ts';
import { CloseHandle, DuplicateHandle, SetHandleInformation } from '../ffi/kernel32.ts';
import type { HANDLE } from '../ffi/library.ts';
import { NtCompareObjects } from '../ffi/ntdll.ts';
import {
  CURRENT_PROCESS,
  failed,
  formatRaw,
  HandleOrNull,
  type OwnedHandle,
  unsafeRawHandle,
  Win32Error,
} from '../io/index.ts';
import { openListed, type ProcessInfo } from '../process/processes.ts';
import { withDuplicate } from './duplicate.ts';
import { findHandle } from './explanation.ts';

/**
 * The outcome of closing a handle of another process: it is closed; it is closed, and its value belongs to another
 * object by now; its value had come to belong to another object before; or it is still open.
 */
export type CloseOutcome = 'closed' | 'reused' | 'other-object' | 'still-open';

/**
 * A handle of another process that the user may want to close.
 *
 * It holds a duplicate from before the user is asked until after the close. By that, the object that the user saw can
 * be told from any other to which the process gives the same value in between, even one of the same type and name.
 */
export class HandleToClose implements Disposable {
  readonly #info: ProcessInfo;
  readonly #value: bigint;
  readonly #label: string;
  readonly #process: OwnedHandle;
  readonly #object: OwnedHandle;

  /**
   * @throws ProcessNotFoundError when the process has ended
   * @throws Win32Error when the process cannot be opened, or the handle is refused or gone
   */
  constructor(info: ProcessInfo, value: bigint, label: string) {
    this.#info = info;
    this.#value = value;
    this.#label = label;
    this.#process = openListed(info, PROCESS_DUP_HANDLE, label);
    try {
      const copy = this.#duplicate(DUPLICATE_SAME_ACCESS);
      if (copy instanceof Win32Error) throw copy;
      // The duplicate of a protected handle may be protected, too [ran, Wine 8].
      SetHandleInformation(copy, HANDLE_FLAG_PROTECT_FROM_CLOSE, 0);
      this.#object = HandleOrNull.fromRawHandle(copy).tryIntoOwned();
    } catch (error) {
      this.#process[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Closes the handle, and checks the kernel's table afterwards. The process goes on running: between the check before
   * the close and the close itself, the value may still come to mean another object.
   *
   * https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-duplicatehandle
   *
   * @throws Win32Error when Windows refuses
   */
  close(): CloseOutcome {
    if (findHandle(this.#info.processId, this.#value) === undefined || !this.#meansTheObject()) return 'other-object';
    const moved = this.#duplicate(DUPLICATE_CLOSE_SOURCE | DUPLICATE_SAME_ACCESS);
    if (!(moved instanceof Win32Error)) {
      SetHandleInformation(moved, HANDLE_FLAG_PROTECT_FROM_CLOSE, 0);
      CloseHandle(moved);
    }
    // The source is closed even if the duplicate cannot be made.
    if (findHandle(this.#info.processId, this.#value) === undefined) return 'closed';
    if (!this.#meansTheObject()) return 'reused';
    if (moved instanceof Win32Error) throw moved;
    return 'still-open';
  }

  [Symbol.dispose](): void {
    using _process = this.#process;
    using _object = this.#object;
  }

  /** A duplicate in this process, or why there is none. */
  #duplicate(options: number): HANDLE | Win32Error {
    const source = unsafeRawHandle(this.#value);
    const copy = new BigUint64Array(1);
    if (!DuplicateHandle(this.#process.asRawHandle(), source, CURRENT_PROCESS, copy, 0, false, options)) {
      return failed('close handle', `${formatRaw(source)} of ${this.#label}`);
    }
    return unsafeRawHandle(copy[0]!);
  }

  /**
   * Whether the value still means that object. If the process closed it and opened the same object again, that counts
   * as the same.
   */
  #meansTheObject(): boolean {
    const object = this.#object.asRawHandle();
    const same = withDuplicate(this.#process, this.#value, undefined, (handle) => ({
      isSame: NtCompareObjects === undefined || NtCompareObjects(handle, object) === 0,
    }));
    return 'isSame' in same && same.isSame;
  }
}
