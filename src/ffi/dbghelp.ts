import { BOOL, DWORD, HANDLE, loadLibrary, POINTER, type Pointer } from './library.ts';

const dbghelp = loadLibrary('dbghelp.dll');

/** https://learn.microsoft.com/windows/win32/api/minidumpapiset/nf-minidumpapiset-minidumpwritedump */
export const MiniDumpWriteDump: (
  hProcess: HANDLE,
  ProcessId: number,
  hFile: HANDLE,
  DumpType: number,
  ExceptionParam: Pointer,
  UserStreamParam: Pointer,
  CallbackParam: Pointer,
) => boolean = dbghelp.define('MiniDumpWriteDump', BOOL, [HANDLE, DWORD, HANDLE, DWORD, POINTER, POINTER, POINTER]);
