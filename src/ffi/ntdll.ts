import {
  DWORD,
  HANDLE,
  loadLibrary,
  type NativeType,
  NTSTATUS,
  POINTER,
  type Pointer,
  ULONG64,
  VOID,
} from './library.ts';

const ntdll = loadLibrary('ntdll.dll');

/** https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntquerysysteminformation */
export const NtQuerySystemInformation: (
  SystemInformationClass: number,
  SystemInformation: Pointer,
  SystemInformationLength: number,
  ReturnLength: Pointer,
) => number = ntdll.define('NtQuerySystemInformation', NTSTATUS, [DWORD, POINTER, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/winnt/nf-winnt-rtllookupfunctionentry */
export const RtlLookupFunctionEntry: (ControlPc: bigint, ImageBase: BigUint64Array, HistoryTable: Pointer) => bigint =
  ntdll.define('RtlLookupFunctionEntry', POINTER, [ULONG64, POINTER, POINTER]);

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

/** https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwqueryfullattributesfile */
export const NtQueryFullAttributesFile: (ObjectAttributes: Uint8Array, FileInformation: Uint8Array) => number =
  ntdll.define('NtQueryFullAttributesFile', NTSTATUS, [POINTER, POINTER]);

/** Undocumented; Process Explorer and debuggers use it. PROCESS_SUSPEND_RESUME, and once more for each suspension. */
export const NtSuspendProcess: (ProcessHandle: HANDLE) => number = ntdll.define('NtSuspendProcess', NTSTATUS, [HANDLE]);

/** Undocumented; undoes one {@link NtSuspendProcess}. */
export const NtResumeProcess: (ProcessHandle: HANDLE) => number = ntdll.define('NtResumeProcess', NTSTATUS, [HANDLE]);

/** https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwsetsecurityobject */
export const NtSetSecurityObject: (
  Handle: HANDLE,
  SecurityInformation: number,
  SecurityDescriptor: Uint8Array,
) => number = ntdll.define('NtSetSecurityObject', NTSTATUS, [HANDLE, DWORD, POINTER]);

/** The user-mode twin of ZwOpenEvent: https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwopenevent */
export const NtOpenEvent: (EventHandle: BigInt64Array, DesiredAccess: number, ObjectAttributes: Pointer) => number =
  ntdll.define('NtOpenEvent', NTSTATUS, [POINTER, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntqueryobject */
export const NtQueryObject: (
  Handle: HANDLE,
  ObjectInformationClass: number,
  ObjectInformation: Pointer,
  ObjectInformationLength: number,
  ReturnLength: Pointer,
) => number = ntdll.define('NtQueryObject', NTSTATUS, [HANDLE, DWORD, POINTER, DWORD, POINTER]);

/** {@link NtQueryObject} on one of libuv's threads: the call for the name of a file object may never return. */
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

/**
 * Whether two handles mean the same object: STATUS_SUCCESS, or STATUS_NOT_SAME_OBJECT.
 * https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-compareobjecthandles
 */
export const NtCompareObjects: ((FirstObjectHandle: HANDLE, SecondObjectHandle: HANDLE) => number) | undefined =
  ntdll.defineOptional('NtCompareObjects', NTSTATUS, [HANDLE, HANDLE]);

type QueryOfObject = (
  Handle: HANDLE,
  InformationClass: number,
  Information: Pointer,
  Length: number,
  ReturnLength: Pointer,
) => number;
const QUERY_OF_OBJECT: readonly NativeType[] = [HANDLE, DWORD, POINTER, DWORD, POINTER];

/**
 * Each answers for one type of object. winternl.h does not have them: they are declared after phnt's ntexapi.h and
 * ntmmapi.h.
 */
export const NtQueryEvent: QueryOfObject = ntdll.define('NtQueryEvent', NTSTATUS, QUERY_OF_OBJECT);
export const NtQueryMutant: QueryOfObject = ntdll.define('NtQueryMutant', NTSTATUS, QUERY_OF_OBJECT);
export const NtQuerySemaphore: QueryOfObject = ntdll.define('NtQuerySemaphore', NTSTATUS, QUERY_OF_OBJECT);
export const NtQueryTimer: QueryOfObject = ntdll.define('NtQueryTimer', NTSTATUS, QUERY_OF_OBJECT);
export const NtQuerySection: QueryOfObject = ntdll.define('NtQuerySection', NTSTATUS, QUERY_OF_OBJECT);
/** https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwquerykey */
export const NtQueryKey: QueryOfObject = ntdll.define('NtQueryKey', NTSTATUS, QUERY_OF_OBJECT);
export const NtQueryIoCompletion: QueryOfObject = ntdll.define('NtQueryIoCompletion', NTSTATUS, QUERY_OF_OBJECT);
export const NtQueryInformationJobObject: QueryOfObject = ntdll.define(
  'NtQueryInformationJobObject',
  NTSTATUS,
  QUERY_OF_OBJECT,
);
/** https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-ntqueryinformationtoken */
export const NtQueryInformationToken: QueryOfObject = ntdll.define(
  'NtQueryInformationToken',
  NTSTATUS,
  QUERY_OF_OBJECT,
);

/**
 * {@link https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-ntqueryinformationfile} on one of
 * libuv's threads.
 */
export const NtQueryInformationFileAsync: (
  FileHandle: HANDLE,
  IoStatusBlock: Pointer,
  FileInformation: Pointer,
  Length: number,
  FileInformationClass: number,
) => Promise<number> = ntdll.defineAsync('NtQueryInformationFile', NTSTATUS, [HANDLE, POINTER, POINTER, DWORD, DWORD]);

/** Switches a privilege of this process on or off, by its number (SeDebugPrivilege is 20). */
export const RtlAdjustPrivilege: (
  Privilege: number,
  Enable: number,
  CurrentThread: number,
  Enabled: Uint8Array,
) => number = ntdll.define('RtlAdjustPrivilege', NTSTATUS, [DWORD, DWORD, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/devnotes/rtlformatcurrentuserkeypath */
export const RtlFormatCurrentUserKeyPath: (CurrentUserKeyPath: Pointer) => number = ntdll.define(
  'RtlFormatCurrentUserKeyPath',
  NTSTATUS,
  [POINTER],
);

/** https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-rtlfreeunicodestring */
export const RtlFreeUnicodeString: (UnicodeString: Pointer) => void = ntdll.define('RtlFreeUnicodeString', VOID, [
  POINTER,
]);

/** Wine's own export, absent on Windows: a C string such as `8.0 (Debian 8.0~repack-4)`. */
const wine_get_version: (() => bigint) | undefined = ntdll.defineOptional('wine_get_version', POINTER, []);

/** Whether this Windows is Wine. */
export const isWine: boolean = wine_get_version !== undefined;

/** https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwunmapviewofsection */
export const NtUnmapViewOfSection: (ProcessHandle: HANDLE, BaseAddress: bigint) => number = ntdll.define(
  'NtUnmapViewOfSection',
  NTSTATUS,
  [HANDLE, ULONG64],
);

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
  HANDLE,
  HANDLE,
  POINTER,
  ULONG64,
  ULONG64,
  POINTER,
  POINTER,
  DWORD,
  DWORD,
  DWORD,
]);
