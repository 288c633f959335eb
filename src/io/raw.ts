import type { HANDLE, SOCKET } from '../ffi/library.ts';

/**
 * A Windows `HANDLE` as the signed 64-bit value that the kernel sees. It does not say who closes it: {@link
 * OwnedHandle} and {@link BorrowedHandle} do. A plain `bigint` is not one: see {@link unsafeRawHandle}.
 *
 * Rust: `std::os::windows::io::RawHandle`.
 */
export type RawHandle = HANDLE;

/**
 * A Winsock `SOCKET` as an unsigned 64-bit value. Not a handle: it is closed by `closesocket`, never by `CloseHandle`.
 *
 * Rust: `std::os::windows::io::RawSocket`.
 */
export type RawSocket = SOCKET;

/** NULL: no handle. A process without a console has it for its standard handles; it does no I/O. */
export const NULL_HANDLE: RawHandle = 0n as RawHandle;

/**
 * The pseudo handle of the current process. `INVALID_HANDLE_VALUE` is the same number: which of the two it is depends
 * on the call that returned it. Hence there are {@link HandleOrNull} and {@link HandleOrInvalid}.
 *
 * https://devblogs.microsoft.com/oldnewthing/20040302-00/?p=40443
 */
export const CURRENT_PROCESS: RawHandle = -1n as RawHandle;

/** The value that Winsock returns in place of a socket when a call fails. No owner and no borrow ever holds it. */
export const INVALID_SOCKET: RawSocket = 0xffff_ffff_ffff_ffffn as RawSocket;

/** Has a handle value that can be looked at. The value stays valid only while its owner is open and not moved. */
export interface AsRawHandle {
  /** May be NULL (`0n`) and may be `-1n`, which then is the current process. */
  asRawHandle(): RawHandle;
}

/** Makes an owner out of a raw handle: the static side of a class. */
export interface FromRawHandle<T> {
  /**
   * Takes ownership of `raw`.
   *
   * Unsafe: the caller promises that `raw` is open, that no other code will close it, and that `CloseHandle` is the
   * call that closes it (a registry key needs `RegCloseKey`, a find handle `FindClose`, a socket `closesocket`).
   */
  fromRawHandle(raw: RawHandle): T;
}

/** Gives its raw handle away. */
export interface IntoRawHandle {
  /** Ends this owner without closing. The caller has to close the returned value. */
  intoRawHandle(): RawHandle;
}

/** Has a socket value that can be looked at. The value stays valid only while its owner is open and not moved. */
export interface AsRawSocket {
  /** Never `INVALID_SOCKET`. */
  asRawSocket(): RawSocket;
}

/** Makes an owner out of a raw socket: the static side of a class. */
export interface FromRawSocket<T> {
  /**
   * Takes ownership of `raw`.
   *
   * Unsafe: the caller promises that `raw` is an open socket and that no other code will close it.
   *
   * @throws RangeError when `raw` is `INVALID_SOCKET`
   */
  fromRawSocket(raw: RawSocket): T;
}

/** Gives its raw socket away. */
export interface IntoRawSocket {
  /** Ends this owner without closing. The caller has to close the returned value. */
  intoRawSocket(): RawSocket;
}

/**
 * Makes a handle of a number. Unsafe: nothing can check that it is a handle, or who owns it.
 *
 * Signed and unsigned notations of the same 64 bits give the same handle: `0xffff_ffff_ffff_ffffn` is `-1n`.
 *
 * @throws RangeError when the number is not an integer, or not exact, or needs more than 64 bits
 */
export function unsafeRawHandle(value: number | bigint): RawHandle {
  return BigInt.asIntN(64, toWord(value, 'HANDLE')) as RawHandle;
}

/**
 * Makes a socket of a number. Unsafe: nothing can check that it is a socket, or who owns it.
 *
 * @throws RangeError when the number is not an integer, or not exact, or needs more than 64 bits
 */
export function unsafeRawSocket(value: number | bigint): RawSocket {
  return BigInt.asUintN(64, toWord(value, 'SOCKET')) as RawSocket;
}

function toWord(value: number | bigint, type: string): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new RangeError(`A ${type} must be an exact integer: ${value}`);
  }
  const word = BigInt(value);
  if (word < -(2n ** 63n) || word >= 2n ** 64n) throw new RangeError(`A ${type} has 64 bits: ${value}`);
  return word;
}

/** The value as Windows tools show it: `0x1a4`; `-1n` as `0xffffffffffffffff`. */
export function formatRaw(raw: RawHandle | RawSocket): string {
  return `0x${BigInt.asUintN(64, raw).toString(16)}`;
}

/**
 * Whether the value stands for the caller itself, so that the kernel does not look it up: the current process (-1),
 * thread (-2), session (-3), process token (-4), thread token (-5), effective token (-6). Such a handle needs no close.
 *
 * https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-getcurrentprocesstoken
 */
export function isPseudoHandle(raw: RawHandle): boolean {
  return raw >= -6n && raw <= -1n;
}

/** Whether `value` has an `asRawHandle` method. */
export function isAsRawHandle(value: unknown): value is AsRawHandle {
  return hasMethod(value, 'asRawHandle');
}

/** Whether `value` has a `fromRawHandle` method, as the class {@link OwnedHandle} has. */
export function isFromRawHandle(value: unknown): value is FromRawHandle<unknown> {
  return hasMethod(value, 'fromRawHandle');
}

/** Whether `value` has an `intoRawHandle` method. */
export function isIntoRawHandle(value: unknown): value is IntoRawHandle {
  return hasMethod(value, 'intoRawHandle');
}

/** Whether `value` has an `asRawSocket` method. */
export function isAsRawSocket(value: unknown): value is AsRawSocket {
  return hasMethod(value, 'asRawSocket');
}

/** Whether `value` has a `fromRawSocket` method, as the class {@link OwnedSocket} has. */
export function isFromRawSocket(value: unknown): value is FromRawSocket<unknown> {
  return hasMethod(value, 'fromRawSocket');
}

/** Whether `value` has an `intoRawSocket` method. */
export function isIntoRawSocket(value: unknown): value is IntoRawSocket {
  return hasMethod(value, 'intoRawSocket');
}

/** Whether `value` is an object or a function that has a method of that name. */
export function hasMethod(value: unknown, name: string): boolean {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isObject && typeof (value as Record<string, unknown>)[name] === 'function';
}
