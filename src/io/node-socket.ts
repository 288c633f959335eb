import type { Socket as DatagramSocket } from 'node:dgram';
import { createServer, Server, Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

import { getsockopt, WSAGetLastError } from '../ffi/ws2_32.ts';
import { findLibuvHandle, innerHandle } from './libuv-handle.ts';
import { formatRaw, unsafeRawSocket } from './raw.ts';
import { BorrowedSocket, type OwnedSocket } from './socket.ts';
import { Win32Error } from './system-error.ts';

const SOL_SOCKET = 0xffff;
const SO_TYPE = 0x1008;
const SOCK_STREAM = 1;

/** An object of Node's that stands on one socket: a TCP connection, a TCP listener, a UDP socket. */
export type NodeSocket = Socket | Server | DatagramSocket;

/**
 * The socket under a TCP connection, a TCP server or a UDP socket of Node's. Node keeps owning it; the borrow ends when
 * the object is closed or destroyed, also if it is opened again.
 *
 * libuv has put the socket into non-blocking mode and takes every overlapped completion on it for its own: use it for
 * questions and options (`getsockname`, `setsockopt`), calls without OVERLAPPED, and
 * {@link BorrowedSocket.tryCloneToOwned}.
 *
 * @param source in the main thread only, see {@link findLibuvHandle}
 * @throws Error when it is not open (a connection not yet connected, a server not yet listening), does not stand on a
 * socket (a named pipe, a cluster worker's server), or its socket cannot be found
 */
export function borrowSocket(source: NodeSocket): BorrowedSocket {
  const gone = whyGone(source);
  if (gone !== undefined) throw new Error(`Cannot borrow a socket of Node's: it ${gone}`);
  const { type, value } = findLibuvHandle(source);
  if (type !== 'tcp' && type !== 'udp') {
    throw new Error(`Cannot borrow a socket of Node's: it stands on a ${type}. Try borrowStream for pipes.`);
  }
  const inner = innerHandle(source);
  const goneBecause = (): string | undefined =>
    whyGone(source) ?? (innerHandle(source) === inner ? undefined : 'was closed and opened again');
  return BorrowedSocket.borrowFrom({ goneBecause }, unsafeRawSocket(value));
}

/**
 * Takes the socket out of an object of Node's, which is destroyed or closed. libuv cannot release a socket without
 * closing it, so this returns a clone: another value for the same connection, which stays open.
 *
 * The clone is in non-blocking mode. Data that Node has read ahead is not in it: take a connection that is paused or
 * was never read from.
 *
 * @throws Error as {@link borrowSocket} does, or when Node's buffers hold data that would be lost
 * @throws Win32Error when Winsock cannot clone the socket
 */
export function takeSocket(source: NodeSocket): OwnedSocket {
  if (source instanceof Socket && (source.readableLength > 0 || source.writableLength > 0)) {
    const { readableLength, writableLength } = source;
    const loss = `${readableLength} bytes read and ${writableLength} bytes to be written would be lost`;
    throw new Error(`Cannot take the socket out of a connection: ${loss}`);
  }
  using clone = borrowSocket(source).tryCloneToOwned();
  if (source instanceof Socket) source.destroy();
  else source.close();
  return clone.move();
}

/**
 * Turns an owned, connected TCP socket into a `net.Socket`, which owns it from now on.
 *
 * The socket must have been made for overlapped I/O (as `socket` does, and `WSASocketW` with WSA_FLAG_OVERLAPPED).
 * Node offers no public way, so this uses `process.binding('tcp_wrap')` of Node 22, and throws where that is missing.
 *
 * @throws Error when it is not a TCP socket, libuv refuses it, or this Node offers no way; the owner keeps its socket
 * @throws Win32Error when the value is not a socket
 */
export function intoNetSocket(owner: OwnedSocket): Socket {
  // `handle` is what Node's own listeners and IPC pass; the declared options leave it out.
  return new Socket({ handle: openTcp(owner, 'SOCKET') } as object);
}

/**
 * Lets a `net.Server` accept from an owned, bound TCP socket, which the server owns from now on. The server starts to
 * listen at once and emits `listening`, as after `server.listen`.
 *
 * The socket must have been made for overlapped I/O; see {@link intoNetSocket} for how it is done.
 *
 * @throws Error when it is not a TCP socket, libuv refuses it, the server listens already, or this Node offers no way;
 * the owner keeps its socket
 * @throws Win32Error when the value is not a socket
 */
export function intoNetServer(owner: OwnedSocket, server: Server = createServer()): Server {
  if (server.listening) {
    throw new Error(`Cannot give socket ${formatRaw(owner.asRawSocket())} to Node: the server listens already`);
  }
  return server.listen({ _handle: openTcp(owner, 'SERVER') });
}

/** The part of Node's `tcp_wrap` that this module uses. */
interface TcpWrap {
  readonly TCP: new (type: number) => { open(socket: number): number; close(): void };
  readonly constants: { readonly SOCKET: number; readonly SERVER: number };
}

function openTcp(owner: OwnedSocket, purpose: 'SOCKET' | 'SERVER'): object {
  const raw = owner.asRawSocket();
  if (socketType(owner) !== SOCK_STREAM) {
    throw new Error(`Cannot give socket ${formatRaw(raw)} to Node: it is not a TCP socket`);
  }
  // TCP.open reads a signed 32-bit integer.
  if (raw > 0x7fff_ffffn)
    throw new Error(`Cannot give socket ${formatRaw(raw)} to Node: its value has more than 31 bits`);
  const { TCP, constants } = tcpWrap();
  const tcp = new TCP(constants[purpose]);
  const error = tcp.open(Number(raw));
  if (error !== 0) {
    tcp.close();
    const code = `${getSystemErrorName(error)} ${error}`;
    throw new Error(`Cannot give socket ${formatRaw(raw)} to Node: libuv refuses it (${code})`);
  }
  owner.intoRawSocket();
  return tcp;
}

function tcpWrap(): TcpWrap {
  const { binding } = process as { binding?: (name: string) => unknown };
  const wrap = binding?.call(process, 'tcp_wrap') as Partial<TcpWrap> | undefined;
  if (wrap?.TCP === undefined || wrap.constants === undefined) {
    throw new Error(`Cannot give a socket to Node: Node ${process.version} has no tcp_wrap binding`);
  }
  return wrap as TcpWrap;
}

function socketType(owner: OwnedSocket): number {
  const type = new Uint32Array(1);
  const raw = owner.asRawSocket();
  if (getsockopt(raw, SOL_SOCKET, SO_TYPE, type, new Uint32Array([type.byteLength])) !== 0) {
    throw new Win32Error({ what: 'ask for the type of socket', object: formatRaw(raw) }, WSAGetLastError());
  }
  return type[0]!;
}

/** Why Node's object stands on no socket, as it follows "it" or "its owner"; `undefined` while it does. */
function whyGone(source: NodeSocket): string | undefined {
  if (source instanceof Socket) {
    if (source.destroyed) return 'was destroyed';
    return source.pending ? 'is not connected yet' : undefined;
  }
  if (source instanceof Server) return source.listening ? undefined : 'is not listening';
  try {
    source.address();
    return undefined;
  } catch {
    // dgram gives no other sign: address() throws before bind and after close.
    return 'is not bound';
  }
}
