import { WSAStartup } from '../ffi/ws2_32.ts';
import { Win32Error } from './system-error.ts';

const VERSION_2_2 = 0x0202;
const WSADATA_SIZE_BYTES = 408;

let isStarted = false;

/**
 * Starts Winsock 2.2 for this process, once; whatever in this library calls Winsock does so first. It is never cleaned
 * up, as it is neither by Rust's standard library nor by libuv, which starts it in every Node process on its own
 * account.
 *
 * https://learn.microsoft.com/windows/win32/api/winsock/nf-winsock-wsastartup
 *
 * @throws Win32Error when this system has no usable Winsock
 */
export function startWinsock(): void {
  if (isStarted) return;
  const code = WSAStartup(VERSION_2_2, new Uint8Array(WSADATA_SIZE_BYTES));
  if (code !== 0) throw new Win32Error({ what: 'start Winsock', object: '2.2' }, code);
  isStarted = true;
}
