import { BOOL, BOOLEAN, DWORD, HANDLE, loadLibrary, NTSTATUS, POINTER, type Pointer } from './library.ts';

const advapi32 = loadLibrary('advapi32.dll');

/** https://learn.microsoft.com/windows/win32/api/ntsecapi/nf-ntsecapi-lsantstatustowinerror */
export const LsaNtStatusToWinError: (Status: number) => number = advapi32.define('LsaNtStatusToWinError', DWORD, [
  NTSTATUS,
]);

/** https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-openprocesstoken */
export const OpenProcessToken: (ProcessHandle: HANDLE, DesiredAccess: number, TokenHandle: BigInt64Array) => boolean =
  advapi32.define('OpenProcessToken', BOOL, [HANDLE, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/securitybaseapi/nf-securitybaseapi-gettokeninformation */
export const GetTokenInformation: (
  TokenHandle: HANDLE,
  TokenInformationClass: number,
  TokenInformation: Pointer,
  TokenInformationLength: number,
  ReturnLength: Uint32Array,
) => boolean = advapi32.define('GetTokenInformation', BOOL, [HANDLE, DWORD, POINTER, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/securitybaseapi/nf-securitybaseapi-impersonateloggedonuser */
export const ImpersonateLoggedOnUser: (hToken: HANDLE) => boolean = advapi32.define('ImpersonateLoggedOnUser', BOOL, [
  HANDLE,
]);

/** https://learn.microsoft.com/windows/win32/api/securitybaseapi/nf-securitybaseapi-reverttoself */
export const RevertToSelf: () => boolean = advapi32.define('RevertToSelf', BOOL, []);

/**
 * Random bytes of cryptographic quality. Its exported name is SystemFunction036.
 *
 * https://learn.microsoft.com/windows/win32/api/ntsecapi/nf-ntsecapi-rtlgenrandom
 */
export const RtlGenRandom: (RandomBuffer: Pointer, RandomBufferLength: number) => boolean = advapi32.define(
  'SystemFunction036',
  BOOLEAN,
  [POINTER, DWORD],
);
