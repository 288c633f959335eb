import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { beforeEach, describe, expect, test, vi } from 'vitest';

import {
  CloseHandle,
  GetHandleInformation,
  GetLastError,
  INVALID_HANDLE_VALUE,
  OpenProcess,
} from '../../../src/ffi/kernel32.ts';
import {
  HandleOrInvalid,
  HandleOrNull,
  InvalidHandleError,
  liveOwners,
  NULL_HANDLE,
  NullHandleError,
  OwnerGoneError,
  unsafeRawHandle,
} from '../../../src/io/index.ts';
import { CreateFileW, newEvent, WriteFile } from './win32.ts';

// Counted, not replaced: every call reaches Windows.
vi.mock('../../../src/ffi/kernel32.ts', async (importOriginal) => {
  const kernel32 = await importOriginal<typeof import('../../../src/ffi/kernel32.ts')>();
  return { ...kernel32, CloseHandle: vi.fn(kernel32.CloseHandle) };
});

beforeEach(() => {
  vi.mocked(CloseHandle).mockClear();
});

const GENERIC_WRITE = 0x4000_0000;
const CREATE_ALWAYS = 2;
const OPEN_EXISTING = 3;
const noHandle = unsafeRawHandle(0);

describe('HandleOrNull', () => {
  test('of NULL does not convert: NULL means failure', () => {
    expect(() => HandleOrNull.fromRawHandle(NULL_HANDLE).tryIntoOwned()).toThrow(NullHandleError);
    expect(() => HandleOrNull.fromRawHandle(NULL_HANDLE).tryIntoOwned()).toThrow(
      'A HandleOrNull could not be converted to a handle because it was null',
    );
  });

  test('of -1 converts: it is the current process', () => {
    using owner = HandleOrNull.fromRawHandle(INVALID_HANDLE_VALUE).tryIntoOwned();
    expect(owner.asRawHandle()).toBe(-1n);
  });

  test('keeps the last error of the call that failed, for a failed conversion calls nothing', () => {
    const result = HandleOrNull.fromRawHandle(OpenProcess(0x1000, false, 0xffff_fff0));
    expect(() => result.tryIntoOwned()).toThrow(NullHandleError);
    result[Symbol.dispose]();
    expect(GetLastError()).toBe(87);
    expect(CloseHandle).not.toHaveBeenCalled();
  });

  test('says why there is no handle when one is expected', () => {
    expect(() =>
      HandleOrNull.fromRawHandle(OpenProcess(0x1000, false, 0xffff_fff0)).expect('open process', '4294967280'),
    ).toThrow(/^Cannot open process 4294967280: .+ \(ERROR_INVALID_PARAMETER 87\)\.$/);
  });
});

describe('HandleOrInvalid', () => {
  test('of -1 does not convert: INVALID_HANDLE_VALUE means failure', () => {
    expect(() => HandleOrInvalid.fromRawHandle(INVALID_HANDLE_VALUE).tryIntoOwned()).toThrow(InvalidHandleError);
    expect(() => HandleOrInvalid.fromRawHandle(INVALID_HANDLE_VALUE).tryIntoOwned()).toThrow(
      'A HandleOrInvalid could not be converted to a handle because it was INVALID_HANDLE_VALUE',
    );
  });

  test('of NULL converts: it is a valid handle', () => {
    using owner = HandleOrInvalid.fromRawHandle(NULL_HANDLE).tryIntoOwned();
    expect(owner.asRawHandle()).toBe(0n);
  });

  test('keeps the last error of the call that failed, for a failed conversion calls nothing', () => {
    const path = 'C:\\no such directory\\no such file';
    const result = HandleOrInvalid.fromRawHandle(CreateFileW(path, GENERIC_WRITE, 0, null, OPEN_EXISTING, 0, noHandle));
    expect(() => result.tryIntoOwned()).toThrow(InvalidHandleError);
    result[Symbol.dispose]();
    expect(GetLastError()).toBe(3);
    expect(CloseHandle).not.toHaveBeenCalled();
  });

  test('says why there is no handle when one is expected', () => {
    const path = 'C:\\no such directory\\no such file';
    expect(() =>
      HandleOrInvalid.fromRawHandle(CreateFileW(path, GENERIC_WRITE, 0, null, OPEN_EXISTING, 0, noHandle)).expect(
        'open file',
        path,
        'a path that exists',
      ),
    ).toThrow(
      /^Cannot open file C:\\no such directory\\no such file: .+ \(ERROR_PATH_NOT_FOUND 3\)\. Try a path that exists\.$/,
    );
  });

  test('of a file becomes an owner that writes and closes it', () => {
    const directory = mkdtempSync(join(tmpdir(), 'unclosed-io-'));
    const path = join(directory, 'written.txt');
    try {
      {
        const raw = CreateFileW(path, GENERIC_WRITE, 0, null, CREATE_ALWAYS, 0, noHandle);
        using file = HandleOrInvalid.fromRawHandle(raw).expect('create file', path);
        const bytes = Buffer.from('through an owned handle');
        expect(WriteFile(file.asRawHandle(), bytes, bytes.length, new Uint32Array(1), null)).toBe(true);
      }
      // It was opened without sharing: reading it proves that it is closed.
      expect(readFileSync(path, 'utf8')).toBe('through an owned handle');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe.each([HandleOrNull, HandleOrInvalid])('%o', (HandleOr) => {
  test('is consumed by a conversion', () => {
    const result = HandleOr.fromRawHandle(newEvent().intoRawHandle());
    using _ = result.tryIntoOwned();
    expect(() => result.tryIntoOwned()).toThrow(OwnerGoneError);
    expect(() => result.tryIntoOwned()).toThrow(/its owner was converted$/);
    expect(() => result.expect('do', 'it')).toThrow(OwnerGoneError);
  });

  test('does not close at the end of its scope what was converted', () => {
    let owner;
    {
      using result = HandleOr.fromRawHandle(newEvent().intoRawHandle());
      owner = result.tryIntoOwned();
    }
    expect(owner.isLive).toBe(true);
    expect(GetHandleInformation(owner.asRawHandle(), new Uint32Array(1))).toBe(true);
    owner.close();
  });

  test('closes at the end of its scope what was not converted, once', () => {
    const raw = newEvent().intoRawHandle();
    {
      using result = HandleOr.fromRawHandle(raw);
      result[Symbol.dispose]();
    }
    expect(CloseHandle).toHaveBeenCalledTimes(1);
    expect(GetHandleInformation(raw, new Uint32Array(1))).toBe(false);
  });
});

test('a sentinel has no owner', () => {
  const before = liveOwners().length;
  HandleOrNull.fromRawHandle(NULL_HANDLE);
  HandleOrInvalid.fromRawHandle(INVALID_HANDLE_VALUE);
  expect(liveOwners()).toHaveLength(before);
});
