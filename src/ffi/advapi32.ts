import { DWORD, loadLibrary, NTSTATUS } from './library.ts';

const advapi32 = loadLibrary('advapi32.dll');

/** https://learn.microsoft.com/windows/win32/api/ntsecapi/nf-ntsecapi-lsantstatustowinerror */
export const LsaNtStatusToWinError: (Status: number) => number = advapi32.define('LsaNtStatusToWinError', DWORD, [NTSTATUS]);
