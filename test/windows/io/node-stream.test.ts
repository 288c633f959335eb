import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

import { describe, expect, onTestFinished, test } from 'vitest';

import { borrowSocket, borrowStream, DanglingBorrowError } from '../../../src/io/index.ts';
import { FILE_TYPE_PIPE, GetFileType } from './win32.ts';

describe("a borrow from a child's pipe", () => {
  test('is the handle of that very pipe, and ends when the stream is destroyed', async () => {
    const script =
      "process.stdin.once('data', (text) => { require('node:fs').writeSync(1, 'got ' + text); process.exit(); })";
    const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'ignore'] });
    const stdin = borrowStream(child.stdin as Socket);
    const stdout = borrowStream(child.stdout as Socket);
    expect(stdin.asRawHandle()).not.toBe(stdout.asRawHandle());
    expect([stdin, stdout].map((end) => GetFileType(end.asRawHandle()))).toEqual([FILE_TYPE_PIPE, FILE_TYPE_PIPE]);

    {
      // A clone of the end that the child reads from proves which pipe it is.
      using clone = stdin.tryCloneToOwned();
      expect(GetFileType(clone.asRawHandle())).toBe(FILE_TYPE_PIPE);
    }
    child.stdin.write('it');
    const [data] = await once(child.stdout, 'data');
    expect(String(data)).toBe('got it');

    await once(child, 'close');
    child.stdin.destroy();
    expect(() => stdin.asRawHandle()).toThrow(DanglingBorrowError);
    expect(() => borrowStream(child.stdin as Socket)).toThrow('it is not open');
  });

  test('is refused for a TCP connection, and a socket for a pipe', async () => {
    const server = createServer();
    onTestFinished(() => void server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the server has no port');
    const client = connect(address.port, '127.0.0.1');
    await once(client, 'connect');
    expect(() => borrowStream(client)).toThrow('it is a tcp stream. Try borrowSocket for sockets.');
    client.destroy();

    const child = spawn(process.execPath, ['-e', ''], { stdio: ['pipe', 'ignore', 'ignore'] });
    expect(() => borrowSocket(child.stdin as Socket)).toThrow('it stands on a pipe. Try borrowStream for pipes.');
    await once(child, 'close');
  });
});
