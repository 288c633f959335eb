import { GetTokenInformation, OpenProcessToken } from '../ffi/advapi32.ts';
import { CURRENT_PROCESS, failed, OwnedHandle, unsafeRawHandle } from '../io/index.ts';

const TOKEN_QUERY = 0x8;
const TokenElevation = 20;

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
