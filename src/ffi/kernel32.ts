import { BOOL, DWORD, HANDLE, loadLibrary, POINTER, type Pointer } from './library.ts';

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
