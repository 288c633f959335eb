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
  NULL_HANDLE,
  type OwnedHandle,
  unsafeRawHandle,
} from '../io/index.ts';
import { openProcess, type ProcessInfo } from '../process/processes.ts';
import { withDuplicate } from './duplicate.ts';
import { findHandle } from './explanation.ts';

/**
 * What came of closing a handle of another process: it is gone; it is gone and its value belongs to another object
 * already; it was another object's before we came; or it is still there.
 */
export type CloseOutcome = 'closed' | 'reused' | 'other-object' | 'still-open';

/**
 * A handle of another process that somebody thinks of closing.
 *
 * A duplicate of its object is held from before they are asked until after the close: so the object that they were
 * shown is told from any other that the process gives the same value meanwhile, even of the same type and name.
 */
export class HandleToClose implements Disposable {
  readonly #info: ProcessInfo;
  readonly #value: bigint;
  readonly #label: string;
  readonly #process: OwnedHandle;
  readonly #object: OwnedHandle;

  /** @throws Win32Error when the process cannot be opened, or the handle is refused or gone */
  constructor(info: ProcessInfo, value: bigint, label: string) {
    this.#info = info;
    this.#value = value;
    this.#label = label;
    this.#process = openProcess(info.processId, PROCESS_DUP_HANDLE, label);
    try {
      const copy = this.#duplicate(DUPLICATE_SAME_ACCESS);
      // A protected handle's duplicate is protected, too [ran, Wine 8], or may be.
      SetHandleInformation(copy, HANDLE_FLAG_PROTECT_FROM_CLOSE, 0);
      this.#object = HandleOrNull.fromRawHandle(copy).tryIntoOwned();
    } catch (error) {
      this.#process[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Closes the handle, and makes sure of it by the kernel's table. The process runs meanwhile: between the last look
   * and the close it may still change what the value means.
   *
   * https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-duplicatehandle
   *
   * @throws Win32Error when Windows refuses
   */
  close(): CloseOutcome {
    if (findHandle(this.#info.processId, this.#value) === undefined || !this.#meansTheObject()) return 'other-object';
    // The source is closed even where the duplicate cannot be made.
    const moved = this.#duplicate(DUPLICATE_CLOSE_SOURCE | DUPLICATE_SAME_ACCESS);
    if (moved !== NULL_HANDLE) {
      SetHandleInformation(moved, HANDLE_FLAG_PROTECT_FROM_CLOSE, 0);
      CloseHandle(moved);
    }
    if (findHandle(this.#info.processId, this.#value) === undefined) return 'closed';
    return this.#meansTheObject() ? 'still-open' : 'reused';
  }

  [Symbol.dispose](): void {
    using _process = this.#process;
    using _object = this.#object;
  }

  #duplicate(options: number): HANDLE {
    const source = unsafeRawHandle(this.#value);
    const copy = new BigUint64Array(1);
    if (!DuplicateHandle(this.#process.asRawHandle(), source, CURRENT_PROCESS, copy, 0, false, options)) {
      throw failed('close handle', `${formatRaw(source)} of ${this.#label}`);
    }
    return unsafeRawHandle(copy[0]!);
  }

  /**
   * A value that was closed and is open again may mean the very same object only by another open of it: that counts as
   * the same.
   */
  #meansTheObject(): boolean {
    const object = this.#object.asRawHandle();
    const same = withDuplicate(this.#process, this.#value, undefined, (handle) => ({
      isSame: NtCompareObjects === undefined || NtCompareObjects(handle, object) === 0,
    }));
    return 'isSame' in same && same.isSame;
  }
}
