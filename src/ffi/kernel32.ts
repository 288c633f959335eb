import {
  BOOL,
  DWORD,
  HANDLE,
  loadLibrary,
  LPCSTR,
  LPCWSTR,
  type NativeType,
  POINTER,
  type Pointer,
  ULONG64,
  VOID,
} from './library.ts';

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
export const OpenProcess: (dwDesiredAccess: number, bInheritHandle: boolean, dwProcessId: number) => HANDLE =
  kernel32.define('OpenProcess', HANDLE, [DWORD, BOOL, DWORD]);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-openthread */
export const OpenThread: (dwDesiredAccess: number, bInheritHandle: boolean, dwThreadId: number) => HANDLE =
  kernel32.define('OpenThread', HANDLE, [DWORD, BOOL, DWORD]);

/** https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-readprocessmemory */
export const ReadProcessMemory: (
  hProcess: HANDLE,
  lpBaseAddress: bigint,
  lpBuffer: Pointer,
  nSize: bigint,
  lpNumberOfBytesRead: Pointer,
) => boolean = kernel32.define('ReadProcessMemory', BOOL, [HANDLE, ULONG64, POINTER, ULONG64, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-queryfullprocessimagenamew */
export const QueryFullProcessImageNameW: (
  hProcess: HANDLE,
  dwFlags: number,
  lpExeName: Uint16Array,
  lpdwSize: Uint32Array,
) => boolean = kernel32.define('QueryFullProcessImageNameW', BOOL, [HANDLE, DWORD, POINTER, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-querydosdevicew */
export const QueryDosDeviceW: (lpDeviceName: string | null, lpTargetPath: Uint16Array, ucchMax: number) => number =
  kernel32.define('QueryDosDeviceW', DWORD, [LPCWSTR, POINTER, DWORD]);

/** https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-getdrivetypew */
export const GetDriveTypeW: (lpRootPathName: string | null) => number = kernel32.define('GetDriveTypeW', DWORD, [
  LPCWSTR,
]);

/** https://learn.microsoft.com/windows/win32/api/sysinfoapi/nf-sysinfoapi-getsystemwindowsdirectoryw */
export const GetSystemWindowsDirectoryW: (lpBuffer: Uint16Array, uSize: number) => number = kernel32.define(
  'GetSystemWindowsDirectoryW',
  DWORD,
  [POINTER, DWORD],
);

/** https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-createeventw */
export const CreateEventW: (
  lpEventAttributes: Pointer,
  bManualReset: boolean,
  bInitialState: boolean,
  lpName: string | null,
) => HANDLE = kernel32.define('CreateEventW', HANDLE, [POINTER, BOOL, BOOL, LPCWSTR]);

/** https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-waitforsingleobject */
export const WaitForSingleObject: (hHandle: HANDLE, dwMilliseconds: number) => number = kernel32.define(
  'WaitForSingleObject',
  DWORD,
  [HANDLE, DWORD],
);

type CreateProcess<Result> = (
  lpApplicationName: string | null,
  lpCommandLine: Uint16Array,
  lpProcessAttributes: Pointer,
  lpThreadAttributes: Pointer,
  bInheritHandles: boolean,
  dwCreationFlags: number,
  lpEnvironment: Pointer,
  lpCurrentDirectory: string | null,
  lpStartupInfo: Pointer,
  lpProcessInformation: Pointer,
) => Result;

const createProcessParameters: readonly NativeType[] = [
  LPCWSTR,
  POINTER,
  POINTER,
  POINTER,
  BOOL,
  DWORD,
  POINTER,
  LPCWSTR,
  POINTER,
  POINTER,
];

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-createprocessw */
export const CreateProcessW: CreateProcess<boolean> = kernel32.define('CreateProcessW', BOOL, createProcessParameters);

/** {@link CreateProcessW} on another thread. */
export const CreateProcessWAsync: CreateProcess<Promise<boolean>> = kernel32.defineAsync(
  'CreateProcessW',
  BOOL,
  createProcessParameters,
);

/** https://learn.microsoft.com/windows/win32/api/processenv/nf-processenv-getenvironmentstringsw */
export const GetEnvironmentStringsW: () => bigint = kernel32.define('GetEnvironmentStringsW', POINTER, []);

/** https://learn.microsoft.com/windows/win32/api/processenv/nf-processenv-freeenvironmentstringsw */
export const FreeEnvironmentStringsW: (penv: bigint) => boolean = kernel32.define('FreeEnvironmentStringsW', BOOL, [
  POINTER,
]);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-getthreadcontext */
export const GetThreadContext: (hThread: HANDLE, lpContext: Pointer) => boolean = kernel32.define(
  'GetThreadContext',
  BOOL,
  [HANDLE, POINTER],
);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-resumethread */
/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-suspendthread */
export const SuspendThread: (hThread: HANDLE) => number = kernel32.define('SuspendThread', DWORD, [HANDLE]);

export const ResumeThread: (hThread: HANDLE) => number = kernel32.define('ResumeThread', DWORD, [HANDLE]);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-terminateprocess */
export const TerminateProcess: (hProcess: HANDLE, uExitCode: number) => boolean = kernel32.define(
  'TerminateProcess',
  BOOL,
  [HANDLE, DWORD],
);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-getexitcodeprocess */
export const GetExitCodeProcess: (hProcess: HANDLE, lpExitCode: Uint32Array) => boolean = kernel32.define(
  'GetExitCodeProcess',
  BOOL,
  [HANDLE, POINTER],
);

/** https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-writeprocessmemory */
export const WriteProcessMemory: (
  hProcess: HANDLE,
  lpBaseAddress: bigint,
  lpBuffer: Pointer,
  nSize: bigint,
  lpNumberOfBytesWritten: Pointer,
) => boolean = kernel32.define('WriteProcessMemory', BOOL, [HANDLE, ULONG64, POINTER, ULONG64, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualallocex */
export const VirtualAllocEx: (
  hProcess: HANDLE,
  lpAddress: bigint,
  dwSize: bigint,
  flAllocationType: number,
  flProtect: number,
) => bigint = kernel32.define('VirtualAllocEx', ULONG64, [HANDLE, ULONG64, ULONG64, DWORD, DWORD]);

/** https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualprotectex */
export const VirtualProtectEx: (
  hProcess: HANDLE,
  lpAddress: bigint,
  dwSize: bigint,
  flNewProtect: number,
  lpflOldProtect: Uint32Array,
) => boolean = kernel32.define('VirtualProtectEx', BOOL, [HANDLE, ULONG64, ULONG64, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualqueryex */
export const VirtualQueryEx: (hProcess: HANDLE, lpAddress: bigint, lpBuffer: Pointer, dwLength: bigint) => bigint =
  kernel32.define('VirtualQueryEx', ULONG64, [HANDLE, ULONG64, POINTER, ULONG64]);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-flushinstructioncache */
export const FlushInstructionCache: (hProcess: HANDLE, lpBaseAddress: bigint, dwSize: bigint) => boolean =
  kernel32.define('FlushInstructionCache', BOOL, [HANDLE, ULONG64, ULONG64]);

/** https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-createfilemappingw */
export const CreateFileMappingW: (
  hFile: HANDLE,
  lpFileMappingAttributes: Pointer,
  flProtect: number,
  dwMaximumSizeHigh: number,
  dwMaximumSizeLow: number,
  lpName: string | null,
) => HANDLE = kernel32.define('CreateFileMappingW', HANDLE, [HANDLE, POINTER, DWORD, DWORD, DWORD, LPCWSTR]);

/** https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-mapviewoffile */
export const MapViewOfFile: (
  hFileMappingObject: HANDLE,
  dwDesiredAccess: number,
  dwFileOffsetHigh: number,
  dwFileOffsetLow: number,
  dwNumberOfBytesToMap: bigint,
) => bigint = kernel32.define('MapViewOfFile', POINTER, [HANDLE, DWORD, DWORD, DWORD, ULONG64]);

/** https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-unmapviewoffile */
export const UnmapViewOfFile: (lpBaseAddress: bigint) => boolean = kernel32.define('UnmapViewOfFile', BOOL, [POINTER]);

/** https://learn.microsoft.com/windows/win32/api/libloaderapi/nf-libloaderapi-getmodulehandlew */
export const GetModuleHandleW: (lpModuleName: string | null) => bigint = kernel32.define('GetModuleHandleW', POINTER, [
  LPCWSTR,
]);

/** https://learn.microsoft.com/windows/win32/api/libloaderapi/nf-libloaderapi-getmodulefilenamew */
export const GetModuleFileNameW: (hModule: bigint, lpFilename: Uint16Array, nSize: number) => number = kernel32.define(
  'GetModuleFileNameW',
  DWORD,
  [POINTER, POINTER, DWORD],
);

/** https://learn.microsoft.com/windows/win32/api/libloaderapi/nf-libloaderapi-loadlibraryexw; `hFile` is reserved. */
export const LoadLibraryExW: (lpLibFileName: string, hFile: null, dwFlags: number) => bigint = kernel32.define(
  'LoadLibraryExW',
  POINTER,
  [LPCWSTR, POINTER, DWORD],
);

/** https://learn.microsoft.com/windows/win32/api/libloaderapi/nf-libloaderapi-getprocaddress */
export const GetProcAddress: (hModule: bigint, lpProcName: string) => bigint = kernel32.define(
  'GetProcAddress',
  POINTER,
  [POINTER, LPCSTR],
);

/** https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-createmutexw */
export const CreateMutexW: (lpMutexAttributes: Pointer, bInitialOwner: boolean, lpName: string | null) => HANDLE =
  kernel32.define('CreateMutexW', HANDLE, [POINTER, BOOL, LPCWSTR]);

/** https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-openmutexw */
export const OpenMutexW: (dwDesiredAccess: number, bInheritHandle: boolean, lpName: string) => HANDLE = kernel32.define(
  'OpenMutexW',
  HANDLE,
  [DWORD, BOOL, LPCWSTR],
);

/** https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-releasemutex */
export const ReleaseMutex: (hMutex: HANDLE) => boolean = kernel32.define('ReleaseMutex', BOOL, [HANDLE]);

/**
 * WaitForMultipleObjects on one of libuv's threads.
 * https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-waitformultipleobjects
 */
export const WaitForMultipleObjectsAsync: (
  nCount: number,
  lpHandles: BigInt64Array,
  bWaitAll: boolean,
  dwMilliseconds: number,
) => Promise<number> = kernel32.defineAsync('WaitForMultipleObjects', DWORD, [DWORD, POINTER, BOOL, DWORD]);

/**
 * https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-initializeprocthreadattributelist
 */
export const InitializeProcThreadAttributeList: (
  lpAttributeList: Pointer,
  dwAttributeCount: number,
  dwFlags: number,
  lpSize: BigUint64Array,
) => boolean = kernel32.define('InitializeProcThreadAttributeList', BOOL, [POINTER, DWORD, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-updateprocthreadattribute */
export const UpdateProcThreadAttribute: (
  lpAttributeList: Pointer,
  dwFlags: number,
  Attribute: bigint,
  lpValue: Pointer,
  cbSize: bigint,
  lpPreviousValue: Pointer,
  lpReturnSize: Pointer,
) => boolean = kernel32.define('UpdateProcThreadAttribute', BOOL, [
  POINTER,
  DWORD,
  ULONG64,
  POINTER,
  ULONG64,
  POINTER,
  POINTER,
]);

/**
 * https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-deleteprocthreadattributelist
 */
export const DeleteProcThreadAttributeList: (lpAttributeList: Pointer) => void = kernel32.define(
  'DeleteProcThreadAttributeList',
  VOID,
  [POINTER],
);

/** https://learn.microsoft.com/windows/win32/api/jobapi2/nf-jobapi2-createjobobjectw */
export const CreateJobObjectW: (lpJobAttributes: Pointer, lpName: string | null) => HANDLE = kernel32.define(
  'CreateJobObjectW',
  HANDLE,
  [POINTER, LPCWSTR],
);

/** https://learn.microsoft.com/windows/win32/api/jobapi2/nf-jobapi2-setinformationjobobject */
export const SetInformationJobObject: (
  hJob: HANDLE,
  JobObjectInformationClass: number,
  lpJobObjectInformation: Pointer,
  cbJobObjectInformationLength: number,
) => boolean = kernel32.define('SetInformationJobObject', BOOL, [HANDLE, DWORD, POINTER, DWORD]);

/** https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-getfiletype */
export const GetFileType: (hFile: HANDLE) => number = kernel32.define('GetFileType', DWORD, [HANDLE]);

/** https://learn.microsoft.com/windows/win32/api/namedpipeapi/nf-namedpipeapi-getnamedpipeinfo */
export const GetNamedPipeInfo: (
  hNamedPipe: HANDLE,
  lpFlags: Pointer,
  lpOutBufferSize: Pointer,
  lpInBufferSize: Pointer,
  lpMaxInstances: Pointer,
) => boolean = kernel32.define('GetNamedPipeInfo', BOOL, [HANDLE, POINTER, POINTER, POINTER, POINTER]);

/** ReadFile on one of libuv's threads. https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-readfile */
export const ReadFileAsync: (
  hFile: HANDLE,
  lpBuffer: Uint8Array,
  nNumberOfBytesToRead: number,
  lpNumberOfBytesRead: Uint32Array,
  lpOverlapped: Pointer,
) => Promise<boolean> = kernel32.defineAsync('ReadFile', BOOL, [HANDLE, POINTER, DWORD, POINTER, POINTER]);

/** WriteFile on one of libuv's threads. https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-writefile */
export const WriteFileAsync: (
  hFile: HANDLE,
  lpBuffer: Uint8Array,
  nNumberOfBytesToWrite: number,
  lpNumberOfBytesWritten: Uint32Array,
  lpOverlapped: Pointer,
) => Promise<boolean> = kernel32.defineAsync('WriteFile', BOOL, [HANDLE, POINTER, DWORD, POINTER, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-setevent, and nf-synchapi-resetevent */
export const SetEvent: (hEvent: HANDLE) => boolean = kernel32.define('SetEvent', BOOL, [HANDLE]);
export const ResetEvent: (hEvent: HANDLE) => boolean = kernel32.define('ResetEvent', BOOL, [HANDLE]);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-getcurrentprocessid */
export const GetCurrentProcessId: () => number = kernel32.define('GetCurrentProcessId', DWORD, []);
