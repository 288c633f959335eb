import { DWORD, loadLibrary, LONG, POINTER, type Pointer, SOCKET, WORD } from './library.ts';

const ws2_32 = loadLibrary('ws2_32.dll');

/** https://learn.microsoft.com/windows/win32/api/winsock/nf-winsock-wsastartup */
export const WSAStartup: (wVersionRequested: number, lpWSAData: Uint8Array) => number = ws2_32.define(
  'WSAStartup',
  LONG,
  [WORD, POINTER],
);

/** https://learn.microsoft.com/windows/win32/api/winsock/nf-winsock-wsagetlasterror */
export const WSAGetLastError: () => number = ws2_32.define('WSAGetLastError', LONG, []);

/** https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-closesocket */
export const closesocket: (s: SOCKET) => number = ws2_32.define('closesocket', LONG, [SOCKET]);

/** https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsaduplicatesocketw */
export const WSADuplicateSocketW: (s: SOCKET, dwProcessId: number, lpProtocolInfo: Uint8Array) => number =
  ws2_32.define('WSADuplicateSocketW', LONG, [SOCKET, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsasocketw */
export const WSASocketW: (
  af: number,
  type: number,
  protocol: number,
  lpProtocolInfo: Pointer,
  g: number,
  dwFlags: number,
) => SOCKET = ws2_32.define('WSASocketW', SOCKET, [LONG, LONG, LONG, POINTER, DWORD, DWORD]);

/** https://learn.microsoft.com/windows/win32/api/winsock/nf-winsock-getsockopt */
export const getsockopt: (s: SOCKET, level: number, optname: number, optval: Pointer, optlen: Uint32Array) => number =
  ws2_32.define('getsockopt', LONG, [SOCKET, LONG, LONG, POINTER, POINTER]);
