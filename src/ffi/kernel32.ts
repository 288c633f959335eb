import { BOOL, DWORD, HANDLE, loadLibrary, POINTER, type Pointer, VOID } from './library.ts';

const kernel32 = loadLibrary('kernel32.dll');

/** INVALID_HANDLE_VALUE, and at the same time the pseudo handle of the current process. */
export const INVALID_HANDLE_VALUE: HANDLE = -1n as HANDLE;

/** https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-closehandle */
export const CloseHandle: (hObject: HANDLE) => boolean = kernel32.define('CloseHandle', BOOL, [HANDLE]);

/** https://learn.microsoft.com/windows/win32/api/errhandlingapi/nf-errhandlingapi-getlasterror */
export const GetLastError: () => number = kernel32.define('GetLastError', DWORD, []);

/** https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-duplicatehandle */
export const DuplicateHandle: (
  hSourceProcessHandle: HANDLE,
  hSourceHandle: HANDLE,
  hTargetProcessHandle: HANDLE,
  lpTargetHandle: Pointer,
  dwDesiredAccess: number,
  bInheritHandle: boolean,
  dwOptions: number,
) => boolean = kernel32.define('DuplicateHandle', BOOL, [HANDLE, HANDLE, HANDLE, POINTER, DWORD, BOOL, DWORD]);

/** https://learn.microsoft.com/windows/win32/api/errhandlingapi/nf-errhandlingapi-setlasterror */
export const SetLastError: (dwErrCode: number) => void = kernel32.define('SetLastError', VOID, [DWORD]);

/** https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-formatmessagew */
export const FormatMessageW: (
  dwFlags: number,
  lpSource: Pointer,
  dwMessageId: number,
  dwLanguageId: number,
  lpBuffer: Uint16Array,
  nSize: number,
  Arguments: Pointer,
) => number = kernel32.define('FormatMessageW', DWORD, [DWORD, POINTER, DWORD, DWORD, POINTER, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-sethandleinformation */
export const SetHandleInformation: (hObject: HANDLE, dwMask: number, dwFlags: number) => boolean = kernel32.define(
  'SetHandleInformation',
  BOOL,
  [HANDLE, DWORD, DWORD],
);

/** https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-gethandleinformation */
export const GetHandleInformation: (hObject: HANDLE, lpdwFlags: Uint32Array) => boolean = kernel32.define(
  'GetHandleInformation',
  BOOL,
  [HANDLE, POINTER],
);

/** https://learn.microsoft.com/windows/console/getstdhandle */
export const GetStdHandle: (nStdHandle: number) => HANDLE = kernel32.define('GetStdHandle', HANDLE, [DWORD]);

/** https://learn.microsoft.com/windows/win32/api/namedpipeapi/nf-namedpipeapi-createpipe */
export const CreatePipe: (
  hReadPipe: BigInt64Array,
  hWritePipe: BigInt64Array,
  lpPipeAttributes: Pointer,
  nSize: number,
) => boolean = kernel32.define('CreatePipe', BOOL, [POINTER, POINTER, POINTER, DWORD]);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-openprocess */
export const OpenProcess: (dwDesiredAccess: number, bInheritHandle: boolean, dwProcessId: number) => HANDLE = kernel32.define(
  'OpenProcess',
  HANDLE,
  [DWORD, BOOL, DWORD],
);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-openthread */
export const OpenThread: (dwDesiredAccess: number, bInheritHandle: boolean, dwThreadId: number) => HANDLE = kernel32.define(
  'OpenThread',
  HANDLE,
  [DWORD, BOOL, DWORD],
);
