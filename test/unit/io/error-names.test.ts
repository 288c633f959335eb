import { expect, test } from 'vitest';

import { nameOfNtStatus, nameOfWin32Code } from '../../../src/io/error-names.ts';

test.each([
  [5, 'ERROR_ACCESS_DENIED'],
  [6, 'ERROR_INVALID_HANDLE'],
  [258, 'WAIT_TIMEOUT'],
  [740, 'ERROR_ELEVATION_REQUIRED'],
  [10041, 'WSAEPROTOTYPE'],
  [10022, 'WSAEINVAL'],
  [10038, 'WSAENOTSOCK'],
  [10093, 'WSANOTINITIALISED'],
  [54321, undefined],
])('the Win32 code %i is called %s', (code, name) => {
  expect(nameOfWin32Code(code)).toBe(name);
});

test.each([
  [0xc0000008, 'STATUS_INVALID_HANDLE'],
  [0xc0000008 | 0, 'STATUS_INVALID_HANDLE'],
  [0xc0000024, 'STATUS_OBJECT_TYPE_MISMATCH'],
  [0xc0000235, 'STATUS_HANDLE_NOT_CLOSABLE'],
  [0xc0000004, 'STATUS_INFO_LENGTH_MISMATCH'],
  [0xc000dead, undefined],
])('the NTSTATUS %i, signed or unsigned, is called %s', (status, name) => {
  expect(nameOfNtStatus(status)).toBe(name);
});
