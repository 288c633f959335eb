import { DUPLICATE_SAME_ACCESS } from '../ffi/constants.ts';
import { CloseHandle, DuplicateHandle, GetLastError, SetLastError } from '../ffi/kernel32.ts';
import { CloseError, DanglingBorrowError } from './errors.ts';
import { Ownership } from './ownership.ts';
import {
  type AsRawHandle,
  CURRENT_PROCESS,
  formatRaw,
  hasMethod,
  type IntoRawHandle,
  isPseudoHandle,
  NULL_HANDLE,
  type RawHandle,
  unsafeRawHandle,
} from './raw.ts';
import { failed } from './system-error.ts';

/** Lends a handle. A socket is no handle: see {@link AsSocket}. */
export interface AsHandle {
  /** A borrow that is good until the owner closes or moves the handle. */
  asHandle(): BorrowedHandle;
}

/** Whether `value` has an `asHandle` method. */
export function isAsHandle(value: unknown): value is AsHandle {
  return hasMethod(value, 'asHandle');
}

/**
 * Knows whether a borrowed handle is still open, for owners that are not an {@link OwnedHandle}, such as a file of
 * Node's.
 */
export interface Lender {
  /** Why the borrow is void, as it follows "its owner" (`was closed`); `undefined` while it is good. */
  goneBecause(): string | undefined;
}

/**
 * A handle that another owner closes.
 *
 * It may be `-1n`, which is the current process and not INVALID_HANDLE_VALUE, and it may be NULL. A borrow that
 * outlived its owner throws as soon as its value is asked for.
 *
 * Rust: `std::os::windows::io::BorrowedHandle`.
 */
export class BorrowedHandle implements AsHandle, AsRawHandle {
  readonly #get: () => RawHandle;

  private constructor(get: () => RawHandle) {
    this.#get = get;
  }

  /**
   * A borrow that cannot be checked.
   *
   * Unsafe: the caller promises that `raw` is open, and stays so for as long as the borrow is used.
   */
  static borrowRaw(raw: RawHandle): BorrowedHandle {
    return new BorrowedHandle(() => raw);
  }

  /**
   * A borrow from a lender that knows whether the handle is still open.
   *
   * Unsafe: the caller promises that `raw` is open for as long as `lender` says so.
   */
  static borrowFrom(lender: Lender, raw: RawHandle): BorrowedHandle {
    return new BorrowedHandle(() => {
      const reason = lender.goneBecause();
      if (reason !== undefined) throw new DanglingBorrowError('handle', raw, reason);
      return raw;
    });
  }

  /** @internal */
  static ofOwnership(ownership: Ownership<RawHandle>): BorrowedHandle {
    return new BorrowedHandle(() => ownership.getForBorrow());
  }

  /** Itself: a borrow of a borrow ends with the same owner. */
  asHandle(): BorrowedHandle {
    return this;
  }

  /** @throws DanglingBorrowError when the owner closed or moved the handle */
  asRawHandle(): RawHandle {
    return this.#get();
  }

  /**
   * A second handle of the same object, with the same access, and never inheritable, even if this one is.
   *
   * NULL gives NULL without a call. `-1n` gives a real handle of the current process.
   *
   * https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-duplicatehandle
   *
   * @throws DanglingBorrowError when the owner closed or moved the handle
   * @throws Win32Error when Windows refuses, as it does for a value that is not open
   */
  tryCloneToOwned(): OwnedHandle {
    const raw = this.asRawHandle();
    // DuplicateHandle fails on NULL. But NULL is a valid handle that does no I/O, such as that of a detached console.
    if (raw === NULL_HANDLE) return OwnedHandle.fromRawHandle(raw);
    const clone = new BigUint64Array(1);
    if (!DuplicateHandle(CURRENT_PROCESS, raw, CURRENT_PROCESS, clone, 0, false, DUPLICATE_SAME_ACCESS)) {
      throw failed('duplicate handle', formatRaw(raw));
    }
    return OwnedHandle.fromRawHandle(unsafeRawHandle(clone[0]!));
  }
}

/**
 * A handle that only this object closes, with `CloseHandle`: at the end of a `using` scope or by {@link close}. Garbage
 * collection never closes it, but reports that it was forgotten.
 *
 * It may be `-1n`, which is the current process and not INVALID_HANDLE_VALUE, and it may be NULL; both need no close.
 * Not for registry keys, find handles and sockets.
 *
 * Rust: `std::os::windows::io::OwnedHandle`.
 */
export class OwnedHandle implements AsHandle, AsRawHandle, IntoRawHandle, Disposable {
  readonly #ownership: Ownership<RawHandle>;

  private constructor(raw: RawHandle) {
    this.#ownership = new Ownership('handle', raw, needsClose(raw) ? this : undefined, OwnedHandle.fromRawHandle);
  }

  /**
   * Takes ownership of `raw`.
   *
   * Unsafe: the caller promises that `raw` is open, that no other code will close it, and that `CloseHandle` is the
   * call that closes it. For a call's result that may mean failure use {@link HandleOrNull} or {@link HandleOrInvalid}.
   */
  static fromRawHandle(raw: RawHandle): OwnedHandle {
    return new OwnedHandle(raw);
  }

  /** Whether it is neither closed nor moved. */
  get isLive(): boolean {
    return this.#ownership.isLive;
  }

  /**
   * Lends the handle until it is closed or moved.
   *
   * @throws OwnerGoneError after a close or a move
   */
  asHandle(): BorrowedHandle {
    this.#ownership.get();
    return BorrowedHandle.ofOwnership(this.#ownership);
  }

  /** @throws OwnerGoneError after a close or a move */
  asRawHandle(): RawHandle {
    return this.#ownership.get();
  }

  /**
   * Gives the handle away without closing it. The caller has to close the returned value.
   *
   * @throws OwnerGoneError after a close or a move
   */
  intoRawHandle(): RawHandle {
    return this.#ownership.end('gave it away');
  }

  /**
   * Moves the handle to a new owner, out of reach of this one's `using` scope. Use it to return a handle from a
   * function that must not leak it when it throws. Borrows from this owner end.
   *
   * @throws OwnerGoneError after a close or a move
   */
  move(): OwnedHandle {
    return OwnedHandle.fromRawHandle(this.#ownership.end('was moved'));
  }

  /**
   * A second handle of the same object: see {@link BorrowedHandle.tryCloneToOwned}.
   *
   * @throws OwnerGoneError after a close or a move
   * @throws Win32Error when Windows refuses
   */
  tryClone(): OwnedHandle {
    return this.asHandle().tryCloneToOwned();
  }

  /**
   * Closes the handle now. The thread's last error stays as it was. NULL and pseudo handles need no call.
   *
   * https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-closehandle
   *
   * @throws OwnerGoneError after a close or a move
   * @throws CloseError when Windows refuses; the owner is spent nevertheless
   */
  close(): void {
    const raw = this.#ownership.end('was closed');
    if (!needsClose(raw)) return;
    const lastError = GetLastError();
    const closed = CloseHandle(raw);
    const code = closed ? 0 : GetLastError();
    SetLastError(lastError);
    if (!closed) throw new CloseError('handle', raw, code);
  }

  /**
   * Closes the handle if this object still owns it, at the end of a `using` scope.
   *
   * @throws CloseError when Windows refuses
   */
  [Symbol.dispose](): void {
    if (this.#ownership.isLive) this.close();
  }

  /** `OwnedHandle(0x1a4)`, in every state. */
  toString(): string {
    return `OwnedHandle(${this.#ownership.describe()})`;
  }
}

function needsClose(raw: RawHandle): boolean {
  return raw !== NULL_HANDLE && !isPseudoHandle(raw);
}
