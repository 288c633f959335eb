import { DUPLICATE_SAME_ACCESS } from '../ffi/constants.ts';
import { CloseHandle, DuplicateHandle, GetLastError } from '../ffi/kernel32.ts';
import type { HANDLE } from '../ffi/library.ts';
import type { AsHandle } from '../io/handle.ts';
import { CURRENT_PROCESS, formatRaw, unsafeRawHandle } from '../io/raw.ts';
import { failed } from '../io/system-error.ts';

/** Why there is no duplicate: the code of GetLastError. */
interface DuplicateFailure {
  readonly code: number;
}

const duplicate = new BigUint64Array(1);

/**
 * Duplicates a handle of another process into this one, lends the duplicate to `use`, and closes it again. The other
 * process keeps its own handle.
 *
 * This is the only place where the tool opens a handle without an `OwnedHandle`: a process may have a hundred thousand
 * handles, and an owner with its stack costs several times as much as the system calls [ran].
 *
 * @param process opened with PROCESS_DUP_HANDLE
 * @param access the access that the duplicate gets; if absent, that of the other process's handle
 * @param use must not keep the handle
 * @throws Win32Error when the duplicate cannot be closed; whatever `use` throws
 */
export function withDuplicate<T>(
  process: AsHandle,
  value: bigint,
  access: number | undefined,
  use: (handle: HANDLE) => T,
): T | DuplicateFailure {
  const done = DuplicateHandle(
    process.asHandle().asRawHandle(),
    unsafeRawHandle(value),
    CURRENT_PROCESS,
    duplicate,
    access ?? 0,
    false,
    access === undefined ? DUPLICATE_SAME_ACCESS : 0,
  );
  if (!done) return { code: GetLastError() };
  const handle = unsafeRawHandle(duplicate[0]!);
  let result: T;
  try {
    result = use(handle);
  } catch (error) {
    CloseHandle(handle); // The first failure says more.
    throw error;
  }
  if (!CloseHandle(handle)) throw failed('close the duplicate of handle', formatRaw(unsafeRawHandle(value)));
  return result;
}
