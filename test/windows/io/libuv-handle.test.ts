import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { findLibuvHandle } from '../../../src/io/libuv-handle.ts';

describe('findLibuvHandle()', () => {
  test("finds nothing under an object that references none of the loop's handles", () => {
    const source = { ref: vi.fn(), unref: vi.fn() };
    expect(() => findLibuvHandle(source)).toThrow(
      "Cannot find the handle of Node's object: 0 of libuv's handles answer to it",
    );
  });

  test('finds no operating system handle under a timer', () => {
    const timer = setInterval(() => {}, 60_000);
    onTestFinished(() => clearInterval(timer));
    expect(() => findLibuvHandle(timer)).toThrow("Cannot find the handle of Node's object: ");
    expect(timer.hasRef()).toBe(true);
  });

  test('asks nothing in a worker, whose event loop libuv does not tell', async () => {
    vi.resetModules();
    vi.doMock('node:worker_threads', async (importOriginal) => ({
      ...(await importOriginal<typeof import('node:worker_threads')>()),
      isMainThread: false,
    }));
    onTestFinished(() => void vi.doUnmock('node:worker_threads'));
    const worker = await import('../../../src/io/libuv-handle.ts');
    const source = { ref: vi.fn(), unref: vi.fn() };
    expect(() => worker.findLibuvHandle(source)).toThrow("only the main thread's event loop can be asked");
    expect(source.unref).not.toHaveBeenCalled();
  });
});
