import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { GetHandleInformation } from '../../../src/ffi/kernel32.ts';
import { createPipe, intoFileDescriptor, liveOwners } from '../../../src/io/index.ts';
import { FILE_TYPE_PIPE, GetFileType, ReadFile, WriteFile } from './win32.ts';

describe('createPipe()', () => {
  test('makes two ends that are joined and owned', () => {
    const pipe = createPipe();
    {
      using reader = pipe.reader;
      using writer = pipe.writer;
      expect([reader, writer].map((end) => GetFileType(end.asRawHandle()))).toEqual([FILE_TYPE_PIPE, FILE_TYPE_PIPE]);
      const sent = Buffer.from('hello');
      expect(WriteFile(writer.asRawHandle(), sent, sent.length, new Uint32Array(1), null)).toBe(true);
      const received = Buffer.alloc(16);
      const count = new Uint32Array(1);
      expect(ReadFile(reader.asRawHandle(), received, received.length, count, null)).toBe(true);
      expect(received.toString('utf8', 0, count[0])).toBe('hello');
    }
    expect(liveOwners()).toEqual([]);
  });

  test('makes ends that no child inherits', () => {
    const { reader, writer } = createPipe();
    using _reader = reader;
    using _writer = writer;
    for (const end of [reader, writer]) {
      const flags = new Uint32Array(1);
      expect(GetHandleInformation(end.asRawHandle(), flags)).toBe(true);
      expect(flags[0]! & 1).toBe(0);
    }
  });

  test('makes an end that a child gets by name in its stdio', async () => {
    const pipe = createPipe();
    using reader = pipe.reader;
    const descriptor = intoFileDescriptor(pipe.writer);
    const script = "require('node:fs').writeSync(1, 'from the child')";
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', descriptor, 'ignore'] });
    closeSync(descriptor);
    await once(child, 'exit');
    const received = Buffer.alloc(64);
    const count = new Uint32Array(1);
    expect(ReadFile(reader.asRawHandle(), received, received.length, count, null)).toBe(true);
    expect(received.toString('utf8', 0, count[0])).toBe('from the child');
  });
});
