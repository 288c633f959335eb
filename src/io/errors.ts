import { formatRaw, type RawHandle, type RawSocket } from './raw.ts';
import { Win32Error } from './system-error.ts';

/**
 * A {@link HandleOrNull} held NULL: the call that returned it had failed, and its last error is still there to be read.
 */
export class NullHandleError extends Error {
  override readonly name = 'NullHandleError';

  constructor() {
    super('A HandleOrNull could not be converted to a handle because it was null');
  }
}

/**
 * A {@link HandleOrInvalid} held INVALID_HANDLE_VALUE: the call that returned it had failed, and its last error is
 * still there to be read.
 */
export class InvalidHandleError extends Error {
  override readonly name = 'InvalidHandleError';

  constructor() {
    super('A HandleOrInvalid could not be converted to a handle because it was INVALID_HANDLE_VALUE');
  }
}

/**
 * An owner was used after it had been closed or moved. In Rust the compiler refuses this. Here the call refuses it,
 * because the value may belong to another object by now.
 */
export class OwnerGoneError extends Error {
  override readonly name = 'OwnerGoneError';
  /** The value that the owner had held. Use it only in messages: it may belong to another owner by now. */
  readonly raw: RawHandle | RawSocket;

  /** @param cause holds the stack of the close or the move */
  constructor(kind: string, raw: RawHandle | RawSocket, fate: string, cause: Error) {
    super(`Cannot use ${kind} ${formatRaw(raw)}: its owner ${fate}`, { cause });
    this.raw = raw;
  }
}

/** A borrow was used after its owner had closed or moved what it lent. In Rust the borrow checker refuses this. */
export class DanglingBorrowError extends Error {
  override readonly name = 'DanglingBorrowError';
  /** The value that had been borrowed. Use it only in messages: it may belong to another owner by now. */
  readonly raw: RawHandle | RawSocket;

  /** @param cause holds the stack of the close or the move, where it is known */
  constructor(kind: string, raw: RawHandle | RawSocket, fate: string, cause?: Error) {
    super(`Cannot use borrowed ${kind} ${formatRaw(raw)}: its owner ${fate}`, cause === undefined ? {} : { cause });
    this.raw = raw;
  }
}

/**
 * Windows refused to close the handle or socket of an owner: other code had closed it, or it is protected from close.
 * The owner is spent and does not try again, because the value may belong to another owner by then.
 */
export class CloseError extends Win32Error {
  /** The value that could not be closed. */
  readonly raw: RawHandle | RawSocket;

  constructor(kind: string, raw: RawHandle | RawSocket, code: number) {
    super({ what: `close ${kind}`, object: formatRaw(raw) }, code);
    this.raw = raw;
  }
}
