import { write } from 'node:fs';
import { promisify } from 'node:util';

import { DUPLICATE_SAME_ACCESS } from '../../ffi/constants.ts';
import { DuplicateHandle, GetFileType, GetNamedPipeInfo, ReadFileAsync, WriteFileAsync } from '../../ffi/kernel32.ts';
import { isWine } from '../../ffi/ntdll.ts';
import {
  type AsHandle,
  type BorrowedHandle,
  createPipe,
  CURRENT_PROCESS,
  failed,
  NULL_HANDLE,
  OwnedHandle,
  standardHandle,
  unsafeRawHandle,
} from '../../io/index.ts';
import { MarkFinder } from './mark-finder.ts';
import { randomBytes } from '../random.ts';

const writeAsync = promisify(write);

const FILE_TYPE_PIPE = 3;

interface StandardStreamsOptions {
  /** Which of our streams the target's stdout goes to: stderr when a machine-readable report takes stdout. */
  readonly stdout: 'stdout' | 'stderr';
}

/**
 * The standard handles for a target: our own, inheritable. So the target has the terminal, file or pipe as if it ran
 * alone.
 *
 * Under Wine a pipe of Wine replaces an output that is a pipe of Linux, and its content is copied on. Many Windows
 * programs, among them every Node.js, cannot use a pipe of Linux: it does not answer the queries for a pipe.
 */
export class StandardStreams implements Disposable {
  readonly stdin: BorrowedHandle;
  readonly stdout: BorrowedHandle;
  readonly stderr: BorrowedHandle;
  readonly #owned: Disposable[] = [];
  /** By the file descriptor that they copy to: two outputs that go to one place keep their order. */
  readonly #relays = new Map<number, Relay>();

  /** @throws Win32Error when a handle cannot be duplicated */
  constructor(options: StandardStreamsOptions) {
    this.stdin = this.#inherit(standardHandle('input'));
    this.stdout = options.stdout === 'stdout' ? this.#output('output', 1) : this.#output('error', 2);
    this.stderr = this.#output('error', 2);
  }

  #inherit(handle: BorrowedHandle): BorrowedHandle {
    if (handle.asRawHandle() === NULL_HANDLE) return handle;
    const owned = makeInheritable(handle);
    this.#owned.push(owned);
    return owned.asHandle();
  }

  #output(stream: 'output' | 'error', fileDescriptor: 1 | 2): BorrowedHandle {
    const handle = standardHandle(stream);
    if (!isPipeOfLinux(handle)) return this.#inherit(handle);
    const relay = this.#relays.get(fileDescriptor) ?? new Relay(fileDescriptor);
    this.#relays.set(fileDescriptor, relay);
    return this.#inherit(relay.writer);
  }

  /** The caller calls this once the target has started and has its own handles. */
  targetStarted(): void {
    for (const owned of this.#owned.splice(0)) owned[Symbol.dispose]();
  }

  /** Resolves when everything that the target has written so far has been copied on. */
  async drain(): Promise<void> {
    await Promise.all(Array.from(this.#relays.values(), (relay) => relay.finish()));
  }

  [Symbol.dispose](): void {
    this.targetStarted();
    for (const relay of this.#relays.values()) relay[Symbol.dispose]();
  }
}

/** @throws Win32Error when the handle cannot be duplicated */
function makeInheritable(handle: AsHandle): OwnedHandle {
  const copy = new BigInt64Array(1);
  const raw = handle.asHandle().asRawHandle();
  if (!DuplicateHandle(CURRENT_PROCESS, raw, CURRENT_PROCESS, copy, 0, true, DUPLICATE_SAME_ACCESS)) {
    throw failed('pass on standard handle', `0x${raw.toString(16)}`);
  }
  return OwnedHandle.fromRawHandle(unsafeRawHandle(copy[0] ?? 0n));
}

function isPipeOfLinux(handle: BorrowedHandle): boolean {
  if (!isWine || handle.asRawHandle() === NULL_HANDLE) return false;
  return (
    GetFileType(handle.asRawHandle()) === FILE_TYPE_PIPE &&
    !GetNamedPipeInfo(handle.asRawHandle(), null, null, null, null)
  );
}

/**
 * Copies a pipe's content to one of our file descriptors until {@link finish} has been read back from it.
 *
 * A slow reader holds up those who write to the pipe, and the tool's other work goes on. When the last reader is gone,
 * they see their writes fail, as without the tool.
 */
class Relay implements Disposable {
  readonly #reader: OwnedHandle;
  readonly #writer: OwnedHandle;
  /** Written behind the target's last byte: a child of the target may keep the pipe open long after, and write on. */
  readonly #mark = randomBytes(32);
  readonly #done: Promise<void>;
  #ended = false;
  #hasReader = true;

  constructor(fileDescriptor: 1 | 2) {
    const { reader, writer } = createPipe();
    this.#reader = reader;
    this.#writer = writer;
    this.#done = this.#copy(fileDescriptor);
    this.#done.catch(() => {}); // finish() throws it
  }

  get writer(): BorrowedHandle {
    return this.#writer.asHandle();
  }

  async #copy(fileDescriptor: 1 | 2): Promise<void> {
    const buffer = Buffer.alloc(0x1_0000);
    const count = new Uint32Array(1);
    const finder = new MarkFinder(this.#mark);
    for (;;) {
      if (!(await ReadFileAsync(this.#reader.asRawHandle(), buffer, buffer.length, count, null))) return;
      const { bytes, isFound } = finder.take(buffer.subarray(0, count[0]), this.#ended);
      this.#hasReader = await tryWrite(fileDescriptor, bytes);
      if (!this.#hasReader) this.#reader[Symbol.dispose]();
      if (isFound || !this.#hasReader) return;
    }
  }

  async finish(): Promise<void> {
    this.#ended = true;
    const mark = this.#mark;
    // The pipe may be full: only this thread begins to read again, and must not wait until there is room.
    const written = WriteFileAsync(this.#writer.asRawHandle(), mark, mark.length, new Uint32Array(1), null);
    const isMarked = written.then((isWritten) => {
      if (!isWritten && this.#hasReader)
        throw new Error("Cannot finish copying the target's output: its pipe takes no more.");
      return this.#done;
    });
    await Promise.race([this.#done, isMarked]);
  }

  [Symbol.dispose](): void {
    using _reader = this.#reader;
    using _writer = this.#writer;
  }
}

/** Writes all of it; false when no reader is left. */
async function tryWrite(fileDescriptor: number, bytes: Uint8Array): Promise<boolean> {
  try {
    for (let written = 0; written < bytes.length; )
      written += (await writeAsync(fileDescriptor, bytes, written)).bytesWritten;
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE' || (error as NodeJS.ErrnoException).code === 'EOF')
      return false;
    throw error;
  }
}
