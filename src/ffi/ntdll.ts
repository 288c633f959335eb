import { DWORD, HANDLE, loadLibrary, type NativeType, NTSTATUS, POINTER, type Pointer, ULONG64, VOID } from './library.ts';

const ntdll = loadLibrary('ntdll.dll');

/**
 * One more argument than the call has. koffi lays the frame of a call with fewer than five arguments at the very end of
 * its stack block, and Wine 10's system call dispatcher reads one word past the four home slots and then spins for ever
 * [ran]. A surplus argument is harmless in the x64 calling convention. Only system calls need it, not Rtl functions.
 */
const SURPLUS: typeof ULONG64 = ULONG64;

/** https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntquerysysteminformation */
export const NtQuerySystemInformation: (
  SystemInformationClass: number,
  SystemInformation: Pointer,
  SystemInformationLength: number,
  ReturnLength: Pointer,
) => number = withSurplus(
  ntdll.define('NtQuerySystemInformation', NTSTATUS, [DWORD, POINTER, DWORD, POINTER, SURPLUS]),
);

/** https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntqueryinformationprocess */
export const NtQueryInformationProcess: (
  ProcessHandle: HANDLE,
  ProcessInformationClass: number,
  ProcessInformation: Pointer,
  ProcessInformationLength: number,
  ReturnLength: Pointer,
) => number = ntdll.define('NtQueryInformationProcess', NTSTATUS, [HANDLE, DWORD, POINTER, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntqueryinformationthread */
export const NtQueryInformationThread: (
  ThreadHandle: HANDLE,
  ThreadInformationClass: number,
  ThreadInformation: Pointer,
  ThreadInformationLength: number,
  ReturnLength: Pointer,
) => number = ntdll.define('NtQueryInformationThread', NTSTATUS, [HANDLE, DWORD, POINTER, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntqueryobject */
export const NtQueryObject: (
  Handle: HANDLE,
  ObjectInformationClass: number,
  ObjectInformation: Pointer,
  ObjectInformationLength: number,
  ReturnLength: Pointer,
) => number = ntdll.define('NtQueryObject', NTSTATUS, [HANDLE, DWORD, POINTER, DWORD, POINTER]);

/** {@link NtQueryObject} on one of libuv's threads: for the name of a file object, which may never come. */
export const NtQueryObjectAsync: (
  Handle: HANDLE,
  ObjectInformationClass: number,
  ObjectInformation: Pointer,
  ObjectInformationLength: number,
  ReturnLength: Pointer,
) => Promise<number> = ntdll.defineAsync('NtQueryObject', NTSTATUS, [HANDLE, DWORD, POINTER, DWORD, POINTER]);

type DeviceIoControl<Result> = (
  FileHandle: HANDLE,
  Event: HANDLE,
  ApcRoutine: Pointer,
  ApcContext: Pointer,
  IoStatusBlock: Pointer,
  IoControlCode: number,
  InputBuffer: Pointer,
  InputBufferLength: number,
  OutputBuffer: Pointer,
  OutputBufferLength: number,
) => Result;

const DEVICE_IO_CONTROL: readonly NativeType[] = [
  HANDLE,
  HANDLE,
  POINTER,
  POINTER,
  POINTER,
  DWORD,
  POINTER,
  DWORD,
  POINTER,
  DWORD,
];

/** https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntdeviceiocontrolfile */
export const NtDeviceIoControlFile: DeviceIoControl<number> = ntdll.define(
  'NtDeviceIoControlFile',
  NTSTATUS,
  DEVICE_IO_CONTROL,
);

/** {@link NtDeviceIoControlFile} on one of libuv's threads. */
export const NtDeviceIoControlFileAsync: DeviceIoControl<Promise<number>> = ntdll.defineAsync(
  'NtDeviceIoControlFile',
  NTSTATUS,
  DEVICE_IO_CONTROL,
);

/** https://learn.microsoft.com/windows/win32/devnotes/rtlformatcurrentuserkeypath */
export const RtlFormatCurrentUserKeyPath: (CurrentUserKeyPath: Pointer) => number = ntdll.define(
  'RtlFormatCurrentUserKeyPath',
  NTSTATUS,
  [POINTER],
);

/** https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-rtlfreeunicodestring */
export const RtlFreeUnicodeString: (UnicodeString: Pointer) => void = ntdll.define('RtlFreeUnicodeString', VOID, [POINTER]);

/** Wine's own export, absent on Windows: a C string such as `8.0 (Debian 8.0~repack-4)`. */
const wine_get_version: (() => bigint) | undefined = ntdll.defineOptional('wine_get_version', POINTER, []);

/** Whether this Windows is Wine. */
export const isWine: boolean = wine_get_version !== undefined;

function withSurplus<F extends (...args: never[]) => unknown>(native: (...args: never[]) => unknown): F {
  const call = native as unknown as (...args: unknown[]) => unknown;
  return ((...args: unknown[]) => call(...args, 0n)) as unknown as F;
}

/** https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwmapviewofsection */
export const NtMapViewOfSection: (
  SectionHandle: HANDLE,
  ProcessHandle: HANDLE,
  BaseAddress: BigUint64Array,
  ZeroBits: bigint,
  CommitSize: bigint,
  SectionOffset: Pointer,
  ViewSize: BigUint64Array,
  InheritDisposition: number,
  AllocationType: number,
  Win32Protect: number,
) => number = ntdll.define('NtMapViewOfSection', NTSTATUS, [
  HANDLE, HANDLE, POINTER, ULONG64, ULONG64, POINTER, POINTER, DWORD, DWORD, DWORD,
]); // prettier-ignore
