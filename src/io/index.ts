export { CloseError, DanglingBorrowError, InvalidHandleError, NullHandleError, OwnerGoneError } from './errors.ts';
export { type AsHandle, BorrowedHandle, isAsHandle, type Lender, OwnedHandle } from './handle.ts';
export { HandleOrInvalid } from './handle-or-invalid.ts';
export { HandleOrNull } from './handle-or-null.ts';
export { keepOwnerStacks, type LiveOwner, liveOwners, setForgottenOwnerHandler } from './ownership.ts';
export {
  type AsRawHandle,
  type AsRawSocket,
  CURRENT_PROCESS,
  formatRaw,
  type FromRawHandle,
  type FromRawSocket,
  INVALID_SOCKET,
  type IntoRawHandle,
  type IntoRawSocket,
  isAsRawHandle,
  isAsRawSocket,
  isFromRawHandle,
  isFromRawSocket,
  isIntoRawHandle,
  isIntoRawSocket,
  isPseudoHandle,
  NULL_HANDLE,
  type RawHandle,
  type RawSocket,
  unsafeRawHandle,
  unsafeRawSocket,
} from './raw.ts';
export { describeCode, failed, failedWithStatus, NtStatusError, SystemError, Win32Error } from './system-error.ts';
