import { HANDLE_FLAG_INHERIT } from '../ffi/constants.ts';
import { GetLastError, SetHandleInformation, SetLastError } from '../ffi/kernel32.ts';
import { closesocket, WSADuplicateSocketW, WSAGetLastError, WSASocketW } from '../ffi/ws2_32.ts';
import { CloseError, DanglingBorrowError } from './errors.ts';
import type { Lender } from './handle.ts';
import { Ownership } from './ownership.ts';
import {
  type AsRawSocket,
  formatRaw,
  hasMethod,
  INVALID_SOCKET,
  type IntoRawSocket,
  type RawSocket,
  unsafeRawHandle,
} from './raw.ts';
import { failed, Win32Error } from './system-error.ts';
import { startWinsock } from './winsock.ts';

const WSA_FLAG_OVERLAPPED = 0x01;
const WSA_FLAG_NO_HANDLE_INHERIT = 0x80;
const WSAEINVAL = 10022;
const WSAEPROTOTYPE = 10041;

/** Lends a socket. A handle is no socket: see {@link AsHandle}. */
export interface AsSocket {
  /** A borrow that is good until the owner closes or moves the socket. */
  asSocket(): BorrowedSocket;
}

/** Whether `value` has an `asSocket` method. */
export function isAsSocket(value: unknown): value is AsSocket {
  return hasMethod(value, 'asSocket');
}

/**
 * A socket that another owner closes. It is never INVALID_SOCKET. A borrow that outlived its owner throws as soon as
 * its value is asked for.
 *
 * Rust: `std::os::windows::io::BorrowedSocket`.
 */
export class BorrowedSocket implements AsSocket, AsRawSocket {
  readonly #get: () => RawSocket;

  private constructor(get: () => RawSocket) {
    this.#get = get;
  }

  /**
   * A borrow that cannot be checked.
   *
   * Unsafe: the caller promises that `raw` is an open socket, and stays so for as long as the borrow is used.
   *
   * @throws RangeError when `raw` is INVALID_SOCKET
   */
  static borrowRaw(raw: RawSocket): BorrowedSocket {
    refuseInvalid(raw, 'borrowed');
    return new BorrowedSocket(() => raw);
  }

  /**
   * A borrow from a lender that knows whether the socket is still open.
   *
   * Unsafe: the caller promises that `raw` is an open socket for as long as `lender` says so.
   *
   * @throws RangeError when `raw` is INVALID_SOCKET
   */
  static borrowFrom(lender: Lender, raw: RawSocket): BorrowedSocket {
    refuseInvalid(raw, 'borrowed');
    return new BorrowedSocket(() => {
      const reason = lender.goneBecause();
      if (reason !== undefined) throw new DanglingBorrowError('socket', raw, reason);
      return raw;
    });
  }

  /** @internal */
  static ofOwnership(ownership: Ownership<RawSocket>): BorrowedSocket {
    return new BorrowedSocket(() => ownership.getForBorrow());
  }

  /** Itself: a borrow of a borrow ends with the same owner. */
  asSocket(): BorrowedSocket {
    return this;
  }

  /** @throws DanglingBorrowError when the owner closed or moved the socket */
  asRawSocket(): RawSocket {
    return this.#get();
  }

  /**
   * A second descriptor of the same socket, never inheritable. Both share the connection and its options; it ends when
   * both are closed.
   *
   * https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsaduplicatesocketw
   *
   * @throws DanglingBorrowError when the owner closed or moved the socket
   * @throws Win32Error when Winsock refuses, as it does for a value that is not a socket
   */
  tryCloneToOwned(): OwnedSocket {
    const raw = this.asRawSocket();
    startWinsock();
    // Never DuplicateHandle: layered service providers keep state of their own for a socket.
    const info = new Uint8Array(WSAPROTOCOL_INFOW.sizeBytes);
    if (WSADuplicateSocketW(raw, process.pid, info) !== 0) throw failedSocket('duplicate socket', formatRaw(raw));
    const clone = openDuplicate(info, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (clone !== INVALID_SOCKET) return OwnedSocket.fromRawSocket(clone);

    const code = WSAGetLastError();
    // Some providers do not know the flag. Then two steps are needed, and a child that starts between them inherits the
    // socket.
    if (code !== WSAEPROTOTYPE && code !== WSAEINVAL) {
      throw new Win32Error({ what: 'open a duplicate of socket', object: formatRaw(raw) }, code);
    }
    const inheritable = openDuplicate(info, WSA_FLAG_OVERLAPPED);
    if (inheritable === INVALID_SOCKET) throw failedSocket('open a duplicate of socket', formatRaw(raw));
    const owner = OwnedSocket.fromRawSocket(inheritable);
    if (!SetHandleInformation(unsafeRawHandle(inheritable), HANDLE_FLAG_INHERIT, 0)) {
      const error = failed('make socket not inheritable', formatRaw(inheritable));
      owner.close();
      throw error;
    }
    return owner;
  }
}

/**
 * A socket that only this object closes, with `closesocket`: at the end of a `using` scope or by {@link close}. Garbage
 * collection never closes it, but reports that it was forgotten. It is never INVALID_SOCKET.
 *
 * Rust: `std::os::windows::io::OwnedSocket`.
 */
export class OwnedSocket implements AsSocket, AsRawSocket, IntoRawSocket, Disposable {
  readonly #ownership: Ownership<RawSocket>;

  private constructor(raw: RawSocket) {
    this.#ownership = new Ownership('socket', raw, this, OwnedSocket.fromRawSocket);
  }

  /**
   * Takes ownership of `raw`.
   *
   * Unsafe: the caller promises that `raw` is an open socket and that no other code will close it.
   *
   * @throws RangeError when `raw` is INVALID_SOCKET
   */
  static fromRawSocket(raw: RawSocket): OwnedSocket {
    refuseInvalid(raw, 'owned');
    return new OwnedSocket(raw);
  }

  /** Whether it is neither closed nor moved. */
  get isLive(): boolean {
    return this.#ownership.isLive;
  }

  /**
   * Lends the socket until it is closed or moved.
   *
   * @throws OwnerGoneError after a close or a move
   */
  asSocket(): BorrowedSocket {
    this.#ownership.get();
    return BorrowedSocket.ofOwnership(this.#ownership);
  }

  /** @throws OwnerGoneError after a close or a move */
  asRawSocket(): RawSocket {
    return this.#ownership.get();
  }

  /**
   * Gives the socket away without closing it. The caller has to close the returned value.
   *
   * @throws OwnerGoneError after a close or a move
   */
  intoRawSocket(): RawSocket {
    return this.#ownership.end('gave it away');
  }

  /**
   * Moves the socket to a new owner, out of reach of this one's `using` scope. Borrows from this owner end.
   *
   * @throws OwnerGoneError after a close or a move
   */
  move(): OwnedSocket {
    return OwnedSocket.fromRawSocket(this.#ownership.end('was moved'));
  }

  /**
   * A second descriptor of the same socket: see {@link BorrowedSocket.tryCloneToOwned}.
   *
   * @throws OwnerGoneError after a close or a move
   * @throws Win32Error when Winsock refuses
   */
  tryClone(): OwnedSocket {
    return this.asSocket().tryCloneToOwned();
  }

  /**
   * Closes the socket now. The thread's last error, which is also Winsock's, stays as it was.
   *
   * https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-closesocket
   *
   * @throws OwnerGoneError after a close or a move
   * @throws CloseError when Winsock refuses; the owner is spent nevertheless
   */
  close(): void {
    startWinsock();
    const raw = this.#ownership.end('was closed');
    const lastError = GetLastError();
    const code = closesocket(raw) === 0 ? 0 : WSAGetLastError();
    SetLastError(lastError);
    if (code !== 0) throw new CloseError('socket', raw, code);
  }

  /**
   * Closes the socket if this object still owns it, at the end of a `using` scope.
   *
   * @throws CloseError when Winsock refuses
   */
  [Symbol.dispose](): void {
    if (this.#ownership.isLive) this.close();
  }

  /** `OwnedSocket(0x1a4)`, in every state. */
  toString(): string {
    return `OwnedSocket(${this.#ownership.describe()})`;
  }
}

/** https://learn.microsoft.com/windows/win32/api/winsock2/ns-winsock2-wsaprotocol_infow */
const WSAPROTOCOL_INFOW = {
  sizeBytes: 628,
  iAddressFamily: 76, // int iAddressFamily, after 4 DWORD flags, DWORD, GUID, DWORD, 8 DWORD chain, int iVersion
  iSocketType: 88, // int iSocketType, after int iMaxSockAddr, int iMinSockAddr
  iProtocol: 92, // int iProtocol
} as const;

function openDuplicate(info: Uint8Array, flags: number): RawSocket {
  const fields = new DataView(info.buffer, info.byteOffset, info.byteLength);
  return WSASocketW(
    fields.getInt32(WSAPROTOCOL_INFOW.iAddressFamily, true),
    fields.getInt32(WSAPROTOCOL_INFOW.iSocketType, true),
    fields.getInt32(WSAPROTOCOL_INFOW.iProtocol, true),
    info,
    0,
    flags,
  );
}

function failedSocket(what: string, object: string): Win32Error {
  return new Win32Error({ what, object }, WSAGetLastError());
}

function refuseInvalid(raw: RawSocket, how: string): void {
  if (raw === INVALID_SOCKET)
    throw new RangeError(`INVALID_SOCKET cannot be ${how}: the call that returned it had failed`);
}
