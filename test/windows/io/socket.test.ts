import { once } from 'node:events';
import { createServer } from 'node:net';

import { beforeEach, describe, expect, test, vi } from 'vitest';

import {
  DuplicateHandle,
  GetHandleInformation,
  GetLastError,
  SetHandleInformation,
  SetLastError,
} from '../../../src/ffi/kernel32.ts';
import { closesocket, getsockopt, WSASocketW, WSAStartup } from '../../../src/ffi/ws2_32.ts';
import {
  BorrowedSocket,
  CloseError,
  DanglingBorrowError,
  INVALID_SOCKET,
  isAsHandle,
  isAsSocket,
  liveOwners,
  OwnedSocket,
  OwnerGoneError,
  startWinsock,
  unsafeRawHandle,
  unsafeRawSocket,
} from '../../../src/io/index.ts';
import {
  bindLoopback,
  connectLoopback,
  HANDLE_FLAG_INHERIT,
  localPort,
  newSocket,
  sendText,
  SOCK_DGRAM,
  SOCK_STREAM,
} from './win32.ts';

// Counted, not replaced: every call reaches Windows, but for the one failure that a test asks for.
vi.mock('../../../src/ffi/kernel32.ts', async (importOriginal) => {
  const kernel32 = await importOriginal<typeof import('../../../src/ffi/kernel32.ts')>();
  return {
    ...kernel32,
    DuplicateHandle: vi.fn(kernel32.DuplicateHandle),
    SetHandleInformation: vi.fn(kernel32.SetHandleInformation),
  };
});
vi.mock('../../../src/ffi/ws2_32.ts', async (importOriginal) => {
  const ws2_32 = await importOriginal<typeof import('../../../src/ffi/ws2_32.ts')>();
  return {
    ...ws2_32,
    closesocket: vi.fn(ws2_32.closesocket),
    WSASocketW: vi.fn(ws2_32.WSASocketW),
    WSAStartup: vi.fn(ws2_32.WSAStartup),
  };
});

beforeEach(() => {
  for (const call of [DuplicateHandle, SetHandleInformation, closesocket, WSASocketW])
    vi.mocked(call as () => unknown).mockClear();
});

function isInheritable(socket: OwnedSocket): boolean {
  const flags = new Uint32Array(1);
  expect(GetHandleInformation(unsafeRawHandle(socket.asRawSocket()), flags)).toBe(true);
  return (flags[0]! & HANDLE_FLAG_INHERIT) !== 0;
}

function isOpen(raw: ReturnType<OwnedSocket['asRawSocket']>): boolean {
  return getsockopt(raw, 0xffff, 0x1008, new Uint32Array(1), new Uint32Array([4])) === 0;
}

test('Winsock is started once, however often it is asked for', () => {
  startWinsock();
  using socket = newSocket(SOCK_DGRAM);
  using _ = socket.tryClone();
  expect(WSAStartup).toHaveBeenCalledTimes(1);
});

describe('an owned socket', () => {
  test('is closed by closesocket at the end of its scope', () => {
    let raw;
    {
      using socket = newSocket(SOCK_STREAM);
      raw = socket.asRawSocket();
      expect(isOpen(raw)).toBe(true);
    }
    expect(isOpen(raw)).toBe(false);
    expect(closesocket).toHaveBeenCalledTimes(1);
  });

  test('is never INVALID_SOCKET', () => {
    expect(() => OwnedSocket.fromRawSocket(INVALID_SOCKET)).toThrow(RangeError);
    expect(() => OwnedSocket.fromRawSocket(INVALID_SOCKET)).toThrow(/^INVALID_SOCKET cannot be owned/);
  });

  test.each<[string, (owner: OwnedSocket) => unknown]>([
    ['asRawSocket', (owner) => owner.asRawSocket()],
    ['asSocket', (owner) => owner.asSocket()],
    ['intoRawSocket', (owner) => owner.intoRawSocket()],
    ['move', (owner) => owner.move()],
    ['tryClone', (owner) => owner.tryClone()],
    ['close', (owner) => owner.close()],
  ])('throws on %s after it was closed', (_, use) => {
    const socket = newSocket(SOCK_DGRAM);
    socket.close();
    expect(() => use(socket)).toThrow(OwnerGoneError);
    expect(() => use(socket)).toThrow(/^Cannot use socket 0x[0-9a-f]+: its owner was closed$/);
    expect(closesocket).toHaveBeenCalledTimes(1);
  });

  test('that was moved or given away closes nothing', () => {
    using first = newSocket(SOCK_DGRAM);
    using second = first.move();
    const raw = second.intoRawSocket();
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    expect(isOpen(raw)).toBe(true);
    OwnedSocket.fromRawSocket(raw).close();
  });

  test('reports a close that Winsock refuses, and leaves the last error', () => {
    const socket = OwnedSocket.fromRawSocket(unsafeRawSocket(0x7fff_fff0));
    SetLastError(1234);
    expect(() => socket.close()).toThrow(CloseError);
    expect(GetLastError()).toBe(1234);
    expect(() => OwnedSocket.fromRawSocket(unsafeRawSocket(0x7fff_fff0)).close()).toThrow(
      /^Cannot close socket 0x7ffffff0: .*WSAENOTSOCK 10038\)?\.$/,
    );
  });

  test('leaves the last error when it is closed', () => {
    const socket = newSocket(SOCK_DGRAM);
    SetLastError(1234);
    socket.close();
    expect(GetLastError()).toBe(1234);
  });

  test('is AsSocket and no AsHandle', () => {
    using socket = newSocket(SOCK_DGRAM);
    for (const value of [socket, socket.asSocket()]) {
      expect(isAsSocket(value)).toBe(true);
      expect(isAsHandle(value)).toBe(false);
    }
  });
});

describe('a borrowed socket', () => {
  test('is never INVALID_SOCKET: borrowRaw refuses it', () => {
    expect(() => BorrowedSocket.borrowRaw(INVALID_SOCKET)).toThrow(RangeError);
    expect(() => BorrowedSocket.borrowFrom({ goneBecause: () => undefined }, INVALID_SOCKET)).toThrow(RangeError);
  });

  test('that outlived its owner throws when it is used', () => {
    const socket = newSocket(SOCK_DGRAM);
    const borrow = socket.asSocket();
    expect(borrow.asSocket().asRawSocket()).toBe(socket.asRawSocket());
    socket.close();
    expect(() => borrow.asRawSocket()).toThrow(DanglingBorrowError);
    expect(() => borrow.tryCloneToOwned()).toThrow(/^Cannot use borrowed socket 0x[0-9a-f]+: its owner was closed$/);
  });
});

describe('tryClone of a socket', () => {
  test('makes another descriptor of the same socket, without DuplicateHandle', () => {
    using socket = newSocket(SOCK_DGRAM);
    bindLoopback(socket);
    using clone = socket.tryClone();
    expect(clone.asRawSocket()).not.toBe(socket.asRawSocket());
    expect(localPort(clone)).toBe(localPort(socket));
    expect(DuplicateHandle).not.toHaveBeenCalled();
  });

  test('asks for an overlapped socket that is not inheritable, even if the source is', () => {
    using socket = newSocket(SOCK_STREAM);
    SetHandleInformation(unsafeRawHandle(socket.asRawSocket()), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    expect(isInheritable(socket)).toBe(true);
    vi.mocked(WSASocketW).mockClear();
    using clone = socket.tryClone();
    expect(vi.mocked(WSASocketW).mock.calls.map((call) => call[5])).toEqual([0x81]);
    expect(isInheritable(clone)).toBe(false);
  });

  test('keeps the connection open after the original is closed', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the server has no port');

    const original = newSocket(SOCK_STREAM);
    const accepted = once(server, 'connection');
    connectLoopback(original, address.port);
    using clone = original.tryClone();
    original.close();
    const [connection] = await accepted;
    sendText(clone, 'from the clone');
    const [data] = await once(connection, 'data');
    expect(String(data)).toBe('from the clone');
    connection.destroy();
    server.close();
  });

  test.each([
    ['WSAEPROTOTYPE', 10041],
    ['WSAEINVAL', 10022],
  ])('tries again without the flag on %s, and then takes inheritance away', (_, code) => {
    using socket = newSocket(SOCK_DGRAM);
    bindLoopback(socket);
    vi.mocked(WSASocketW).mockClear();
    failNextSocket(code);
    using clone = socket.tryClone();
    expect(vi.mocked(WSASocketW).mock.calls.map((call) => call[5])).toEqual([0x81, 0x01]);
    expect(SetHandleInformation).toHaveBeenCalledWith(clone.asRawSocket(), HANDLE_FLAG_INHERIT, 0);
    expect(isInheritable(clone)).toBe(false);
    expect(localPort(clone)).toBe(localPort(socket));
  });

  test('does not try again on another error', () => {
    using socket = newSocket(SOCK_DGRAM);
    vi.mocked(WSASocketW).mockClear();
    failNextSocket(10055);
    expect(() => socket.tryClone()).toThrow(/^Cannot open a duplicate of socket 0x[0-9a-f]+: .*WSAENOBUFS 10055\)?\.$/);
    expect(WSASocketW).toHaveBeenCalledTimes(1);
  });

  test('leaves no clone behind when inheritance cannot be taken away', () => {
    using socket = newSocket(SOCK_DGRAM);
    failNextSocket(10022);
    vi.mocked(SetHandleInformation).mockImplementationOnce(() => {
      SetLastError(5);
      return false;
    });
    expect(() => socket.tryClone()).toThrow(/ERROR_ACCESS_DENIED 5/);
    expect(liveOwners()).toHaveLength(1);
    expect(closesocket).toHaveBeenCalledTimes(1);
  });

  test('of a value that is no socket fails with the name of the error', () => {
    const borrow = BorrowedSocket.borrowRaw(unsafeRawSocket(0x7fff_fff0));
    expect(() => borrow.tryCloneToOwned()).toThrow(/^Cannot duplicate socket 0x7ffffff0: .*WSAENOTSOCK 10038\)?\.$/);
  });

  function failNextSocket(code: number): void {
    vi.mocked(WSASocketW).mockImplementationOnce(() => {
      SetLastError(code);
      return INVALID_SOCKET;
    });
  }
});
