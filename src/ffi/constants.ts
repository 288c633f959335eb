/*
 * Numbers of the Windows SDK's headers that several modules need. One that a single module needs stands in that module.
 */

/** https://learn.microsoft.com/windows/win32/procthread/process-security-and-access-rights */
export const PROCESS_VM_OPERATION = 0x0008;
export const PROCESS_VM_READ = 0x0010;
export const PROCESS_DUP_HANDLE = 0x0040;
export const PROCESS_QUERY_INFORMATION = 0x0400;
export const PROCESS_SUSPEND_RESUME = 0x0800;
export const PROCESS_QUERY_LIMITED_INFORMATION = 0x1000;

/** https://learn.microsoft.com/windows/win32/secauthz/standard-access-rights */
export const SYNCHRONIZE = 0x0010_0000;

/** https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-duplicatehandle */
export const DUPLICATE_CLOSE_SOURCE = 1;
export const DUPLICATE_SAME_ACCESS = 2;

/** https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-sethandleinformation */
export const HANDLE_FLAG_INHERIT = 1;
export const HANDLE_FLAG_PROTECT_FROM_CLOSE = 2;

/** https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-waitforsingleobject */
export const WAIT_OBJECT_0 = 0;
export const WAIT_TIMEOUT = 258;

/** https://learn.microsoft.com/windows/win32/debug/system-error-codes */
export const ERROR_ACCESS_DENIED = 5;
export const ERROR_ALREADY_EXISTS = 183;

/** https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/596a1078-e883-4972-9bbc-49e60bebca55 */
export const STATUS_PENDING = 0x0000_0103;
export const STATUS_INFO_LENGTH_MISMATCH = 0xc000_0004;

/** PROCESSINFOCLASS. https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntqueryinformationprocess */
export const ProcessBasicInformation = 0;
export const ProcessTimes = 4;

/** OBJECT_INFORMATION_CLASS. https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntqueryobject */
export const ObjectNameInformation = 1;
