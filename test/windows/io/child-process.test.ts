import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { describe, expect, test } from 'vitest';

import { openChildProcess } from '../../../src/io/index.ts';
import { HANG_MS } from '../../hang.ts';
import { GetProcessId, WAIT_OBJECT_0, WAIT_TIMEOUT, WaitForSingleObject } from './win32.ts';

describe('openChildProcess()', () => {
  test('gives an owned handle of the child that can be waited for, and outlives its exit', async () => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
    using handle = openChildProcess(child);
    expect(GetProcessId(handle.asRawHandle())).toBe(child.pid);
    expect(WaitForSingleObject(handle.asRawHandle(), 0)).toBe(WAIT_TIMEOUT);
    child.kill();
    await once(child, 'exit');
    expect(WaitForSingleObject(handle.asRawHandle(), 0)).toBe(WAIT_OBJECT_0);
  });

  test('refuses a child whose exit was reported: its id may be another process by then', async () => {
    const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' });
    await once(child, 'exit');
    expect(() => openChildProcess(child)).toThrow(`Cannot open child process ${child.pid}: it has exited`);
  });

  test('opens a child that has ended but whose exit Node has not reported', () => {
    const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' });
    using handle = openChildProcess(child);
    // Blocks the event loop: Node cannot report the exit meanwhile.
    expect(WaitForSingleObject(handle.asRawHandle(), HANG_MS)).toBe(WAIT_OBJECT_0);
    using again = openChildProcess(child);
    expect(GetProcessId(again.asRawHandle())).toBe(child.pid);
  });

  test('refuses a child that never started', async () => {
    const child = spawn('C:\\no such program.exe');
    await once(child, 'error');
    expect(() => openChildProcess(child)).toThrow(
      'Cannot open child process C:\\no such program.exe: it was never started',
    );
  });
});
