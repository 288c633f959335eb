import { CreatePipe } from '../ffi/kernel32.ts';
import { OwnedHandle } from './handle.ts';
import { unsafeRawHandle } from './raw.ts';
import { failed } from './system-error.ts';

/** The two ends of an anonymous pipe. */
export interface PipeEnds {
  readonly reader: OwnedHandle;
  readonly writer: OwnedHandle;
}

/**
 * Makes an anonymous pipe; neither end is inheritable. To hand an end to a child, give it a file descriptor
 * ({@link intoFileDescriptor}) and name that in the `stdio` of `child_process.spawn`.
 *
 * https://learn.microsoft.com/windows/win32/api/namedpipeapi/nf-namedpipeapi-createpipe
 *
 * @throws Win32Error when Windows has no room for one
 */
export function createPipe(): PipeEnds {
  const reader = new BigInt64Array(1);
  const writer = new BigInt64Array(1);
  if (!CreatePipe(reader, writer, null, 0)) throw failed('create a pipe', '');
  return {
    reader: OwnedHandle.fromRawHandle(unsafeRawHandle(reader[0]!)),
    writer: OwnedHandle.fromRawHandle(unsafeRawHandle(writer[0]!)),
  };
}
