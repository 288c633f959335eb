import { beforeEach, describe, expect, test, vi } from 'vitest';

import {
  CloseHandle,
  DuplicateHandle,
  GetHandleInformation,
  GetLastError,
  OpenProcess,
  OpenThread,
  SetHandleInformation,
  SetLastError,
} from '../../../src/ffi/kernel32.ts';
import {
  BorrowedHandle,
  CloseError,
  CURRENT_PROCESS,
  DanglingBorrowError,
  HandleOrNull,
  isAsHandle,
  liveOwners,
  NULL_HANDLE,
  OwnedHandle,
  OwnerGoneError,
  unsafeRawHandle,
  Win32Error,
} from '../../../src/io/index.ts';
import {
  areSameEvent,
  GetCurrentThreadId,
  GetProcessId,
  GetThreadId,
  HANDLE_FLAG_INHERIT,
  newEvent,
  newUnclosableEvent,
  WaitForSingleObject,
} from './win32.ts';

// Counted, not replaced: every call reaches Windows.
vi.mock('../../../src/ffi/kernel32.ts', async (importOriginal) => {
  const kernel32 = await importOriginal<typeof import('../../../src/ffi/kernel32.ts')>();
  return { ...kernel32, CloseHandle: vi.fn(kernel32.CloseHandle), DuplicateHandle: vi.fn(kernel32.DuplicateHandle) };
});

beforeEach(() => {
  vi.mocked(CloseHandle).mockClear();
  vi.mocked(DuplicateHandle).mockClear();
});

function isOpen(raw: ReturnType<OwnedHandle['asRawHandle']>): boolean {
  return GetHandleInformation(raw, new Uint32Array(1));
}

function isInheritable(owner: OwnedHandle): boolean {
  const flags = new Uint32Array(1);
  expect(GetHandleInformation(owner.asRawHandle(), flags)).toBe(true);
  return (flags[0]! & HANDLE_FLAG_INHERIT) !== 0;
}

describe('an owned handle', () => {
  test('is closed at the end of its scope', () => {
    let raw;
    {
      using event = newEvent();
      raw = event.asRawHandle();
      expect(isOpen(raw)).toBe(true);
    }
    expect(isOpen(raw)).toBe(false);
  });

  test('is closed when its scope throws', () => {
    let raw = NULL_HANDLE;
    expect(() => {
      using event = newEvent();
      raw = event.asRawHandle();
      throw new Error('on the way');
    }).toThrow('on the way');
    expect(isOpen(raw)).toBe(false);
  });

  test('that was closed before the end of its scope is closed once', () => {
    {
      using event = newEvent();
      event.close();
    }
    expect(CloseHandle).toHaveBeenCalledTimes(1);
  });

  test('refuses a second close', () => {
    const event = newEvent();
    event.close();
    expect(() => event.close()).toThrow(OwnerGoneError);
    expect(CloseHandle).toHaveBeenCalledTimes(1);
  });

  test.each<[string, (owner: OwnedHandle) => unknown]>([
    ['asRawHandle', (owner) => owner.asRawHandle()],
    ['asHandle', (owner) => owner.asHandle()],
    ['intoRawHandle', (owner) => owner.intoRawHandle()],
    ['move', (owner) => owner.move()],
    ['tryClone', (owner) => owner.tryClone()],
    ['close', (owner) => owner.close()],
  ])('throws on %s after it was closed, and after it was moved', (_, use) => {
    const closed = newEvent();
    closed.close();
    expect(() => use(closed)).toThrow(/^Cannot use handle 0x[0-9a-f]+: its owner was closed$/);

    const moved = newEvent();
    using event = moved.move();
    expect(() => use(moved)).toThrow(/^Cannot use handle 0x[0-9a-f]+: its owner was moved$/);
    expect(event.isLive).toBe(true);
  });

  test('tells with the stack of its close when it is used afterwards', () => {
    const event = newEvent();
    (function theCloser() {
      event.close();
    })();
    expect(() => event.asRawHandle()).toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ stack: expect.stringContaining('theCloser') }) }),
    );
  });

  test('that gave its raw handle away does not close it', () => {
    let raw;
    {
      using event = newEvent();
      raw = event.intoRawHandle();
    }
    expect(isOpen(raw)).toBe(true);
    OwnedHandle.fromRawHandle(raw).close();
    expect(isOpen(raw)).toBe(false);
  });

  test('that was moved out of its scope survives it', () => {
    function open(): OwnedHandle {
      using event = newEvent();
      return event.move();
    }
    using event = open();
    expect(isOpen(event.asRawHandle())).toBe(true);
  });

  test('may be -1, the current process: closing it makes no call', () => {
    const self = OwnedHandle.fromRawHandle(CURRENT_PROCESS);
    expect(self.asRawHandle()).toBe(-1n);
    expect(GetProcessId(self.asRawHandle())).toBe(process.pid);
    self.close();
    expect(CloseHandle).not.toHaveBeenCalled();
  });

  test('may be NULL: closing it makes no call', () => {
    OwnedHandle.fromRawHandle(NULL_HANDLE).close();
    expect(CloseHandle).not.toHaveBeenCalled();
  });

  test('may be of a process, and of a thread', () => {
    using self = HandleOrNull.fromRawHandle(OpenProcess(0x1000, false, process.pid)).expect('open process', 'itself');
    expect(GetProcessId(self.asRawHandle())).toBe(process.pid);
    const threadId = GetCurrentThreadId();
    using thread = HandleOrNull.fromRawHandle(OpenThread(0x800, false, threadId)).expect('open thread', 'itself');
    expect(GetThreadId(thread.asRawHandle())).toBe(threadId);
  });

  test('shows its value and what became of it', () => {
    const event = newEvent();
    const shown = `0x${event.asRawHandle().toString(16)}`;
    expect(String(event)).toBe(`OwnedHandle(${shown})`);
    event.close();
    expect(String(event)).toBe(`OwnedHandle(${shown}, was closed)`);
  });

  test('is AsHandle, and so is a borrow of it, but not its raw value', () => {
    using event = newEvent();
    expect(isAsHandle(event)).toBe(true);
    expect(isAsHandle(event.asHandle())).toBe(true);
    expect(isAsHandle(event.asRawHandle())).toBe(false);
  });
});

describe('a close that Windows refuses', () => {
  test('is reported with name and code, and leaves the owner spent', () => {
    using event = newUnclosableEvent();
    const raw = event.owner.asRawHandle();
    expect(() => event.owner.close()).toThrow(
      expect.objectContaining({ name: 'CloseError', raw, code: 6, codeName: 'ERROR_INVALID_HANDLE' }),
    );
    expect(event.owner.isLive).toBe(false);
    expect(() => event.owner.close()).toThrow(OwnerGoneError);
  });

  test('is reported at the end of a scope, beside the error that ended it', () => {
    using event = newUnclosableEvent();
    let thrown: unknown;
    try {
      using owner = event.owner;
      throw new Error(`in the scope of ${owner}`);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ name: 'SuppressedError' });
    const { error, suppressed } = thrown as { error: unknown; suppressed: unknown };
    expect(error).toBeInstanceOf(CloseError);
    expect(suppressed).toMatchObject({ message: expect.stringContaining('in the scope of') });
  });

  test('of a value that is closed already is reported', () => {
    const event = newEvent();
    CloseHandle(event.asRawHandle());
    expect(() => event.close()).toThrow(CloseError);
  });
});

describe('the last error', () => {
  test('survives a close', () => {
    const event = newEvent();
    SetLastError(1234);
    event.close();
    expect(GetLastError()).toBe(1234);
  });

  test('survives a refused close, too', () => {
    using event = newUnclosableEvent();
    SetLastError(1234);
    expect(() => event.owner.close()).toThrow(CloseError);
    expect(GetLastError()).toBe(1234);
  });
});

describe('a borrowed handle', () => {
  test('lends the value of its owner', () => {
    using event = newEvent();
    expect(event.asHandle().asRawHandle()).toBe(event.asRawHandle());
    expect(event.asHandle().asHandle().asRawHandle()).toBe(event.asRawHandle());
  });

  test.each<[string, (owner: OwnedHandle) => Disposable]>([
    ['was closed', (owner) => (owner.close(), newEvent())],
    ['was moved', (owner) => owner.move()],
    ['gave it away', (owner) => OwnedHandle.fromRawHandle(owner.intoRawHandle())],
  ])('that outlived an owner that %s throws when it is used', (fate, end) => {
    const event = newEvent();
    const raw = event.asRawHandle();
    const borrow = event.asHandle();
    using _ = end(event);
    expect(() => borrow.asRawHandle()).toThrow(DanglingBorrowError);
    expect(() => borrow.asHandle().asRawHandle()).toThrow(DanglingBorrowError);
    expect(() => borrow.tryCloneToOwned()).toThrow(
      `Cannot use borrowed handle 0x${raw.toString(16)}: its owner ${fate}`,
    );
  });

  test('of a raw value may be -1, the current process, or NULL', () => {
    expect(BorrowedHandle.borrowRaw(CURRENT_PROCESS).asRawHandle()).toBe(-1n);
    expect(BorrowedHandle.borrowRaw(NULL_HANDLE).asRawHandle()).toBe(0n);
  });

  test('closes nothing', () => {
    using event = newEvent();
    BorrowedHandle.borrowRaw(event.asRawHandle());
    expect(Symbol.dispose in event.asHandle()).toBe(false);
    expect(isOpen(event.asRawHandle())).toBe(true);
  });

  test('from a lender is good for as long as the lender says so', () => {
    using event = newEvent();
    let fate: string | undefined;
    const borrow = BorrowedHandle.borrowFrom({ goneBecause: () => fate }, event.asRawHandle());
    expect(borrow.asRawHandle()).toBe(event.asRawHandle());
    fate = 'went home';
    expect(() => borrow.asRawHandle()).toThrow(/its owner went home$/);
  });
});

describe('tryClone of a handle', () => {
  test('makes another handle of the same object', () => {
    using event = newEvent();
    using clone = event.tryClone();
    expect(clone.asRawHandle()).not.toBe(event.asRawHandle());
    expect(areSameEvent(event, clone)).toBe(true);
  });

  test('outlives the original', () => {
    const event = newEvent();
    using clone = event.tryClone();
    event.close();
    expect(WaitForSingleObject(clone.asRawHandle(), 0)).toBe(258);
  });

  test('is not inheritable, even if the source is', () => {
    using event = newEvent();
    expect(SetHandleInformation(event.asRawHandle(), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT)).toBe(true);
    expect(isInheritable(event)).toBe(true);
    using clone = event.tryClone();
    expect(isInheritable(clone)).toBe(false);
  });

  test('keeps the same access', () => {
    using limited = HandleOrNull.fromRawHandle(OpenProcess(0x1000, false, process.pid)).expect(
      'open process',
      'itself',
    );
    using clone = limited.tryClone();
    // SYNCHRONIZE was not asked for, so neither may be waited for.
    expect(WaitForSingleObject(limited.asRawHandle(), 0)).toBe(0xffff_ffff);
    expect(WaitForSingleObject(clone.asRawHandle(), 0)).toBe(0xffff_ffff);
  });

  test('of NULL is NULL, without a call', () => {
    using clone = OwnedHandle.fromRawHandle(NULL_HANDLE).tryClone();
    expect(clone.asRawHandle()).toBe(NULL_HANDLE);
    expect(DuplicateHandle).not.toHaveBeenCalled();
  });

  test('of -1 is a real handle of the current process', () => {
    using clone = OwnedHandle.fromRawHandle(CURRENT_PROCESS).tryClone();
    expect(clone.asRawHandle()).toBeGreaterThan(0n);
    expect(GetProcessId(clone.asRawHandle())).toBe(process.pid);
  });

  test('of a value that is not open fails with the name of the error, and makes no owner', () => {
    const before = liveOwners().length;
    const borrow = BorrowedHandle.borrowRaw(unsafeRawHandle(0x7fff_fff0));
    expect(() => borrow.tryCloneToOwned()).toThrow(Win32Error);
    expect(() => borrow.tryCloneToOwned()).toThrow(
      /^Cannot duplicate handle 0x7ffffff0: .+ \(ERROR_INVALID_HANDLE 6\)\.$/,
    );
    expect(liveOwners()).toHaveLength(before);
  });
});
