import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';

import { describe, expect, onTestFinished, test, vi } from 'vitest';

// Nothing here calls Windows.
vi.mock('koffi', () => ({ default: { config: () => {}, load: () => ({}), pointer: () => ({}), proto: () => ({}) } }));
let found = { type: 'tcp', value: 0x1a4n };
vi.mock('../../../src/io/libuv-handle.ts', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  findLibuvHandle: () => found,
}));

const { DanglingBorrowError } = await import('../../../src/io/errors.ts');
const { borrowSocket, intoNetServer } = await import('../../../src/io/node-socket.ts');
const { borrowStream } = await import('../../../src/io/node-stream.ts');
const { OwnedSocket } = await import('../../../src/io/socket.ts');
const { unsafeRawSocket } = await import('../../../src/io/raw.ts');

async function newServer(): Promise<Server> {
  const server = createServer((connection) => connection.on('error', () => {}));
  onTestFinished(() => void server.close());
  await listen(server, 0);
  return server;
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

describe("a borrow from Node's object ends when that is opened again:", () => {
  test('a server that listens once more, on the same port', async () => {
    const server = await newServer();
    const borrow = borrowSocket(server);
    expect(borrow.asRawSocket()).toBe(0x1a4n);
    const port = portOf(server);
    server.close();
    await listen(server, port);
    expect(() => borrow.asRawSocket()).toThrow(DanglingBorrowError);
    expect(borrowSocket(server).asRawSocket()).toBe(0x1a4n);
  });

  test.each([
    ['a connection', 'tcp', borrowSocket],
    ['a stream', 'pipe', borrowStream],
  ] as const)('%s that is made once more', async (_, type, borrowFrom) => {
    found = { type, value: 0x1a8n };
    const server = await newServer();
    const client = connect(portOf(server), '127.0.0.1');
    onTestFinished(() => void client.destroy());
    await once(client, 'connect');
    const borrow = borrowFrom(client);
    const raw = (): bigint => ('asRawSocket' in borrow ? borrow.asRawSocket() : borrow.asRawHandle());
    expect(raw()).toBe(0x1a8n);
    client.destroy();
    await once(client, 'close');
    client.connect(portOf(server), '127.0.0.1');
    await once(client, 'connect');
    expect(client.destroyed).toBe(false);
    expect(raw).toThrow(DanglingBorrowError);
  });
});

test('a server that listens already takes no socket, and the owner keeps it', async () => {
  const server = await newServer();
  const owner = OwnedSocket.fromRawSocket(unsafeRawSocket(0x1a4));
  expect(() => intoNetServer(owner, server)).toThrow(/^Cannot give socket 0x1a4 to Node: the server listens already$/);
  expect(owner.isLive).toBe(true);
  owner.intoRawSocket();
});
