import { BOOL, DWORD, HANDLE, loadLibrary, POINTER, type Pointer } from '../../../src/ffi/library.ts';
import { serveAuditor } from '../../../src/handles/query/server.ts';

// A helper that reads a byte from a file instead of asking its name. The read blocks for ever where a pipe is empty, on
// Windows and on Wine alike, as a name query does on Windows while another thread reads.
const ReadFileAsync: (
  file: HANDLE,
  buffer: Pointer,
  size: number,
  read: Pointer,
  overlapped: Pointer,
) => Promise<boolean> = loadLibrary('kernel32.dll').defineAsync('ReadFile', BOOL, [
  HANDLE,
  POINTER,
  DWORD,
  POINTER,
  POINTER,
]);

serveAuditor(async (handle) => {
  const byte = new Uint8Array(1);
  await ReadFileAsync(handle, byte, 1, new Uint32Array(1), null);
  return { name: `byte ${byte[0]}` };
});
