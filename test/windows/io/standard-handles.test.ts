import { describe, expect, onTestFinished, test } from 'vitest';

import { GetStdHandle, INVALID_HANDLE_VALUE } from '../../../src/ffi/kernel32.ts';
import { NULL_HANDLE, standardHandle, type StandardStream } from '../../../src/io/index.ts';
import { SetStdHandle } from './win32.ts';

describe.each<[StandardStream, number]>([
  ['input', -10 >>> 0],
  ['output', -11 >>> 0],
  ['error', -12 >>> 0],
])('the standard %s handle', (stream, number) => {
  test('is what GetStdHandle says', () => {
    expect(standardHandle(stream).asRawHandle()).toBe(GetStdHandle(number));
  });

  test('is NULL when GetStdHandle says INVALID_HANDLE_VALUE, for that would be the current process', () => {
    const before = GetStdHandle(number);
    onTestFinished(() => void SetStdHandle(number, before));
    SetStdHandle(number, INVALID_HANDLE_VALUE);
    expect(GetStdHandle(number)).toBe(-1n);
    expect(standardHandle(stream).asRawHandle()).toBe(NULL_HANDLE);
    using clone = standardHandle(stream).tryCloneToOwned();
    expect(clone.asRawHandle()).toBe(NULL_HANDLE);
  });
});
