import { DuplicateHandle, GetLastError } from '../ffi/kernel32.ts';
import type { HANDLE } from '../ffi/library.ts';
import { type AsHandle, OwnedHandle } from '../io/handle.ts';
import { CURRENT_PROCESS, unsafeRawHandle } from '../io/raw.ts';

const DUPLICATE_SAME_ACCESS = 2;

/**
 * A handle of ours to the object that a handle of another process means, or GetLastError's code.
 *
 * It is not the same handle: closing it leaves the other process' alone.
 *
 * @param process opened with PROCESS_DUP_HANDLE
 * @param access what we want to do with the object; absent: what the other process may do with it
 */
export function tryDuplicate(process: AsHandle, value: bigint, access?: number): OwnedHandle | number {
  const duplicate = new BigUint64Array(1);
  const done = DuplicateHandle(
    process.asHandle().asRawHandle(),
    unsafeRawHandle(value) as HANDLE,
    CURRENT_PROCESS,
    duplicate,
    access ?? 0,
    false,
    access === undefined ? DUPLICATE_SAME_ACCESS : 0,
  );
  return done ? OwnedHandle.fromRawHandle(unsafeRawHandle(duplicate[0]!)) : GetLastError();
}
