import { closeSync, openSync, rmSync } from 'node:fs';

import { MiniDumpWriteDump } from '../../ffi/dbghelp.ts';
import { addressOf } from '../../ffi/library.ts';
import { uv_get_osfhandle } from '../../ffi/libuv.ts';
import { failed } from '../../io/index.ts';
import type { Target } from '../../process/target.ts';

/** https://learn.microsoft.com/windows/win32/api/minidumpapiset/ne-minidumpapiset-minidump_type */
const MiniDumpWithHandleData = 0x4;
const MiniDumpWithUnloadedModules = 0x20;
const MiniDumpWithThreadInfo = 0x1000;

/** https://learn.microsoft.com/windows/win32/api/minidumpapiset/ne-minidumpapiset-minidump_stream_type */
const CommentStreamW = 11;
const STATUS_BREAKPOINT = 0x8000_0003;
const EXCEPTION_RECORD_SIZE_BYTES = 0x98;
const CONTEXT_RIP = 0xf8;

/** The moment that a minidump is of. */
interface Moment {
  readonly threadId: number;
  /** The thread's CONTEXT, as debuggers show it first. */
  readonly context: Buffer;
  /** A text that goes into the dump. */
  readonly comment: string;
}

/**
 * Writes a minidump of a process: its threads with their stacks, its modules, its handles, and a comment. Its threads
 * are suspended meanwhile.
 *
 * @param path of a file that is not there yet; there is none when the call fails
 * @throws Error when the file cannot be made
 * @throws Win32Error when Windows refuses
 */
export function writeMinidump(target: Target, path: string, { threadId, context, comment }: Moment): void {
  const exception = Buffer.alloc(EXCEPTION_RECORD_SIZE_BYTES);
  exception.writeUInt32LE(STATUS_BREAKPOINT, 0); // DWORD ExceptionCode
  context.copy(exception, 0x10, CONTEXT_RIP, CONTEXT_RIP + 8); // PVOID ExceptionAddress
  const pointers = pointersTo(exception, context); // EXCEPTION_POINTERS
  // MINIDUMP_EXCEPTION_INFORMATION and the structures of user streams are aligned to 4 bytes.
  const exceptionParameter = Buffer.alloc(16);
  exceptionParameter.writeUInt32LE(threadId, 0); // DWORD ThreadId
  exceptionParameter.writeBigUInt64LE(addressOf(pointers), 4); // PEXCEPTION_POINTERS ExceptionPointers
  const text = Buffer.from(`${comment}\0`, 'utf16le');
  const stream = Buffer.alloc(16); // MINIDUMP_USER_STREAM
  stream.writeUInt32LE(CommentStreamW, 0); // ULONG32 Type
  stream.writeUInt32LE(text.length, 4); // ULONG BufferSize
  stream.writeBigUInt64LE(addressOf(text), 8); // PVOID Buffer
  const userStreams = Buffer.alloc(12); // MINIDUMP_USER_STREAM_INFORMATION
  userStreams.writeUInt32LE(1, 0); // ULONG UserStreamCount
  userStreams.writeBigUInt64LE(addressOf(stream), 4); // PMINIDUMP_USER_STREAM UserStreamArray

  const type = MiniDumpWithHandleData | MiniDumpWithUnloadedModules | MiniDumpWithThreadInfo;
  const file = openSync(path, 'wx');
  let isWritten = false;
  try {
    const handle = uv_get_osfhandle?.(file);
    if (handle === undefined) throw new Error('this Node.js does not export uv_get_osfhandle');
    const process = target.asHandle().asRawHandle();
    if (!MiniDumpWriteDump(process, target.pid, handle, type, exceptionParameter, userStreams, null))
      throw failed('write a minidump to', path);
    isWritten = true;
  } finally {
    closeSync(file);
    if (!isWritten) rmSync(path, { force: true });
  }
}

function pointersTo(...buffers: readonly Buffer[]): Buffer {
  return Buffer.from(BigUint64Array.from(buffers, addressOf).buffer);
}
