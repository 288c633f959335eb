import { ObjectNameInformation } from '../ffi/constants.ts';
import type { HANDLE } from '../ffi/library.ts';
import { NtQueryObject, NtQueryObjectAsync } from '../ffi/ntdll.ts';
import { readUnicodeString } from './unicode-string.ts';

/** A UNICODE_STRING and the longest text that it can have. */
const NAME_SIZE_BYTES = 16 + 65_536;

/** A name, empty for an object without one, or the NTSTATUS that was all the kernel said. */
type NameAnswer = string | number;

const answer = Buffer.alloc(NAME_SIZE_BYTES);
const answerSizeBytes = new Uint32Array(1);

/**
 * The name of an object as the kernel spells it.
 *
 * On Windows it may never return for a File: a synchronous file object answers when the call that holds its lock is
 * done, and a ConnectNamedPipe may not be for days. Use the {@link QueryHelper} there. On Wine the server answers at
 * once, whatever is pending [ran, Wine 8].
 */
export function queryObjectName(handle: HANDLE): NameAnswer {
  const status = NtQueryObject(handle, ObjectNameInformation, answer, NAME_SIZE_BYTES, answerSizeBytes);
  return status === 0 ? readUnicodeString(answer) : status;
}

/** {@link queryObjectName} on another thread: while that is blocked, JavaScript goes on. */
export async function queryObjectNameAsync(handle: HANDLE): Promise<NameAnswer> {
  const own = Buffer.alloc(NAME_SIZE_BYTES);
  const ownSizeBytes = new Uint32Array(1);
  const status = await NtQueryObjectAsync(handle, ObjectNameInformation, own, NAME_SIZE_BYTES, ownSizeBytes);
  return status === 0 ? readUnicodeString(own) : status;
}
