import { GetExtendedTcpTable } from '../../ffi/iphlpapi.ts';
import { Win32Error } from '../../io/system-error.ts';
import { formatEndpoint } from './sockets.ts';

const AF_INET = 2;
const AF_INET6 = 23;
const TCP_TABLE_OWNER_PID_ALL = 5;
const ERROR_INSUFFICIENT_BUFFER = 122;

/** MIB_TCP_STATE. https://learn.microsoft.com/windows/win32/api/tcpmib/ns-tcpmib-mib_tcprow_lh */
const CLOSED = 1;
const CLOSE_WAIT = 8;
const CLOSING = 9;
const LAST_ACK = 10;
const TIME_WAIT = 11;
const DELETE_TCB = 12;

/**
 * The states of all TCP connections of this machine at one moment.
 *
 * The process ids in the table are not used: Wine 8 invents those of other processes' connections [ran].
 */
export class TcpTable {
  readonly #states: ReadonlyMap<string, number>;

  private constructor(states: ReadonlyMap<string, number>) {
    this.#states = states;
  }

  /**
   * Reads the tables of IPv4 and IPv6.
   *
   * @throws Win32Error when Windows refuses
   */
  static read(): TcpTable {
    const states = new Map<string, number>();
    // MIB_TCPROW_OWNER_PID: +0 state, +4 local address, +8 local port, +12 remote address, +16 remote port, +20 pid
    forEachRow(AF_INET, 24, (row) => {
      const endpoint = (at: number): string =>
        formatAddress(AF_INET, row.subarray(at, at + 4), row.readUInt16BE(at + 4), 0);
      states.set(`${endpoint(4)} ${endpoint(12)}`, row.readUInt32LE(0));
    });
    // MIB_TCP6ROW_OWNER_PID: +0 local address, +16 scope, +20 port, +24 remote address, +40 scope, +44 port, +48 state,
    // +52 pid
    forEachRow(AF_INET6, 56, (row) => {
      const endpoint = (at: number): string =>
        formatAddress(AF_INET6, row.subarray(at, at + 16), row.readUInt16BE(at + 20), row.readUInt32LE(at + 16));
      states.set(`${endpoint(0)} ${endpoint(24)}`, row.readUInt32LE(48));
    });
    return new TcpTable(states);
  }

  /** Whether the connection's peer has closed it, or both sides have. `false` where the table does not have it. */
  isClosing(local: string, remote: string): boolean {
    const state = this.#states.get(`${local} ${remote}`);
    return state !== undefined && [CLOSED, CLOSE_WAIT, CLOSING, LAST_ACK, TIME_WAIT, DELETE_TCB].includes(state);
  }
}

function forEachRow(family: number, rowSizeBytes: number, visit: (row: Buffer) => void): void {
  const sizeBytes = new Uint32Array([16_384]);
  for (let tries = 0; ; tries++) {
    const table = Buffer.alloc(sizeBytes[0]!);
    const code = GetExtendedTcpTable(table, sizeBytes, false, family, TCP_TABLE_OWNER_PID_ALL, 0);
    // The table may have grown since the kernel gave its size.
    if (code === ERROR_INSUFFICIENT_BUFFER && tries < 8) {
      sizeBytes[0]! += 4096;
      continue;
    }
    if (code !== 0) throw new Win32Error({ what: 'read the table of TCP connections', object: '' }, code);
    const count = Math.min(table.readUInt32LE(0), Math.floor((table.length - 4) / rowSizeBytes));
    for (let i = 0; i < count; i++) visit(table.subarray(4 + i * rowSizeBytes, 4 + (i + 1) * rowSizeBytes));
    return;
  }
}

/** The same text as {@link formatEndpoint} gives for the same address. */
function formatAddress(family: number, address: Buffer, port: number, scope: number): string {
  const socketAddress = Buffer.alloc(28);
  socketAddress.writeUInt16LE(family, 0);
  socketAddress.writeUInt16BE(port, 2);
  address.copy(socketAddress, family === AF_INET ? 4 : 8);
  if (family === AF_INET6) socketAddress.writeUInt32LE(scope, 24);
  return formatEndpoint(socketAddress)!;
}
