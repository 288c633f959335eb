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
 * An owner was used that owns nothing any more. In Rust the compiler refuses this; here it is refused at the call,
 * because the value may mean somebody else's object by now.
 */
export class OwnerGoneError extends Error {
  override readonly name = 'OwnerGoneError';
  /** What the owner had held. Only to be shown: it may belong to somebody else. */
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
  /** What had been borrowed. Only to be shown: it may belong to somebody else. */
  readonly raw: RawHandle | RawSocket;

  /** @param cause holds the stack of the close or the move, where it is known */
  constructor(kind: string, raw: RawHandle | RawSocket, fate: string, cause?: Error) {
    super(`Cannot use borrowed ${kind} ${formatRaw(raw)}: its owner ${fate}`, cause === undefined ? {} : { cause });
    this.raw = raw;
  }
}

/**
 * Windows refused to close what an owner held: the value was closed behind the owner's back, or is protected from
 * close. The owner is spent and does not try again: by then the value may belong to somebody else.
 */
export class CloseError extends Win32Error {
  /** What could not be closed. */
  readonly raw: RawHandle | RawSocket;

  constructor(kind: string, raw: RawHandle | RawSocket, code: number) {
    super({ what: `close ${kind}`, object: formatRaw(raw) }, code);
    this.raw = raw;
  }
}
