import { GetThreadContext, OpenThread } from '../ffi/kernel32.ts';
import { addressOf } from '../ffi/library.ts';
import { NtResumeProcess, NtSuspendProcess } from '../ffi/ntdll.ts';
import { type AsHandle, failedWithStatus, HandleOrNull, NULL_HANDLE } from '../io/index.ts';
import { listThreadIds } from './process-table.ts';

const THREAD_GET_CONTEXT = 0x8;
const CONTEXT_SIZE_BYTES = 0x4d0;
const CONTEXT_CONTROL = 0x10_0001; // CONTEXT_AMD64 | 1
const STATUS_PROCESS_IS_TERMINATING = 0xc000_010a;

/**
 * Stops all threads of a process, and returns when they stand.
 *
 * @param process opened with PROCESS_SUSPEND_RESUME
 * @returns `false` when the process is ending, and cannot be suspended any more
 * @throws NtStatusError when Windows refuses
 */
export function suspendProcess(process: AsHandle, processId: number): boolean {
  if (!requestSuspension(process, processId)) return false;
  for (const threadId of listThreadIds(processId)) {
    const raw = OpenThread(THREAD_GET_CONTEXT, false, threadId);
    if (raw === NULL_HANDLE) continue; // it has ended
    using thread = HandleOrNull.fromRawHandle(raw).tryIntoOwned();
    awaitStandingPoint(thread);
  }
  return true;
}

/**
 * The same without waiting until they stand. Threads that are just being started may run on.
 *
 * @param process opened with PROCESS_SUSPEND_RESUME
 * @returns `false` when the process is ending, and cannot be suspended any more
 * @throws NtStatusError when Windows refuses
 */
export function requestSuspension(process: AsHandle, processId: number): boolean {
  const status = NtSuspendProcess(process.asHandle().asRawHandle());
  if (status === STATUS_PROCESS_IS_TERMINATING) return false;
  if (status !== 0) throw failedWithStatus('suspend process', String(processId), status);
  return true;
}

/**
 * Undoes one {@link suspendProcess}.
 *
 * @param process opened with PROCESS_SUSPEND_RESUME
 * @throws NtStatusError when Windows refuses
 */
export function resumeProcess(process: AsHandle, processId: number): void {
  const status = NtResumeProcess(process.asHandle().asRawHandle());
  if (status !== 0) throw failedWithStatus('resume process', String(processId), status);
}

/** Where a thread stands. */
export interface StandingPoint {
  readonly instructionPointer: bigint;
  readonly stackPointer: bigint;
}

/**
 * Waits until a thread stands that is being suspended, and returns where.
 *
 * A suspension is asked for and takes effect a little later; only GetThreadContext waits for it:
 * https://devblogs.microsoft.com/oldnewthing/20150205-00/?p=44743
 *
 * @param thread opened with THREAD_GET_CONTEXT
 * @returns `undefined` for a thread that is ending, which runs no more
 */
export function awaitStandingPoint(thread: AsHandle): StandingPoint | undefined {
  const buffer = Buffer.alloc(CONTEXT_SIZE_BYTES + 16);
  const context = buffer.subarray(Number(-addressOf(buffer) & 15n)); // DECLSPEC_ALIGN(16) CONTEXT
  context.writeUInt32LE(CONTEXT_CONTROL, 0x30); // DWORD ContextFlags
  if (!GetThreadContext(thread.asHandle().asRawHandle(), context)) return undefined;
  // DWORD64 Rip, Rsp
  return { instructionPointer: context.readBigUInt64LE(0xf8), stackPointer: context.readBigUInt64LE(0x98) };
}
