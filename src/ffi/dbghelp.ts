import { BOOL, DWORD, HANDLE, LPCWSTR, loadLibrary, POINTER, type Pointer, ULONG64 } from './library.ts';

const dbghelp = loadLibrary('dbghelp.dll');

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-symsetoptions */
export const SymSetOptions: (SymOptions: number) => number = dbghelp.define('SymSetOptions', DWORD, [DWORD]);

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-syminitializew */
export const SymInitializeW: (hProcess: HANDLE, UserSearchPath: string | null, fInvadeProcess: boolean) => boolean =
  dbghelp.define('SymInitializeW', BOOL, [HANDLE, LPCWSTR, BOOL]);

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-symcleanup */
export const SymCleanup: (hProcess: HANDLE) => boolean = dbghelp.define('SymCleanup', BOOL, [HANDLE]);

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-symloadmoduleexw */
export const SymLoadModuleExW: (
  hProcess: HANDLE,
  hFile: HANDLE,
  ImageName: string | null,
  ModuleName: string | null,
  BaseOfDll: bigint,
  DllSize: number,
  Data: Pointer,
  Flags: number,
) => bigint = dbghelp.define('SymLoadModuleExW', ULONG64, [
  HANDLE,
  HANDLE,
  LPCWSTR,
  LPCWSTR,
  ULONG64,
  DWORD,
  POINTER,
  DWORD,
]);

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-symgetmoduleinfow64 */
export const SymGetModuleInfoW64: (hProcess: HANDLE, qwAddr: bigint, ModuleInfo: Pointer) => boolean = dbghelp.define(
  'SymGetModuleInfoW64',
  BOOL,
  [HANDLE, ULONG64, POINTER],
);

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-symfromaddrw */
export const SymFromAddrW: (hProcess: HANDLE, Address: bigint, Displacement: Pointer, Symbol: Pointer) => boolean =
  dbghelp.define('SymFromAddrW', BOOL, [HANDLE, ULONG64, POINTER, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-symgetlinefromaddrw64 */
export const SymGetLineFromAddrW64: (
  hProcess: HANDLE,
  qwAddr: bigint,
  pdwDisplacement: Pointer,
  Line64: Pointer,
) => boolean = dbghelp.define('SymGetLineFromAddrW64', BOOL, [HANDLE, ULONG64, POINTER, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-undecoratesymbolnamew */
export const UnDecorateSymbolNameW: (
  name: string,
  outputString: Uint16Array,
  maxStringLength: number,
  flags: number,
) => number = dbghelp.define('UnDecorateSymbolNameW', DWORD, [LPCWSTR, POINTER, DWORD, DWORD]);

/** Whether this dbghelp knows of inlined functions: since Windows 8. The four functions below are there only then. */
export function hasInlineFunctions(): boolean {
  return [
    'SymAddrIncludeInlineTrace',
    'SymQueryInlineTrace',
    'SymFromInlineContextW',
    'SymGetLineFromInlineContextW',
  ].every(dbghelp.has);
}

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-symaddrincludeinlinetrace */
export const SymAddrIncludeInlineTrace: (hProcess: HANDLE, Address: bigint) => number = dbghelp.define(
  'SymAddrIncludeInlineTrace',
  DWORD,
  [HANDLE, ULONG64],
);

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-symqueryinlinetrace */
export const SymQueryInlineTrace: (
  hProcess: HANDLE,
  StartAddress: bigint,
  StartContext: number,
  StartRetAddress: bigint,
  CurAddress: bigint,
  CurContext: Uint32Array,
  CurFrameIndex: Uint32Array,
) => boolean = dbghelp.define('SymQueryInlineTrace', BOOL, [
  HANDLE,
  ULONG64,
  DWORD,
  ULONG64,
  ULONG64,
  POINTER,
  POINTER,
]);

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-symfrominlinecontextw */
export const SymFromInlineContextW: (
  hProcess: HANDLE,
  Address: bigint,
  InlineContext: number,
  Displacement: Pointer,
  Symbol: Pointer,
) => boolean = dbghelp.define('SymFromInlineContextW', BOOL, [HANDLE, ULONG64, DWORD, POINTER, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-symgetlinefrominlinecontextw */
export const SymGetLineFromInlineContextW: (
  hProcess: HANDLE,
  qwAddr: bigint,
  InlineContext: number,
  qwModuleBaseAddress: bigint,
  pdwDisplacement: Pointer,
  Line64: Pointer,
) => boolean = dbghelp.define('SymGetLineFromInlineContextW', BOOL, [
  HANDLE,
  ULONG64,
  DWORD,
  ULONG64,
  POINTER,
  POINTER,
]);
