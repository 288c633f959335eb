/** Calls that only these tests need, and objects made with them. */
import { SetHandleInformation } from '../../../src/ffi/kernel32.ts';
import {
  BOOL,
  DWORD,
  HANDLE,
  loadLibrary,
  LONG,
  LPCWSTR,
  POINTER,
  type Pointer,
  SOCKET,
} from '../../../src/ffi/library.ts';
import { WSAGetLastError, WSASocketW } from '../../../src/ffi/ws2_32.ts';
import {
  type AsRawHandle,
  type AsRawSocket,
  HandleOrNull,
  OwnedHandle,
  OwnedSocket,
  startWinsock,
} from '../../../src/io/index.ts';

const kernel32 = loadLibrary('kernel32.dll');
const ws2_32 = loadLibrary('ws2_32.dll');

export const CreateEventW: (
  attributes: Pointer,
  manualReset: boolean,
  initialState: boolean,
  name: string | null,
) => HANDLE = kernel32.define('CreateEventW', HANDLE, [POINTER, BOOL, BOOL, LPCWSTR]);
export const SetEvent: (event: HANDLE) => boolean = kernel32.define('SetEvent', BOOL, [HANDLE]);
export const WaitForSingleObject: (handle: HANDLE, timeoutMs: number) => number = kernel32.define(
  'WaitForSingleObject',
  DWORD,
  [HANDLE, DWORD],
);
export const CreateFileW: (
  name: string,
  access: number,
  share: number,
  attributes: Pointer,
  disposition: number,
  flags: number,
  template: HANDLE,
) => HANDLE = kernel32.define('CreateFileW', HANDLE, [LPCWSTR, DWORD, DWORD, POINTER, DWORD, DWORD, HANDLE]);
export const WriteFile: (
  file: HANDLE,
  bytes: Uint8Array,
  count: number,
  written: Uint32Array,
  overlapped: null,
) => boolean = kernel32.define('WriteFile', BOOL, [HANDLE, POINTER, DWORD, POINTER, POINTER]);
export const ReadFile: (
  file: HANDLE,
  bytes: Uint8Array,
  count: number,
  read: Uint32Array,
  overlapped: null,
) => boolean = kernel32.define('ReadFile', BOOL, [HANDLE, POINTER, DWORD, POINTER, POINTER]);
export const GetFileType: (file: HANDLE) => number = kernel32.define('GetFileType', DWORD, [HANDLE]);
export const GetProcessId: (process: HANDLE) => number = kernel32.define('GetProcessId', DWORD, [HANDLE]);
export const GetThreadId: (thread: HANDLE) => number = kernel32.define('GetThreadId', DWORD, [HANDLE]);
export const GetCurrentThreadId: () => number = kernel32.define('GetCurrentThreadId', DWORD, []);
export const SetStdHandle: (stream: number, handle: HANDLE) => boolean = kernel32.define('SetStdHandle', BOOL, [
  DWORD,
  HANDLE,
]);

const bind: (s: SOCKET, name: Uint8Array, length: number) => number = ws2_32.define('bind', LONG, [
  SOCKET,
  POINTER,
  LONG,
]);
const connectTo: (s: SOCKET, name: Uint8Array, length: number) => number = ws2_32.define('connect', LONG, [
  SOCKET,
  POINTER,
  LONG,
]);
const getsockname: (s: SOCKET, name: Uint8Array, length: Int32Array) => number = ws2_32.define('getsockname', LONG, [
  SOCKET,
  POINTER,
  POINTER,
]);
const sendBytes: (s: SOCKET, bytes: Uint8Array, count: number, flags: number) => number = ws2_32.define('send', LONG, [
  SOCKET,
  POINTER,
  LONG,
  LONG,
]);

export const HANDLE_FLAG_INHERIT = 1;
export const HANDLE_FLAG_PROTECT_FROM_CLOSE = 2;
export const WAIT_OBJECT_0 = 0;
export const WAIT_TIMEOUT = 258;
export const FILE_TYPE_PIPE = 3;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
const AF_INET = 2;
const WSA_FLAG_OVERLAPPED = 1;

/** An unnamed manual-reset event, not set. */
export function newEvent(): OwnedHandle {
  return HandleOrNull.fromRawHandle(CreateEventW(null, true, false, null)).expect('create an event', '');
}

/** Whether both are handles of one event: what is set through one is seen through the other. */
export function areSameEvent(one: AsRawHandle, other: AsRawHandle): boolean {
  const before = WaitForSingleObject(other.asRawHandle(), 0);
  SetEvent(one.asRawHandle());
  return before === WAIT_TIMEOUT && WaitForSingleObject(other.asRawHandle(), 0) === WAIT_OBJECT_0;
}

/** An owner whose close Windows refuses, and the way to have the handle closed after all. */
export function newUnclosableEvent(): { owner: OwnedHandle; [Symbol.dispose](): void } {
  const owner = newEvent();
  const raw = owner.asRawHandle();
  SetHandleInformation(raw, HANDLE_FLAG_PROTECT_FROM_CLOSE, HANDLE_FLAG_PROTECT_FROM_CLOSE);
  return {
    owner,
    [Symbol.dispose](): void {
      SetHandleInformation(raw, HANDLE_FLAG_PROTECT_FROM_CLOSE, 0);
      OwnedHandle.fromRawHandle(raw).close();
    },
  };
}

export function newSocket(type: number): OwnedSocket {
  startWinsock();
  return OwnedSocket.fromRawSocket(WSASocketW(AF_INET, type, 0, null, 0, WSA_FLAG_OVERLAPPED));
}

export function bindLoopback(socket: AsRawSocket): void {
  check(bind(socket.asRawSocket(), loopback(0), 16), 'bind');
}

export function connectLoopback(socket: AsRawSocket, port: number): void {
  check(connectTo(socket.asRawSocket(), loopback(port), 16), 'connect');
}

/** The local port of an IPv4 socket. */
export function localPort(socket: AsRawSocket): number {
  const name = new Uint8Array(16);
  check(getsockname(socket.asRawSocket(), name, new Int32Array([name.length])), 'getsockname');
  return new DataView(name.buffer).getUint16(2);
}

export function sendText(socket: AsRawSocket, text: string): void {
  const bytes = Buffer.from(text);
  if (sendBytes(socket.asRawSocket(), bytes, bytes.length, 0) !== bytes.length)
    throw new Error(`send: ${WSAGetLastError()}`);
}

function check(result: number, call: string): void {
  if (result !== 0) throw new Error(`${call}: ${WSAGetLastError()}`);
}

/** struct sockaddr_in of 127.0.0.1 */
function loopback(port: number): Uint8Array {
  const address = new Uint8Array(16);
  const fields = new DataView(address.buffer);
  fields.setUint16(0, AF_INET, true); // ADDRESS_FAMILY sin_family
  fields.setUint16(2, port); // USHORT sin_port, network order
  fields.setUint32(4, 0x7f00_0001); // IN_ADDR sin_addr, network order
  return address;
}
