import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  borrowFile,
  createPipe,
  CURRENT_PROCESS,
  DanglingBorrowError,
  HandleOrInvalid,
  intoFileDescriptor,
  liveOwners,
  NULL_HANDLE,
  OwnedHandle,
  OwnerGoneError,
  takeFileDescriptor,
  takeFileHandle,
  unsafeRawHandle,
} from '../../../src/io/index.ts';
import { CreateFileW, newEvent, WriteFile } from './win32.ts';

const GENERIC_READ = 0x8000_0000;
const FILE_SHARE_READ = 1;
const OPEN_EXISTING = 3;

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'unclosed-io-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function write(handle: { asRawHandle(): ReturnType<OwnedHandle['asRawHandle']> }, text: string): void {
  const bytes = Buffer.from(text);
  expect(WriteFile(handle.asRawHandle(), bytes, bytes.length, new Uint32Array(1), null)).toBe(true);
}

describe('a borrow from a file descriptor', () => {
  test('is a handle of the same open file', () => {
    const path = join(directory, 'borrowed.txt');
    const descriptor = openSync(path, 'w');
    writeSync(descriptor, 'by Node, ');
    write(borrowFile(descriptor), 'by handle');
    closeSync(descriptor);
    expect(readFileSync(path, 'utf8')).toBe('by Node, by handle');
  });

  test('ends when the descriptor is closed', () => {
    const descriptor = openSync(join(directory, 'closed.txt'), 'w');
    const borrow = borrowFile(descriptor);
    closeSync(descriptor);
    expect(() => borrow.asRawHandle()).toThrow(DanglingBorrowError);
    expect(() => borrow.asRawHandle()).toThrow(/its owner was closed$/);
  });

  test.each([-1, 4711, 1_000_000_000])('is refused for %i, which is not open', (descriptor) => {
    expect(() => borrowFile(descriptor)).toThrow(`Cannot borrow file descriptor ${descriptor}: it is not open`);
  });
});

describe('a borrow from a FileHandle', () => {
  test('is a handle of the same open file, and ends when it is closed', async () => {
    const path = join(directory, 'filehandle.txt');
    const file = await open(path, 'w');
    const borrow = borrowFile(file);
    write(borrow, 'by handle');
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe('by handle');
    expect(() => borrow.asRawHandle()).toThrow(DanglingBorrowError);
  });

  test('is refused once it is closed', async () => {
    const file = await open(join(directory, 'refused.txt'), 'w');
    await file.close();
    expect(() => borrowFile(file)).toThrow('it is not open');
  });
});

describe('taking the handle', () => {
  test('out of a file descriptor closes the descriptor and keeps the file open at its position', () => {
    const path = join(directory, 'taken.txt');
    const descriptor = openSync(path, 'w');
    writeSync(descriptor, 'by Node, ');
    {
      using owner = takeFileDescriptor(descriptor);
      expect(() => fstatSync(descriptor)).toThrow(/EBADF/);
      write(owner, 'by its new owner');
    }
    expect(readFileSync(path, 'utf8')).toBe('by Node, by its new owner');
    expect(liveOwners()).toEqual([]);
  });

  test('out of a FileHandle closes it and keeps the file open', async () => {
    const path = join(directory, 'taken-filehandle.txt');
    const file = await open(path, 'w');
    {
      using owner = await takeFileHandle(file);
      expect(file.fd).toBe(-1);
      write(owner, 'by its new owner');
    }
    expect(readFileSync(path, 'utf8')).toBe('by its new owner');
  });

  test('out of a descriptor that is not open is refused', () => {
    expect(() => takeFileDescriptor(4711)).toThrow('it is not open');
  });
});

describe('a file descriptor made of an owned handle', () => {
  test('owns the handle from then on', () => {
    const path = join(directory, 'made.txt');
    closeSync(openSync(path, 'w'));
    const raw = CreateFileW(path, GENERIC_READ | 0, FILE_SHARE_READ, null, OPEN_EXISTING, 0, unsafeRawHandle(0));
    const owner = HandleOrInvalid.fromRawHandle(raw).expect('open file', path);
    const descriptor = intoFileDescriptor(owner);
    expect(() => owner.asRawHandle()).toThrow(OwnerGoneError);
    expect(borrowFile(descriptor).asRawHandle()).toBe(raw);
    expect(fstatSync(descriptor).size).toBe(0);
    closeSync(descriptor);
    expect(() => borrowFile(descriptor)).toThrow('it is not open');
  });

  test('reads and writes the ends of a pipe with node:fs', () => {
    const pipe = createPipe();
    const reader = intoFileDescriptor(pipe.reader);
    const writer = intoFileDescriptor(pipe.writer);
    writeSync(writer, 'through the pipe');
    const bytes = Buffer.alloc(64);
    expect(bytes.toString('utf8', 0, readSync(reader, bytes))).toBe('through the pipe');
    closeSync(writer);
    closeSync(reader);
  });

  test.each<[string, () => OwnedHandle]>([
    ['an event', newEvent],
    ['NULL', () => OwnedHandle.fromRawHandle(NULL_HANDLE)],
    ['the current process', () => OwnedHandle.fromRawHandle(CURRENT_PROCESS)],
  ])('is refused for %s, and the owner keeps it', (_, make) => {
    using owner = make();
    expect(() => intoFileDescriptor(owner)).toThrow(/^Cannot make a file descriptor of handle 0x[0-9a-f]+: /);
    expect(owner.isLive).toBe(true);
  });
});
