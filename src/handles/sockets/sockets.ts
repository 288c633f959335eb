import { STATUS_PENDING } from '../../ffi/constants.ts';
import type { HANDLE } from '../../ffi/library.ts';
import { isWine, NtDeviceIoControlFile, NtDeviceIoControlFileAsync } from '../../ffi/ntdll.ts';
import type { SocketDescription } from '../../model.ts';

/** One question to the socket driver: the control code, and room for the answer. */
interface Question {
  readonly code: number;
  readonly sizeBytes: number;
}

/** The driver's answer to each question, cut to the length that it gave; `undefined` where it refused. */
type SocketAnswers = readonly (Buffer | undefined)[];

/** sizeof(SOCKADDR_STORAGE); an AF_UNIX address has 110 bytes. */
const ADDRESS_SIZE_BYTES = 128;

// Wine's include/wine/afd.h: CTL_CODE(FILE_DEVICE_NETWORK, n, METHOD_BUFFERED, FILE_ANY_ACCESS) [ran, Wine 8 and 10].
const WINE_QUESTIONS: readonly Question[] = [
  { code: 0x12_0368, sizeBytes: 12 }, // IOCTL_AFD_WINE_GET_INFO (218): int family, type, protocol
  { code: 0x01_202f, sizeBytes: ADDRESS_SIZE_BYTES }, // IOCTL_AFD_GETSOCKNAME
  { code: 0x12_0360, sizeBytes: ADDRESS_SIZE_BYTES }, // IOCTL_AFD_WINE_GETPEERNAME (216)
  { code: 0x12_036c, sizeBytes: 4 }, // IOCTL_AFD_WINE_GET_SO_ACCEPTCONN (219): int listening
];

// phnt's ntafd.h. Written from its declarations and System Informer's use of them; not run on Microsoft's Windows.
const WINDOWS_QUESTIONS: readonly Question[] = [
  { code: 0x1_2043, sizeBytes: 1024 }, // IOCTL_AFD_GET_CONTEXT: SOCK_SHARED_INFO and more
  { code: 0x1_202f, sizeBytes: ADDRESS_SIZE_BYTES }, // IOCTL_AFD_GET_ADDRESS
  { code: 0x1_203f, sizeBytes: ADDRESS_SIZE_BYTES }, // IOCTL_AFD_GET_REMOTE_ADDRESS
];

/** The context is longer than the buffer. Its beginning is enough. */
const STATUS_BUFFER_OVERFLOW = 0x8000_0005;

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 23;
const SOCK_RAW = 3;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;

/**
 * Describes the socket behind a file handle; `undefined` when it is not a socket.
 *
 * Only for Wine, whose server answers at once. On Windows the driver may block: use {@link querySocketAsync} in the
 * helper process.
 *
 * @param event an event of this process, for requests that do not end at once
 */
export function querySocket(handle: HANDLE, event: HANDLE): SocketDescription | undefined {
  const answers: (Buffer | undefined)[] = [];
  for (const question of WINE_QUESTIONS) {
    const buffer = Buffer.alloc(question.sizeBytes);
    const status = new BigUint64Array(2); // IO_STATUS_BLOCK: +0 NTSTATUS, +8 ULONG_PTR Information
    const result = NtDeviceIoControlFile(
      handle,
      event,
      null,
      null,
      status,
      question.code,
      null,
      0,
      buffer,
      buffer.length,
    );
    answers.push(result === 0 ? cut(buffer, status) : undefined);
    if (answers[0] === undefined) return undefined;
  }
  return decodeWineSocket(answers);
}

/**
 * {@link querySocket} on other threads, for the helper process.
 *
 * @param waitFor resolves when the event is set
 */
export async function querySocketAsync(
  handle: HANDLE,
  event: HANDLE,
  waitFor: (event: HANDLE) => Promise<unknown>,
): Promise<SocketDescription | undefined> {
  const answers: (Buffer | undefined)[] = [];
  for (const { code, sizeBytes } of isWine ? WINE_QUESTIONS : WINDOWS_QUESTIONS) {
    const buffer = Buffer.alloc(sizeBytes);
    const status = new BigUint64Array(2);
    let result = await NtDeviceIoControlFileAsync(handle, event, null, null, status, code, null, 0, buffer, sizeBytes);
    if (result === STATUS_PENDING) {
      await waitFor(event);
      result = Number(status[0]! & 0xffff_ffffn);
    }
    answers.push(result === 0 || result === STATUS_BUFFER_OVERFLOW ? cut(buffer, status) : undefined);
    if (answers[0] === undefined) return undefined;
  }
  return isWine ? decodeWineSocket(answers) : decodeWindowsSocket(answers);
}

function cut(buffer: Buffer, status: BigUint64Array): Buffer {
  return buffer.subarray(0, Math.min(buffer.length, Number(status[1]!)));
}

/** Decodes Wine's answers. Each may be short or missing. */
export function decodeWineSocket([info, local, remote, listening]: SocketAnswers): SocketDescription | undefined {
  if (info === undefined || info.length < 12) return undefined;
  const localAddress = formatEndpoint(local);
  const remoteAddress = formatEndpoint(remote);
  const isListening = listening !== undefined && listening.length >= 4 && listening.readUInt32LE(0) !== 0;
  const state = isListening ? 'listening' : remoteAddress ? 'connected' : localAddress ? 'bound' : 'unbound';
  return describe(info.readInt32LE(0), info.readInt32LE(4), info.readInt32LE(8), localAddress, remoteAddress, state);
}

/** Decodes Windows' answers: SOCK_SHARED_INFO +0 state, +4 family, +8 type, +12 protocol, +44 bit 0 listening. */
export function decodeWindowsSocket([context, local, remote]: SocketAnswers): SocketDescription | undefined {
  if (context === undefined || context.length < 48) return undefined;
  const localAddress = formatEndpoint(local);
  const remoteAddress = formatEndpoint(remote);
  const isListening = (context.readUInt8(44) & 1) !== 0;
  // SOCKET_STATE: -1 initializing, 0 open, 1 bound, 2 bound to a specific address, 3 connected, 4 closing
  const states = ['unbound', 'bound', 'bound', 'connected', 'closed'] as const;
  const state = isListening ? 'listening' : (states[context.readInt32LE(0)] ?? 'unbound');
  return describe(
    context.readInt32LE(4),
    context.readInt32LE(8),
    context.readInt32LE(12),
    localAddress,
    // The driver may succeed and give no address, so that the buffer holds old data (System Informer's afd.c).
    state === 'connected' || state === 'closed' ? remoteAddress : undefined,
    state,
  );
}

function describe(
  family: number,
  type: number,
  protocol: number,
  local: string | undefined,
  remote: string | undefined,
  state: NonNullable<SocketDescription['state']>,
): SocketDescription {
  const protocolName = nameProtocol(family, type, protocol);
  return {
    ...(protocolName === undefined ? {} : { protocol: protocolName }),
    ...(local === undefined ? {} : { local }),
    ...(remote === undefined ? {} : { remote }),
    state,
  };
}

function nameProtocol(family: number, type: number, protocol: number): SocketDescription['protocol'] {
  if (family === AF_UNIX) return 'unix';
  if (type === SOCK_RAW) return 'raw';
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  if (protocol === IPPROTO_TCP) return family === AF_INET6 ? 'TCPv6' : 'TCP';
  if (protocol === IPPROTO_UDP) return family === AF_INET6 ? 'UDPv6' : 'UDP';
  return undefined;
}

/**
 * A socket address as a person types it: `127.0.0.1:8080`, `[::1]:8080`, or the path of a Unix socket.
 *
 * `undefined` for an address that is missing, too short or of another family.
 */
export function formatEndpoint(address: Buffer | undefined): string | undefined {
  if (address === undefined || address.length < 2) return undefined;
  const family = address.readUInt16LE(0);
  if (family === AF_INET && address.length >= 8) {
    // struct sockaddr_in: +2 port, +4 address, both in network order
    return `${address.subarray(4, 8).join('.')}:${address.readUInt16BE(2)}`;
  }
  if (family === AF_INET6 && address.length >= 24) {
    // struct sockaddr_in6: +2 port, +4 flow, +8 address, +24 scope
    const scope = address.length >= 28 ? address.readUInt32LE(24) : 0;
    return `[${formatIPv6(address.subarray(8, 24))}${scope === 0 ? '' : `%${scope}`}]:${address.readUInt16BE(2)}`;
  }
  if (family === AF_UNIX) {
    // struct sockaddr_un: +2 a path that ends with NUL, or an abstract name that begins with it
    const path = address.toString('utf8', 2).replace(/\0.*$/s, '');
    return path === '' ? undefined : path;
  }
  return undefined;
}

/** By RFC 5952: the longest run of zeros is left out, the first of equally long ones. A single zero stays. */
function formatIPv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${bytes.subarray(12).join('.')}`;
  }
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
  }
  const text = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (best.length === 1) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}
