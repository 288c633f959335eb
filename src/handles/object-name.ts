import { ObjectNameInformation } from '../ffi/constants.ts';
import type { HANDLE } from '../ffi/library.ts';
import { NtQueryObject, NtQueryObjectAsync } from '../ffi/ntdll.ts';
import { readUnicodeString } from './unicode-string.ts';

/** A UNICODE_STRING and the longest text that it can have. */
const NAME_SIZE_BYTES = 16 + 65_536;

/** A name, empty for an object without one, or the NTSTATUS of a refusal. */
type NameAnswer = string | number;

const answer = Buffer.alloc(NAME_SIZE_BYTES);
const answerSizeBytes = new Uint32Array(1);

/**
 * The name of an object as the kernel spells it.
 *
 * On Windows this may never return for a File: a synchronous file object answers only after the call that holds its
 * lock has ended, and a ConnectNamedPipe may take days. Use the {@link QueryHelper} there. Wine's server answers at
 * once, even while calls are pending [ran, Wine 8].
 */
export function queryObjectName(handle: HANDLE): NameAnswer {
  const status = NtQueryObject(handle, ObjectNameInformation, answer, NAME_SIZE_BYTES, answerSizeBytes);
  return status === 0 ? readUnicodeString(answer) : status;
}

/** {@link queryObjectName} on another thread. While that is blocked, JavaScript goes on. */
export async function queryObjectNameAsync(handle: HANDLE): Promise<NameAnswer> {
  const own = Buffer.alloc(NAME_SIZE_BYTES);
  const ownSizeBytes = new Uint32Array(1);
  const status = await NtQueryObjectAsync(handle, ObjectNameInformation, own, NAME_SIZE_BYTES, ownSizeBytes);
  return status === 0 ? readUnicodeString(own) : status;
}
