import { closeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

import { uv_get_osfhandle, uv_open_osfhandle } from '../ffi/libuv.ts';
import { BorrowedHandle, type OwnedHandle } from './handle.ts';
import { formatRaw, NULL_HANDLE, type RawHandle } from './raw.ts';

/** The result of uv_get_osfhandle for a descriptor that is not open. */
const NOT_OPEN = -1n;
/** The result of the C runtime for a standard descriptor that the process started without. */
const NO_STREAM = -2n;

/**
 * The handle under a file descriptor of Node's, or of a `FileHandle` of `node:fs/promises`. The descriptor keeps owning
 * it; the borrow ends when the descriptor is closed.
 *
 * A standard descriptor that the process started without gives NULL. A number cannot show that its descriptor was
 * closed and opened again on a handle of the same value; a `FileHandle` can.
 *
 * Descriptors belong to the C runtime that is linked into node.exe. Another one (`_get_osfhandle` of ucrtbase.dll) does
 * not know them, so this uses libuv's export.
 *
 * @throws Error when the descriptor is not open, or this program does not export libuv
 */
export function borrowFile(file: number | FileHandle): BorrowedHandle {
  const descriptor = typeof file === 'number' ? file : file.fd;
  const raw = handleUnder(descriptor);
  if (raw === undefined) throw new Error(`Cannot borrow file descriptor ${descriptor}: it is not open`);
  const goneBecause = (): string | undefined => {
    const isSame = typeof file === 'number' || file.fd === descriptor;
    return isSame && handleUnder(descriptor) === raw ? undefined : 'was closed';
  };
  return BorrowedHandle.borrowFrom({ goneBecause }, raw);
}

/**
 * Takes the handle out of a file descriptor, which is closed and must not be used any more.
 *
 * The C runtime cannot release a handle without closing it, so this returns a clone: another value for the same open
 * file, with the same position and access.
 *
 * @throws Error when the descriptor is not open, or this program does not export libuv
 * @throws Win32Error when Windows cannot clone the handle; the descriptor stays open
 */
export function takeFileDescriptor(descriptor: number): OwnedHandle {
  using clone = borrowFile(descriptor).tryCloneToOwned();
  closeSync(descriptor);
  return clone.move();
}

/**
 * Takes the handle out of a `FileHandle` of `node:fs/promises`, which is closed: see {@link takeFileDescriptor}.
 *
 * @throws Error when the file is closed, or this program does not export libuv
 * @throws Win32Error when Windows cannot clone the handle; the file stays open
 */
export async function takeFileHandle(file: FileHandle): Promise<OwnedHandle> {
  using clone = borrowFile(file).tryCloneToOwned();
  await file.close();
  return clone.move();
}

/**
 * Turns an owned handle of a file, a pipe end or a device into a file descriptor for `node:fs`, which owns it from now
 * on: `fs.closeSync` closes the handle.
 *
 * Node reads and writes descriptors synchronously: the handle must not have been opened with FILE_FLAG_OVERLAPPED.
 *
 * @throws Error when the C runtime takes no such handle (it is not one of a file, a pipe or a device) or has no
 * descriptor left, or this program does not export libuv; the owner keeps its handle
 */
export function intoFileDescriptor(owner: OwnedHandle): number {
  const raw = owner.asRawHandle();
  if (uv_open_osfhandle === undefined) throw libuvIsMissing();
  const descriptor = uv_open_osfhandle(raw);
  if (descriptor < 0) {
    const reason = 'the C runtime takes only files, pipes and devices';
    throw new Error(`Cannot make a file descriptor of handle ${formatRaw(raw)}: ${reason}`);
  }
  owner.intoRawHandle();
  return descriptor;
}

function handleUnder(descriptor: number): RawHandle | undefined {
  if (uv_get_osfhandle === undefined) throw libuvIsMissing();
  const raw = uv_get_osfhandle(descriptor);
  if (raw === NOT_OPEN) return undefined;
  return raw === NO_STREAM ? NULL_HANDLE : raw;
}

function libuvIsMissing(): Error {
  const reason = `${process.execPath} does not export libuv`;
  return new Error(`Cannot ask for a file descriptor's handle: ${reason}. Try a stock node.exe.`);
}
