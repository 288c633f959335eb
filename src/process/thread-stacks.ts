import { OpenThread, ResumeThread, SuspendThread } from '../ffi/kernel32.ts';
import { NtQueryInformationThread } from '../ffi/ntdll.ts';
import { type AsHandle, HandleOrNull, NULL_HANDLE, type OwnedHandle } from '../io/index.ts';
import { tryReadMemory } from './memory.ts';
import { listThreadIds } from './processes.ts';
import { awaitStackPointer } from './suspend.ts';

/** A copy of the stack of a thread that stood still. */
export interface ThreadStack {
  readonly threadId: number;
  /** Its 64-bit words from the innermost one on, each as two halves, the lower one first. */
  readonly halves: Uint32Array;
}

/** A thread that waits by itself until its stack has been read. */
export interface WaitingThread {
  readonly threadId: number;
  readonly stackPointer: bigint;
}

const THREAD_SUSPEND_RESUME = 0x2;
const THREAD_GET_CONTEXT = 0x8;
const THREAD_QUERY_INFORMATION = 0x40;
const SUSPEND_FAILED = 0xffff_ffff;
const ThreadBasicInformation = 0; // THREADINFOCLASS

/** So much of a stack is read, at its outer end: the functions that began first are there. */
const STACK_SIZE_BYTES_MAX = 1 << 20;
/** So much is read where the stack is not the one that the thread began with. */
const OTHER_STACK_SIZE_BYTES_MAX = 1 << 16;
/** So much is read of all threads together. */
const TOTAL_SIZE_BYTES_MAX = 64 << 20;
const PAGE_SIZE_BYTES = 4096;
/** A target may start threads while its threads are being stopped. It is not followed for ever. */
const ROUNDS_MAX = 16;

/**
 * Threads of a process that stand still. Disposing of it lets them run on.
 *
 * They are suspended one by one, and a thread that waits for the auditor never is. So a target whose auditor dies in
 * between goes on with its exit all the same, and the exit ends the others.
 */
export class StoppedThreads implements Disposable {
  readonly #process: AsHandle;
  readonly #waiting: WaitingThread | undefined;
  readonly #threads = new Map<number, OwnedHandle>();

  private constructor(process: AsHandle, waiting: WaitingThread | undefined) {
    this.#process = process;
    this.#waiting = waiting;
  }

  /**
   * Stops all threads of a process but one.
   *
   * @param process opened with PROCESS_VM_READ
   * @param waiting a thread that is not to be suspended
   * @param areOthersEnded there is no other thread to look for
   * @throws NtStatusError when the kernel refuses to list the threads; none is left suspended then
   */
  static stop(
    process: AsHandle,
    processId: number,
    waiting: WaitingThread | undefined,
    areOthersEnded: boolean,
  ): StoppedThreads {
    const stopped = new StoppedThreads(process, waiting);
    if (areOthersEnded) return stopped;
    try {
      stopped.#suspendAll(processId);
    } catch (error) {
      stopped[Symbol.dispose]();
      throw error;
    }
    return stopped;
  }

  #suspendAll(processId: number): void {
    const seen = new Set(this.#waiting === undefined ? [] : [this.#waiting.threadId]);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const threadIds = listThreadIds(processId).filter((threadId) => !seen.has(threadId));
      if (threadIds.length === 0) return;
      for (const threadId of threadIds) {
        seen.add(threadId);
        const thread = openThread(threadId, THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT | THREAD_QUERY_INFORMATION);
        if (thread === undefined) continue;
        if (SuspendThread(thread.asRawHandle()) !== SUSPEND_FAILED) this.#threads.set(threadId, thread);
        else thread[Symbol.dispose](); // it is ending
      }
    }
  }

  /** Copies the stacks of all of them, and that of the waiting thread, as far as they can be read. */
  readStacks(): readonly ThreadStack[] {
    const reader = new StackCopier(this.#process);
    const stacks: ThreadStack[] = [];
    const add = (threadId: number, thread: AsHandle, stackPointer: bigint | undefined): void => {
      const halves = stackPointer === undefined ? undefined : reader.read(thread, stackPointer);
      if (halves !== undefined) stacks.push({ threadId, halves });
    };
    if (this.#waiting !== undefined) {
      const { threadId, stackPointer } = this.#waiting;
      using thread = openThread(threadId, THREAD_QUERY_INFORMATION);
      if (thread !== undefined) add(threadId, thread, stackPointer);
    }
    for (const [threadId, thread] of this.#threads) add(threadId, thread, awaitStackPointer(thread));
    return stacks;
  }

  /** Leaves the threads as they stand, to a process that is about to end them. */
  leave(): void {
    for (const thread of this.#threads.values()) thread[Symbol.dispose]();
    this.#threads.clear();
  }

  [Symbol.dispose](): void {
    for (const thread of this.#threads.values()) ResumeThread(thread.asRawHandle());
    this.leave();
  }
}

function openThread(threadId: number, access: number): OwnedHandle | undefined {
  const raw = OpenThread(access, false, threadId);
  return raw === NULL_HANDLE ? undefined : HandleOrNull.fromRawHandle(raw).tryIntoOwned();
}

/** Copies stacks out of a process. The process may have written anything into the fields that say where they lie. */
class StackCopier {
  readonly #process: AsHandle;
  #leftBytes = TOTAL_SIZE_BYTES_MAX;

  constructor(process: AsHandle) {
    this.#process = process;
  }

  /** The stack from `stackPointer` to its outer end; `undefined` when there is no room for it. */
  read(thread: AsHandle, stackPointer: bigint): Uint32Array | undefined {
    const begin = stackPointer & ~7n;
    const { base, limit } = this.#boundsOf(thread);
    const isOwn = begin >= limit && begin < base;
    const reach = isOwn ? base - begin : BigInt(OTHER_STACK_SIZE_BYTES_MAX);
    const sizeBytes = reach < BigInt(STACK_SIZE_BYTES_MAX) ? Number(reach) : STACK_SIZE_BYTES_MAX;
    if (sizeBytes > this.#leftBytes) return undefined;
    const from = isOwn ? base - BigInt(sizeBytes) : begin;
    const copy = tryReadMemory(this.#process, from, sizeBytes) ?? this.#readPages(from, sizeBytes);
    this.#leftBytes -= copy.length;
    return new Uint32Array(new Uint8Array(copy).buffer, 0, (copy.length >> 3) * 2);
  }

  /** The readable beginning of a range. */
  #readPages(begin: bigint, sizeBytes: number): Buffer {
    const pages: Buffer[] = [];
    for (let at = 0; at < sizeBytes; ) {
      const place = begin + BigInt(at);
      const untilPageEnd = PAGE_SIZE_BYTES - Number(place % BigInt(PAGE_SIZE_BYTES));
      const page = tryReadMemory(this.#process, place, Math.min(untilPageEnd, sizeBytes - at));
      if (page === undefined) break;
      pages.push(page);
      at += page.length;
    }
    return Buffer.concat(pages);
  }

  /** The bounds of the stack that the thread uses by its own word; none where they cannot be read. */
  #boundsOf(thread: AsHandle): { readonly base: bigint; readonly limit: bigint } {
    const raw = thread.asHandle().asRawHandle();
    const information = Buffer.alloc(0x30); // THREAD_BASIC_INFORMATION
    const status = NtQueryInformationThread(raw, ThreadBasicInformation, information, information.length, null);
    const teb = information.readBigUInt64LE(8); // PTEB TebBaseAddress
    const tib = status === 0 ? tryReadMemory(this.#process, teb + 8n, 16) : undefined;
    if (tib === undefined) return { base: 0n, limit: 0n };
    return { base: tib.readBigUInt64LE(0), limit: tib.readBigUInt64LE(8) }; // PVOID StackBase, StackLimit
  }
}
