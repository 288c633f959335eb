import { GetTokenInformation, OpenProcessToken } from '../ffi/advapi32.ts';
import { RtlAdjustPrivilege } from '../ffi/ntdll.ts';
import { CURRENT_PROCESS, failed, OwnedHandle, unsafeRawHandle } from '../io/index.ts';

const TOKEN_QUERY = 0x8;
const TokenElevation = 20;
const SE_DEBUG_PRIVILEGE = 20;

/**
 * Whether this process runs with an administrator's rights.
 *
 * https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-token_elevation
 *
 * @throws Win32Error when Windows does not say
 */
export function isElevated(): boolean {
  const raw = new BigInt64Array(1);
  if (!OpenProcessToken(CURRENT_PROCESS, TOKEN_QUERY, raw)) throw failed('open', 'the token of this process');
  using token = OwnedHandle.fromRawHandle(unsafeRawHandle(raw[0]!));
  const elevation = new Uint32Array(1); // TOKEN_ELEVATION: DWORD TokenIsElevated
  if (!GetTokenInformation(token.asRawHandle(), TokenElevation, elevation, 4, new Uint32Array(1)))
    throw failed('read', 'the token of this process');
  return elevation[0] !== 0;
}

/**
 * Lets an administrator look into the processes of others: an elevated process has the privilege, but switched off.
 * Without elevation, which is the usual case, nothing changes.
 *
 * @returns NTSTATUS: 0 when the privilege is on, STATUS_PRIVILEGE_NOT_HELD when this process does not have it
 */
export function enableDebugPrivilege(): number {
  return RtlAdjustPrivilege(SE_DEBUG_PRIVILEGE, 1, 0, new Uint8Array(1));
}
