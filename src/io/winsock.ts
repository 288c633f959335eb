import { WSAStartup } from '../ffi/ws2_32.ts';
import { Win32Error } from './system-error.ts';

const VERSION_2_2 = 0x0202;
const WSADATA_SIZE_BYTES = 408;

let isStarted = false;

/**
 * Starts Winsock 2.2 for this process, once. Every function of this library that calls Winsock calls this first.
 * Winsock is never cleaned up. Rust's standard library does not do that either, nor does libuv, which starts Winsock in
 * every Node process.
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
