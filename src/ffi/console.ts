import { BOOL, DWORD, HANDLE, loadLibrary, POINTER, type Pointer } from './library.ts';

const kernel32 = loadLibrary('kernel32.dll');

/** https://learn.microsoft.com/windows/win32/api/namedpipeapi/nf-namedpipeapi-peeknamedpipe */
export const PeekNamedPipe: (
  hNamedPipe: HANDLE,
  lpBuffer: Pointer,
  nBufferSize: number,
  lpBytesRead: Pointer,
  lpTotalBytesAvail: Uint32Array,
  lpBytesLeftThisMessage: Pointer,
) => boolean = kernel32.define('PeekNamedPipe', BOOL, [HANDLE, POINTER, DWORD, POINTER, POINTER, POINTER]);

/** https://learn.microsoft.com/windows/console/getconsolemode */
export const GetConsoleMode: (hConsoleHandle: HANDLE, lpMode: Uint32Array) => boolean = kernel32.define(
  'GetConsoleMode',
  BOOL,
  [HANDLE, POINTER],
);

/** https://learn.microsoft.com/windows/console/peekconsoleinput */
export const PeekConsoleInputW: (
  hConsoleInput: HANDLE,
  lpBuffer: Uint8Array,
  nLength: number,
  lpNumberOfEventsRead: Uint32Array,
) => boolean = kernel32.define('PeekConsoleInputW', BOOL, [HANDLE, POINTER, DWORD, POINTER]);

/** https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-readfile */
export const ReadFile: (
  hFile: HANDLE,
  lpBuffer: Uint8Array,
  nNumberOfBytesToRead: number,
  lpNumberOfBytesRead: Uint32Array,
  lpOverlapped: Pointer,
) => boolean = kernel32.define('ReadFile', BOOL, [HANDLE, POINTER, DWORD, POINTER, POINTER]);
