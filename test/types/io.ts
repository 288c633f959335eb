/**
 * The uses of `unclosed/io` that the compiler refuses. Never run: an expectation that no longer holds is a compile
 * error, and test/windows/types.test.ts compiles this directory.
 */
import {
  type AsHandle,
  type AsRawHandle,
  type AsRawSocket,
  type AsSocket,
  BorrowedHandle,
  type BorrowedSocket,
  type FromRawHandle,
  type FromRawSocket,
  type HandleOrInvalid,
  type HandleOrNull,
  type IntoRawHandle,
  type IntoRawSocket,
  isAsHandle,
  isAsSocket,
  OwnedHandle,
  OwnedSocket,
  type RawHandle,
  type RawSocket,
  unsafeRawHandle,
  unsafeRawSocket,
} from '../../src/io/index.ts';

declare const rawHandle: RawHandle;
declare const rawSocket: RawSocket;
declare const ownedHandle: OwnedHandle;
declare const ownedSocket: OwnedSocket;
declare const borrowedHandle: BorrowedHandle;
declare const borrowedSocket: BorrowedSocket;
declare const handleOrNull: HandleOrNull;
declare const handleOrInvalid: HandleOrInvalid;

declare function takesAsHandle(value: AsHandle): void;
declare function takesAsSocket(value: AsSocket): void;
declare function takesAsRawHandle(value: AsRawHandle): void;
declare function takesAsRawSocket(value: AsRawSocket): void;
declare function takesIntoRawHandle(value: IntoRawHandle): void;
declare function takesIntoRawSocket(value: IntoRawSocket): void;
declare function takesFromRawHandle(value: FromRawHandle<OwnedHandle>): void;
declare function takesFromRawSocket(value: FromRawSocket<OwnedSocket>): void;
declare function takesRawHandle(value: RawHandle): void;
declare function takesRawSocket(value: RawSocket): void;
declare function takesOwnedHandle(value: OwnedHandle): void;
declare function takesBorrowedHandle(value: BorrowedHandle): void;

// Each trait has its implementations,
takesAsHandle(ownedHandle);
takesAsHandle(borrowedHandle);
takesAsSocket(ownedSocket);
takesAsSocket(borrowedSocket);
takesAsRawHandle(ownedHandle);
takesAsRawHandle(borrowedHandle);
takesAsRawSocket(ownedSocket);
takesAsRawSocket(borrowedSocket);
takesIntoRawHandle(ownedHandle);
takesIntoRawSocket(ownedSocket);
takesFromRawHandle(OwnedHandle);
takesFromRawSocket(OwnedSocket);

// and nothing else has: a socket is no handle,
// @ts-expect-error a BorrowedSocket is no AsHandle
takesAsHandle(borrowedSocket);
// @ts-expect-error an OwnedSocket is no AsHandle
takesAsHandle(ownedSocket);
// @ts-expect-error a BorrowedSocket is no AsRawHandle
takesAsRawHandle(borrowedSocket);
// @ts-expect-error an OwnedSocket is no IntoRawHandle
takesIntoRawHandle(ownedSocket);
// @ts-expect-error a RawSocket is no RawHandle
takesRawHandle(rawSocket);
// @ts-expect-error OwnedSocket makes no owner of a raw handle
takesFromRawHandle(OwnedSocket);

// a handle is no socket,
// @ts-expect-error a BorrowedHandle is no AsSocket
takesAsSocket(borrowedHandle);
// @ts-expect-error an OwnedHandle is no AsSocket
takesAsSocket(ownedHandle);
// @ts-expect-error a BorrowedHandle is no AsRawSocket
takesAsRawSocket(borrowedHandle);
// @ts-expect-error an OwnedHandle is no IntoRawSocket
takesIntoRawSocket(ownedHandle);
// @ts-expect-error a RawHandle is no RawSocket
takesRawSocket(rawHandle);
// @ts-expect-error OwnedHandle makes no owner of a raw socket
takesFromRawSocket(OwnedHandle);

// a borrow is no owner,
// @ts-expect-error a borrow cannot give away what it does not own
takesIntoRawHandle(borrowedHandle);
// @ts-expect-error a borrow cannot give away what it does not own
takesIntoRawSocket(borrowedSocket);
// @ts-expect-error a borrow is no owner
takesOwnedHandle(borrowedHandle);
// @ts-expect-error an owner is lent by asHandle
takesBorrowedHandle(ownedHandle);
// @ts-expect-error a borrow cannot be disposed of
export const disposable: Disposable = borrowedHandle;

// a number is no handle,
// @ts-expect-error a bigint is no RawHandle
takesRawHandle(0x1a4n);
// @ts-expect-error a number is no RawHandle
takesRawHandle(0x1a4);
// @ts-expect-error a bigint is no RawSocket
takesRawSocket(0x1a4n);
takesRawHandle(unsafeRawHandle(0x1a4));
takesRawSocket(unsafeRawSocket(0x1a4n));
// @ts-expect-error a raw handle owns nothing
takesAsHandle(rawHandle);

// a handle is still a bigint to look at,
export const looked: bigint = rawHandle;

// only the functions whose callers make promises make an owner or a borrow,
// @ts-expect-error use OwnedHandle.fromRawHandle
new OwnedHandle(rawHandle);
// @ts-expect-error use OwnedSocket.fromRawSocket
new OwnedSocket(rawSocket);
// @ts-expect-error use BorrowedHandle.borrowRaw
new BorrowedHandle(() => rawHandle);
// @ts-expect-error an object that looks like an owner is none
takesOwnedHandle({ ...ownedHandle });

// an unchecked result cannot be used before it is checked,
// @ts-expect-error a HandleOrNull is no AsHandle
takesAsHandle(handleOrNull);
// @ts-expect-error a HandleOrInvalid is no AsRawHandle
takesAsRawHandle(handleOrInvalid);
// @ts-expect-error a HandleOrNull is no IntoRawHandle
takesIntoRawHandle(handleOrNull);
// @ts-expect-error the two mean failure by different values
export const mixed: HandleOrNull = handleOrInvalid;
takesOwnedHandle(handleOrNull.tryIntoOwned());
takesOwnedHandle(handleOrInvalid.tryIntoOwned());

// and the guards narrow.
export function narrow(value: unknown): void {
  if (isAsHandle(value)) takesBorrowedHandle(value.asHandle());
  // @ts-expect-error isAsSocket does not make it lend a handle
  if (isAsSocket(value)) takesBorrowedHandle(value.asSocket());
}
