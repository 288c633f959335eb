import { BOOL, DWORD, HANDLE, loadLibrary, LONG, LPCWSTR, POINTER, type Pointer, SOCKET } from '../ffi/library.ts';

// Functions that only the self-test's script calls.

const kernel32 = loadLibrary('kernel32.dll');
const advapi32 = loadLibrary('advapi32.dll');
const ws2_32 = loadLibrary('ws2_32.dll');
const ucrtbase = loadLibrary('ucrtbase.dll');

export const CreateMutexW: (attributes: Pointer, owned: boolean, name: string | null) => HANDLE = kernel32.define(
  'CreateMutexW',
  HANDLE,
  [POINTER, BOOL, LPCWSTR],
);
export const SetEvent: (event: HANDLE) => boolean = kernel32.define('SetEvent', BOOL, [HANDLE]);
export const CreateFileW: (
  name: string,
  access: number,
  share: number,
  attributes: Pointer,
  disposition: number,
  flags: number,
  template: HANDLE,
) => HANDLE = kernel32.define('CreateFileW', HANDLE, [LPCWSTR, DWORD, DWORD, POINTER, DWORD, DWORD, HANDLE]);
export const CreateThread: (
  attributes: Pointer,
  stackSize: Pointer,
  start: Pointer,
  parameter: Pointer,
  flags: number,
  id: Pointer,
) => HANDLE = kernel32.define('CreateThread', HANDLE, [POINTER, POINTER, POINTER, POINTER, DWORD, POINTER]);
export const RegOpenKeyExW: (
  key: HANDLE,
  name: string,
  options: number,
  access: number,
  result: BigInt64Array,
) => number = advapi32.define('RegOpenKeyExW', LONG, [HANDLE, LPCWSTR, DWORD, DWORD, POINTER]);
export const RegCloseKey: (key: HANDLE) => number = advapi32.define('RegCloseKey', LONG, [HANDLE]);
export const listen: (socket: SOCKET, backlog: number) => number = ws2_32.define('listen', LONG, [SOCKET, LONG]);
export const _wopen: (name: string, flags: number, mode: number) => number = ucrtbase.define('_wopen', LONG, [
  LPCWSTR,
  LONG,
  LONG,
]);
export const _close: (descriptor: number) => number = ucrtbase.define('_close', LONG, [LONG]);
export const _get_osfhandle: (descriptor: number) => HANDLE = ucrtbase.define('_get_osfhandle', HANDLE, [LONG]);
export const _set_thread_local_invalid_parameter_handler: (handler: bigint) => bigint = ucrtbase.define(
  '_set_thread_local_invalid_parameter_handler',
  POINTER,
  [POINTER],
);
