import { BOOL, DWORD, HANDLE, loadLibrary, LONG, LPCWSTR, POINTER, type Pointer, ULONG64 } from './library.ts';

const kernel32 = loadLibrary('kernel32.dll');
const advapi32 = loadLibrary('advapi32.dll');

/** https://learn.microsoft.com/windows/win32/api/wow64apiset/nf-wow64apiset-iswow64process2 (Windows 10 1709) */
export const IsWow64Process2:
  | ((hProcess: HANDLE, pProcessMachine: Uint16Array, pNativeMachine: Uint16Array) => boolean)
  | undefined = kernel32.defineOptional('IsWow64Process2', BOOL, [HANDLE, POINTER, POINTER]);

/**
 * https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-getprocessmitigationpolicy
 */
export const GetProcessMitigationPolicy:
  | ((hProcess: HANDLE, MitigationPolicy: number, lpBuffer: Uint32Array, dwLength: bigint) => boolean)
  | undefined = kernel32.defineOptional('GetProcessMitigationPolicy', BOOL, [HANDLE, DWORD, POINTER, ULONG64]);

/** https://learn.microsoft.com/windows/win32/api/winreg/nf-winreg-reggetvaluew */
export const RegGetValueW: (
  hkey: HANDLE,
  lpSubKey: string,
  lpValue: string,
  dwFlags: number,
  pdwType: Pointer,
  pvData: Pointer,
  pcbData: Uint32Array,
) => number = advapi32.define('RegGetValueW', LONG, [HANDLE, LPCWSTR, LPCWSTR, DWORD, POINTER, POINTER, POINTER]);
