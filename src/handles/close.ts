import { CloseHandle, DuplicateHandle, SetHandleInformation } from '../ffi/kernel32.ts';
import type { HANDLE } from '../ffi/library.ts';
import { NtCompareObjects } from '../ffi/ntdll.ts';
import { CURRENT_PROCESS, failed, formatRaw, HandleOrNull, NULL_HANDLE, unsafeRawHandle } from '../io/index.ts';
import { openProcess, type ProcessInfo } from '../process/processes.ts';
import { withDuplicate } from './duplicate.ts';
import type { HandleEntry } from './enumerate.ts';
import { findHandle } from './explain.ts';

/**
 * What came of closing a handle of another process: it is gone; it is gone and its value belongs to another object
 * already; it was another object's before we came; or it is still there.
 */
export type CloseOutcome = 'closed' | 'reused' | 'other-object' | 'still-open';

const PROCESS_DUP_HANDLE = 0x40;
const DUPLICATE_CLOSE_SOURCE = 1;
const DUPLICATE_SAME_ACCESS = 2;
const HANDLE_FLAG_PROTECT_FROM_CLOSE = 2;

/**
 * Closes a handle of another process, and makes sure of it by the kernel's table.
 *
 * A duplicate of the object is held meanwhile: so what has the same value afterwards can be told from what was closed.
 *
 * https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-duplicatehandle
 *
 * @param entry what the handle was when somebody decided to close it
 * @throws Win32Error when the process cannot be opened, or the handle is refused or gone
 */
export function closeHandleOf(info: ProcessInfo, entry: HandleEntry, label: string): CloseOutcome {
  using process = openProcess(info.processId, PROCESS_DUP_HANDLE, label);
  const before = findHandle(info.processId, entry.value);
  if (before === undefined || before.type !== entry.type || before.access !== entry.access) return 'other-object';
  const source = unsafeRawHandle(entry.value);
  const copy = new BigUint64Array(1);
  if (!DuplicateHandle(process.asRawHandle(), source, CURRENT_PROCESS, copy, 0, false, DUPLICATE_SAME_ACCESS)) {
    throw failed('close handle', `${formatRaw(source)} of ${label}`);
  }
  using kept = HandleOrNull.fromRawHandle(unsafeRawHandle(copy[0]!)).tryIntoOwned();
  const taken = new BigUint64Array(1);
  const options = DUPLICATE_CLOSE_SOURCE | DUPLICATE_SAME_ACCESS;
  // The source is closed even where the duplicate cannot be made.
  if (!DuplicateHandle(process.asRawHandle(), source, CURRENT_PROCESS, taken, 0, false, options)) {
    throw failed('close handle', `${formatRaw(source)} of ${label}`);
  }
  // A protected handle's duplicate is protected, too [ran, Wine 8], or may be.
  const moved = unsafeRawHandle(taken[0]!);
  if (moved !== NULL_HANDLE) {
    SetHandleInformation(moved, HANDLE_FLAG_PROTECT_FROM_CLOSE, 0);
    CloseHandle(moved);
  }
  if (findHandle(info.processId, entry.value) === undefined) return 'closed';
  return isSameObject(process, entry.value, kept.asRawHandle()) ? 'still-open' : 'reused';
}

/** A value that was closed and is open again may mean the very same object only by another open of it: that counts as still open. */
function isSameObject(process: Parameters<typeof withDuplicate>[0], value: bigint, object: HANDLE): boolean {
  const same = withDuplicate(process, value, undefined, (handle) => ({ isSame: NtCompareObjects === undefined || NtCompareObjects(handle, object) === 0 }));
  return 'isSame' in same && same.isSame;
}
