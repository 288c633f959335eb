import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server, Socket } from 'node:net';

import { describe, expect, onTestFinished, test } from 'vitest';

import {
  borrowSocket,
  DanglingBorrowError,
  intoNetServer,
  intoNetSocket,
  liveOwners,
  type NodeSocket,
  OwnedSocket,
  takeSocket,
  unsafeRawSocket,
} from '../../../src/io/index.ts';
import { bindLoopback, connectLoopback, localPort, newSocket, sendText, SOCK_DGRAM, SOCK_STREAM } from './win32.ts';

async function newServer(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  onTestFinished(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: portOf(server) };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

/** Both ends of one TCP connection. */
async function newConnection(): Promise<{ client: Socket; accepted: Socket }> {
  const { server, port } = await newServer();
  const connection = once(server, 'connection');
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  const [accepted] = (await connection) as [Socket];
  onTestFinished(() => {
    client.destroy();
    accepted.destroy();
  });
  return { client, accepted };
}

async function newDatagramSocket(): Promise<ReturnType<typeof createSocket>> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

describe("a borrow from Node's", () => {
  test.each<[string, () => Promise<{ source: NodeSocket; port: number | undefined; close: () => void }>]>([
    [
      'TCP connection',
      async () => {
        const { client } = await newConnection();
        return { source: client, port: client.localPort, close: () => client.destroy() };
      },
    ],
    [
      'accepted TCP connection',
      async () => {
        const { accepted } = await newConnection();
        return { source: accepted, port: accepted.localPort, close: () => accepted.destroy() };
      },
    ],
    [
      'TCP listener',
      async () => {
        const { server, port } = await newServer();
        return { source: server, port, close: () => server.close() };
      },
    ],
    [
      'UDP socket',
      async () => {
        const source = await newDatagramSocket();
        return { source, port: source.address().port, close: () => source.close() };
      },
    ],
  ])('%s is that very socket, and ends when it is closed', async (_, make) => {
    const { source, port, close } = await make();
    const borrow = borrowSocket(source);
    expect(localPort(borrow)).toBe(port);
    close();
    expect(() => borrow.asRawSocket()).toThrow(DanglingBorrowError);
    expect(() => borrowSocket(source)).toThrow("Cannot borrow a socket of Node's: it ");
  });

  test('connection leaves it referenced or unreferenced, as it was', async () => {
    const { client, accepted } = await newConnection();
    accepted.unref();
    const hasRef = (socket: Socket): boolean =>
      (socket as unknown as { _handle: { hasRef(): boolean } })._handle.hasRef();
    borrowSocket(client);
    borrowSocket(accepted);
    expect([hasRef(client), hasRef(accepted)]).toEqual([true, false]);
  });

  test('connection is refused before it is connected, server before it listens, UDP socket before it is bound', () => {
    const unbound = createSocket('udp4');
    expect(() => borrowSocket(new Socket())).toThrow('it is not connected yet');
    expect(() => borrowSocket(createServer())).toThrow('it is not listening');
    expect(() => borrowSocket(unbound)).toThrow('it is not bound');
    unbound.close();
  });
});

describe('taking the socket out of', () => {
  test('a connection destroys it and keeps the connection open', async () => {
    const { client, accepted } = await newConnection();
    {
      using socket = takeSocket(client);
      expect(client.destroyed).toBe(true);
      await once(client, 'close');
      sendText(socket, 'from its new owner');
      const [data] = await once(accepted, 'data');
      expect(String(data)).toBe('from its new owner');
    }
    await once(accepted, 'end');
    expect(liveOwners()).toEqual([]);
  });

  test('a connection is refused when Node has read ahead what would be lost', async () => {
    const { client, accepted } = await newConnection();
    accepted.write('unread');
    await once(client, 'readable');
    expect(() => takeSocket(client)).toThrow('6 bytes read and 0 bytes to be written would be lost');
    expect(client.destroyed).toBe(false);
  });

  test('a UDP socket closes it and keeps its port', async () => {
    const source = await newDatagramSocket();
    const { port } = source.address();
    using socket = takeSocket(source);
    await once(source, 'close');
    expect(localPort(socket)).toBe(port);
  });

  test('a server and giving it to another goes on listening on the same port', async () => {
    const { server, port } = await newServer();
    const owner = takeSocket(server);
    const other = intoNetServer(
      owner,
      createServer((connection) => connection.end('from the other server')),
    );
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    const client = connect(port, '127.0.0.1');
    const [data] = await once(client, 'data');
    expect(String(data)).toBe('from the other server');
    client.destroy();
  });
});

describe('giving an owned socket to Node', () => {
  test('as a connection makes a net.Socket that owns it', async () => {
    const { server, port } = await newServer();
    server.on('connection', (connection) => connection.pipe(connection));
    const owner = newSocket(SOCK_STREAM);
    connectLoopback(owner, port);
    const socket = intoNetSocket(owner);
    expect(owner.isLive).toBe(false);
    expect(socket.remotePort).toBe(port);
    socket.write('there and back');
    const [data] = await once(socket, 'data');
    expect(String(data)).toBe('there and back');
    socket.end();
    await once(socket, 'close');
  });

  test('as a listener makes a net.Server that accepts from it', async () => {
    const owner = newSocket(SOCK_STREAM);
    bindLoopback(owner);
    const port = localPort(owner);
    const server = intoNetServer(owner);
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    expect(portOf(server)).toBe(port);
    const connection = once(server, 'connection');
    const client = connect(port, '127.0.0.1');
    await connection;
    client.destroy();
  });

  test.each([
    ['connection', intoNetSocket],
    ['listener', intoNetServer],
  ] as const)('as a %s is refused for a UDP socket, and the owner keeps it', (_, give) => {
    using owner = newSocket(SOCK_DGRAM);
    expect(() => give(owner)).toThrow(/^Cannot give socket 0x[0-9a-f]+ to Node: it is not a TCP socket$/);
    expect(owner.isLive).toBe(true);
  });

  test('is refused for a value that is no socket', () => {
    const owner = OwnedSocket.fromRawSocket(unsafeRawSocket(0x7fff_fff0));
    expect(() => intoNetSocket(owner)).toThrow(
      /^Cannot ask for the type of socket 0x7ffffff0: .*WSAENOTSOCK 10038\)?\.$/,
    );
    owner.intoRawSocket();
  });
});
