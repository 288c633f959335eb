import { STOP_PLACES_SIZE_BYTES, stopPlaces } from '../../agent/ledger/stop.ts';
import { GetThreadContext, OpenThread, ResumeThread, SuspendThread } from '../../ffi/kernel32.ts';
import { addressOf } from '../../ffi/library.ts';
import { HandleOrNull, NULL_HANDLE } from '../../io/index.ts';
import { tryReadMemory } from '../../process/memory.ts';
import type { Target } from '../../process/target.ts';

const THREAD_SUSPEND_RESUME = 0x2;
const THREAD_GET_CONTEXT = 0x8;
const CONTEXT_SIZE_BYTES = 0x4d0;
const CONTEXT_ALL = 0x10_001f;

/** Offsets in CONTEXT: https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-context */
const contextField = { flags: 0x30, rax: 0x78, rbx: 0x90, rsp: 0x98, rsi: 0xa8, rdi: 0xb0, rip: 0xf8 } as const;

/**
 * The CONTEXT that a thread is going to have when its call has returned: that of the caller. The thread waits in the
 * agent, which has changed three registers of the caller's and keeps them on the stack.
 *
 * @param places where the `stopPlaces` lie; it comes from the target
 * @returns `undefined` when the thread has ended, or has overwritten its stack
 */
export function readCallersContext(target: Target, threadId: number, places: bigint): Buffer | undefined {
  const saved = tryReadMemory(target, places, STOP_PLACES_SIZE_BYTES);
  const returnPlace = saved?.readBigUInt64LE(stopPlaces.returnAddress);
  const returnAddress = returnPlace === undefined ? undefined : tryReadMemory(target, returnPlace, 8);
  const context = readContext(threadId);
  if (saved === undefined || returnPlace === undefined || returnAddress === undefined) return undefined;
  if (context === undefined) return undefined;
  saved.copy(context, contextField.rax, stopPlaces.result, stopPlaces.result + 8);
  for (const register of ['rbx', 'rsi', 'rdi'] as const)
    saved.copy(context, contextField[register], stopPlaces[register], stopPlaces[register] + 8);
  returnAddress.copy(context, contextField.rip);
  context.writeBigUInt64LE(BigInt.asUintN(64, returnPlace + 8n), contextField.rsp);
  return context;
}

/** A thread's registers; `undefined` when it has ended. */
function readContext(threadId: number): Buffer | undefined {
  const raw = OpenThread(THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT, false, threadId);
  if (raw === NULL_HANDLE) return undefined;
  using thread = HandleOrNull.fromRawHandle(raw).tryIntoOwned();
  const buffer = Buffer.alloc(CONTEXT_SIZE_BYTES + 16);
  const begin = Number(-addressOf(buffer) & 15n); // DECLSPEC_ALIGN(16) CONTEXT
  const context = buffer.subarray(begin, begin + CONTEXT_SIZE_BYTES);
  context.writeUInt32LE(CONTEXT_ALL, contextField.flags);
  const before = SuspendThread(thread.asRawHandle());
  try {
    return GetThreadContext(thread.asRawHandle(), context) ? context : undefined;
  } finally {
    if (before !== 0xffff_ffff) ResumeThread(thread.asRawHandle());
  }
}
