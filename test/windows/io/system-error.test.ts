import { describe, expect, test } from 'vitest';

import { GetLastError, OpenProcess, SetLastError } from '../../../src/ffi/kernel32.ts';
import {
  CloseError,
  describeCode,
  failed,
  failedWithStatus,
  NtStatusError,
  SystemError,
  unsafeRawHandle,
  Win32Error,
} from '../../../src/io/index.ts';

describe('failed()', () => {
  test('says what failed, with which object, why, under which name, and what to try', () => {
    expect(OpenProcess(0x1000, false, 0xffff_fff0)).toBe(0n);
    const error = failed('open process', '4294967280', 'a process that exists');
    expect(error).toBeInstanceOf(Win32Error);
    expect(error).toBeInstanceOf(SystemError);
    expect(error).toMatchObject({ name: 'Win32Error', code: 87, codeName: 'ERROR_INVALID_PARAMETER' });
    expect(error.message).toBe(
      `Cannot open process 4294967280: ${error.reason} (ERROR_INVALID_PARAMETER 87). Try a process that exists.`,
    );
  });

  test.each([5, 54321])('reads the last error %i and leaves it, whether or not Windows has a text for it', (code) => {
    SetLastError(code);
    expect(failed('do', 'it').code).toBe(code);
    expect(GetLastError()).toBe(code);
  });

  test('gives no advice where there is none, and no object where there is none', () => {
    SetLastError(5);
    expect(failed('create a pipe', '').message).toBe(
      `Cannot create a pipe: ${describeCode(5)} (ERROR_ACCESS_DENIED 5).`,
    );
  });

  test('shows the bare number where neither this library nor Windows knows the code', () => {
    SetLastError(54321);
    expect(failed('do', 'it').message).toBe('Cannot do it: 54321.');
  });
});

describe("Windows' text", () => {
  test('is a clause: no capital at its start, no full stop, no line break', () => {
    expect(describeCode(5)).toMatch(/^access (is )?denied$/);
  });

  test('is empty for a code that Windows does not know', () => {
    expect(describeCode(54321)).toBe('');
  });
});

describe('failedWithStatus()', () => {
  test.each([0xc0000008, 0xc0000008 | 0])('names the status %i, signed or unsigned, in hexadecimal', (status) => {
    const error = failedWithStatus('close handle', '0x1a4', status);
    expect(error).toBeInstanceOf(NtStatusError);
    expect(error).toMatchObject({ name: 'NtStatusError', code: 0xc0000008, codeName: 'STATUS_INVALID_HANDLE' });
    expect(error.message).toMatch(/^Cannot close handle 0x1a4: .*invalid.* \(STATUS_INVALID_HANDLE 0xc0000008\)\.$/);
  });

  test('shows an unknown status as its number', () => {
    expect(failedWithStatus('do', 'it', 0xe0001234).message).toBe('Cannot do it: 0xe0001234.');
  });
});

test('a CloseError is a Win32Error with the value that was not closed', () => {
  const error = new CloseError('handle', unsafeRawHandle(0x1a4), 6);
  expect(error).toBeInstanceOf(Win32Error);
  expect(error).toMatchObject({ name: 'CloseError', raw: 0x1a4n, code: 6 });
  expect(error.message).toMatch(
    /^Cannot close handle 0x1a4: (invalid handle|the handle is invalid) \(ERROR_INVALID_HANDLE 6\)\.$/,
  );
});
