export { openChildProcess } from './child-process.ts';
export { CloseError, DanglingBorrowError, InvalidHandleError, NullHandleError, OwnerGoneError } from './errors.ts';
export { borrowFile, intoFileDescriptor, takeFileDescriptor, takeFileHandle } from './file-descriptor.ts';
export { type AsHandle, BorrowedHandle, isAsHandle, type Lender, OwnedHandle } from './handle.ts';
export { HandleOrInvalid } from './handle-or-invalid.ts';
export { HandleOrNull } from './handle-or-null.ts';
export { borrowSocket, intoNetServer, intoNetSocket, type NodeSocket, takeSocket } from './node-socket.ts';
export { borrowStream } from './node-stream.ts';
export { keepOwnerStacks, type LiveOwner, liveOwners, setForgottenOwnerHandler } from './ownership.ts';
export { createPipe, type PipeEnds } from './pipe.ts';
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
export { type AsSocket, BorrowedSocket, isAsSocket, OwnedSocket } from './socket.ts';
export { standardHandle, type StandardStream } from './standard-handles.ts';
export {
  describeCode,
  failed,
  failedWithStatus,
  type Failure,
  NtStatusError,
  SystemError,
  Win32Error,
} from './system-error.ts';
export { startWinsock } from './winsock.ts';
