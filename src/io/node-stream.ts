import type { Socket } from 'node:net';

import { BorrowedHandle } from './handle.ts';
import { findLibuvHandle, innerHandle } from './libuv-handle.ts';
import { unsafeRawHandle } from './raw.ts';

/**
 * The handle of a pipe or console that Node has as a stream: a child's `stdin`, `stdout` and `stderr`, a connection to
 * a named pipe. Node keeps owning it; the borrow ends when the stream is destroyed.
 *
 * libuv gets the completions of overlapped I/O on such a handle, takes them for its own, and crashes: use the handle
 * for questions (`GetFileType`, `GetNamedPipeInfo`) and for {@link BorrowedHandle.tryCloneToOwned}.
 *
 * @param stream in the main thread only, see {@link findLibuvHandle}
 * @throws Error when the stream is not open or not one of a pipe or console, or its handle cannot be found
 */
export function borrowStream(stream: Socket): BorrowedHandle {
  if (stream.destroyed || stream.pending) throw new Error('Cannot borrow the handle of a stream: it is not open');
  const { type, value } = findLibuvHandle(stream);
  if (type !== 'pipe' && type !== 'tty') {
    throw new Error(`Cannot borrow the handle of a stream: it is a ${type} stream. Try borrowSocket for sockets.`);
  }
  const inner = innerHandle(stream);
  const goneBecause = (): string | undefined =>
    stream.destroyed || innerHandle(stream) !== inner ? 'was destroyed' : undefined;
  return BorrowedHandle.borrowFrom({ goneBecause }, unsafeRawHandle(value));
}
