import { ERROR_ACCESS_DENIED, ProcessBasicInformation } from '../ffi/constants.ts';
import { GetLastError, OpenThread, ResumeThread, SuspendThread } from '../ffi/kernel32.ts';
import { NtQueryInformationProcess, NtQueryInformationThread } from '../ffi/ntdll.ts';
import { type AsHandle, HandleOrNull, NULL_HANDLE, type OwnedHandle } from '../io/index.ts';
import { UserError } from '../user-error.ts';
import type { StopNotes } from './guardian/stop-notes.ts';
import { tryReadMemory } from './memory.ts';
import { listThreadIds } from './process-table.ts';
import { awaitStandingPoint, requestSuspension, resumeProcess, type StandingPoint } from './suspend.ts';

/** A process whose threads cannot be stopped. */
class StopError extends UserError {
  constructor(processId: number, why: string) {
    super(`Cannot stop process ${processId}: ${why}. Try an elevated terminal, or again.`);
  }
}

/** A copy of the stack of a thread that stood still. */
export interface ThreadStack {
  readonly threadId: number;
  /** Its 64-bit words from the innermost one on, each as two halves, the lower one first. */
  readonly halves: Uint32Array;
}

/** A thread of a process whose threads stand still, and where it stands. */
export interface StandingThread extends StandingPoint {
  readonly threadId: number;
}

/** A thread that waits by itself until its stack has been read. */
export interface WaitingThread {
  readonly threadId: number;
  readonly stackPointer: bigint;
}

const THREAD_SUSPEND_RESUME = 0x2;
const THREAD_GET_CONTEXT = 0x8;
const THREAD_QUERY_INFORMATION = 0x40;
const THREAD_ACCESS = THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT | THREAD_QUERY_INFORMATION;
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

  readonly #letGo: () => void;

  private constructor(process: AsHandle, waiting?: WaitingThread, letGo?: () => void) {
    this.#process = process;
    this.#waiting = waiting;
    this.#letGo = letGo ?? (() => this.#resumeEach());
  }

  /**
   * Stops all threads of a process but one.
   *
   * @param process opened with PROCESS_VM_READ and PROCESS_QUERY_LIMITED_INFORMATION
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

  /**
   * Stops a process that goes on afterwards: all of its threads at once, and then those that were being started
   * meanwhile.
   *
   * @param process opened with PROCESS_SUSPEND_RESUME and PROCESS_VM_READ
   * @param notes by which another process lets the threads run on, should this one end
   * @throws StopError when a thread may not be stopped; none is left suspended then
   * @throws NtStatusError when Windows refuses; likewise
   */
  static stopAll(process: AsHandle, processId: number, notes: StopNotes): StoppedThreads {
    let known: ReadonlySet<number> = new Set(listThreadIds(processId));
    notes.state = 'beginning';
    if (!requestSuspension(process, processId)) {
      notes.state = 'running';
      return new StoppedThreads(process);
    }
    notes.state = 'stopped';
    const stopped = new StoppedThreads(process, undefined, () => {
      resumeProcess(process, processId);
      notes.state = 'running';
    });
    try {
      for (let round = 0; round < ROUNDS_MAX; round++) {
        const listed = listThreadIds(processId);
        const added = listed.filter((threadId) => !known.has(threadId));
        for (const threadId of listed) if (!stopped.#threads.has(threadId)) stopped.#take(threadId, processId);
        if (added.length === 0) return stopped;
        for (const threadId of added) stopped.#stopAdded(threadId);
        known = new Set([...known, ...added]);
      }
    } catch (error) {
      stopped[Symbol.dispose]();
      throw error;
    }
    stopped[Symbol.dispose]();
    throw new StopError(processId, 'it starts threads faster than they can be stopped');
  }

  #take(threadId: number, processId: number): void {
    const thread = openThread(threadId, THREAD_ACCESS);
    if (thread !== undefined) this.#threads.set(threadId, thread);
    else if (GetLastError() === ERROR_ACCESS_DENIED)
      throw new StopError(processId, `its thread ${threadId} may not be stopped (ERROR_ACCESS_DENIED 5)`);
  }

  /** A thread that appeared while the process was being stopped may have been stopped with it, or not. */
  #stopAdded(threadId: number): void {
    const thread = this.#threads.get(threadId)?.asRawHandle();
    if (thread === undefined) return;
    const before = SuspendThread(thread);
    if (before !== SUSPEND_FAILED && before > 0) ResumeThread(thread);
  }

  /** How many there are. */
  get count(): number {
    return this.#threads.size;
  }

  /** The threads, as soon as they stand; without those that are ending, which run no more. */
  awaitStanding(): readonly StandingThread[] {
    return [...this.#threads].flatMap(([threadId, thread]) => {
      const point = awaitStandingPoint(thread);
      return point === undefined ? [] : [{ threadId, ...point }];
    });
  }

  #suspendAll(processId: number): void {
    const ownId = idOf(this.#process) ?? BigInt(processId);
    const seen = new Set(this.#waiting === undefined ? [] : [this.#waiting.threadId]);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const threadIds = listThreadIds(processId).filter((threadId) => !seen.has(threadId));
      if (threadIds.length === 0) return;
      for (const threadId of threadIds) {
        seen.add(threadId);
        const thread = openThread(threadId, THREAD_ACCESS);
        if (thread === undefined) continue;
        // The id may be that of another process's thread since it was listed: the threads run.
        const isOurs = ownerOf(thread) === ownId;
        if (isOurs && SuspendThread(thread.asRawHandle()) !== SUSPEND_FAILED) this.#threads.set(threadId, thread);
        else thread[Symbol.dispose](); // or it is ending
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
    for (const [threadId, thread] of this.#threads) add(threadId, thread, awaitStandingPoint(thread)?.stackPointer);
    return stacks;
  }

  [Symbol.dispose](): void {
    this.#letGo();
    for (const thread of this.#threads.values()) thread[Symbol.dispose]();
    this.#threads.clear();
  }

  #resumeEach(): void {
    for (const thread of this.#threads.values()) ResumeThread(thread.asRawHandle());
  }
}

/** The id of the process of a handle. */
function idOf(process: AsHandle): bigint | undefined {
  const basic = Buffer.alloc(48); // PROCESS_BASIC_INFORMATION
  const raw = process.asHandle().asRawHandle();
  const status = NtQueryInformationProcess(raw, ProcessBasicInformation, basic, basic.length, null);
  return status === 0 ? basic.readBigUInt64LE(0x20) : undefined; // ULONG_PTR UniqueProcessId
}

/** The id of the process of a thread. */
function ownerOf(thread: OwnedHandle): bigint | undefined {
  const basic = Buffer.alloc(0x30); // THREAD_BASIC_INFORMATION
  const status = NtQueryInformationThread(thread.asRawHandle(), ThreadBasicInformation, basic, basic.length, null);
  return status === 0 ? basic.readBigUInt64LE(0x10) : undefined; // HANDLE ClientId.UniqueProcess
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
