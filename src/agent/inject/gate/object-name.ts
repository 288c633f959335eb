import { ObjectNameInformation } from '../../../ffi/constants.ts';
import { NtQueryObject } from '../../../ffi/ntdll.ts';
import { type AsHandle, failedWithStatus } from '../../../io/index.ts';

/**
 * The whole path of a named object of ours in the object manager.
 *
 * @throws NtStatusError when Windows refuses
 */
export function objectName(object: AsHandle): string {
  const buffer = Buffer.alloc(1024); // OBJECT_NAME_INFORMATION
  const status = NtQueryObject(object.asHandle().asRawHandle(), ObjectNameInformation, buffer, buffer.length, null);
  if (status !== 0) throw failedWithStatus('read the name of', 'the exit gate', status);
  return buffer.toString('utf16le', 16, 16 + buffer.readUInt16LE(0)); // UNICODE_STRING Name, its text right behind it
}
