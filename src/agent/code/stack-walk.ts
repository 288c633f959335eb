import { header, MAXIMUM_FRAMES, WALK_CACHE_COUNT, WALKER_COUNT } from '../ledger-layout.ts';
import type { LinkedEnvironment } from '../linkage.ts';
import {
  absolute, type Assembler, at, indexed, type Label, low32, type Memory, r8, r9, r10, r11, r12, r13, r14, r15, rax, rbp, rbx, rcx, rdi, rdx,
  type Register, relative, rsi, rsp, teb,
} from './assembler.ts'; // prettier-ignore
import { type FramedFunction, framedFunction, type FrameShape, savedRegisterOffset } from './unwind-info.ts';

/**
 * Walking the target's stack from inside a hook.
 *
 * The documented unwinder (RtlLookupFunctionEntry, RtlVirtualUnwind) is right but costs up to 3 µs for 11 frames. In the
 * Windows x64 ABI a return address alone fixes how far the caller's frame reaches (there are no pushes outside of a
 * prologue), either from rsp or, in functions with a frame pointer, from rbp. So the first walk through a return
 * address asks the unwinder and remembers the distance in the *walk cache*; later walks read one 64-bit word a frame.
 * What the cache cannot express (machine frames, frame registers other than rbp, code outside of images but the agent's own, which
 * may be replaced) is walked by the unwinder every time.
 *
 * An entry of the walk cache, indexed by the low 14 bits of the return address:
 * ```
 * 63..31  return address >> 14
 * 30      the frame is measured from rbp, not from rsp
 * 29      the entry holds a distance; clear: "known, but only the unwinder can walk it"
 * 28..11  distance to the caller's rsp / 8
 * 10..0   where the caller's rbp is saved, relative to the caller's rsp / 8, signed; -1024: it is still in rbp
 * ```
 */
const INDEX_BITS = Math.log2(WALK_CACHE_COUNT);
const TAG_SHIFT = 31;
const HAS_DISTANCE = 1 << 29;
const DISTANCE_SHIFT = 11;
const DISTANCE_MASK = (1 << 18) - 1;
const RBP_NOT_SAVED = -1024;

/** Seed and multiplier of the stack hash (the multiplier of splitmix64's finaliser). */
export const HASH_SEED = 0x9e37_79b9_7f4a_7c15n;
export const HASH_MULTIPLIER = 0xbf58_476d_1ce4_e5b9n;

/** TEB fields: https://learn.microsoft.com/windows/win32/api/winternl/ns-winternl-teb and phnt. */
export const tebField = {
  stackBase: 0x08, // PVOID NtTib.StackBase
  stackLimit: 0x10, // PVOID NtTib.StackLimit
  processId: 0x40, // HANDLE ClientId.UniqueProcess
  threadId: 0x48, // HANDLE ClientId.UniqueThread
  peb: 0x60, // PPEB ProcessEnvironmentBlock
  lastErrorValue: 0x68, // ULONG LastErrorValue
} as const;

const PEB_PROCESS_HEAP = 0x30; // PVOID ProcessHeap

/** CONTEXT for x64, winnt.h. */
export const context = {
  sizeBytes: 0x4d0,
  contextFlags: 0x30,
  /** The other registers follow in the order of their hardware numbers. */
  rax: 0x78, rbx: 0x90, rsp: 0x98, rbp: 0xa0, rsi: 0xa8, rdi: 0xb0, r12: 0xd8, r13: 0xe0, r14: 0xe8, r15: 0xf0, rip: 0xf8,
} as const; // prettier-ignore
const CONTEXT_FULL = 0x10_000b;

/**
 * What `foreseeUnwind` (unwind-check.ts) leaves in the CONTEXT, in DWORD64 P1Home to P6Home, which the unwinder neither reads nor writes;
 * and what a frame may be measured from.
 */
export const foreseen = {
  callerRsp: 0x00,
  measuredFrom: 0x08,
  room: 0x10,
  chainLeft: 0x18,
  unwindInfo: 0x20,
  codeOffset: 0x28,
  fromRsp: 0,
  fromRbp: 0x4000_0000,
  fromElsewhere: -1,
} as const;

/** Everything that the emitted code needs to know of the target. */
export interface WalkEnvironment extends LinkedEnvironment {
  /** The agent's own RUNTIME_FUNCTION table, a u32 that is its length, and the address that it is relative to. */
  readonly functionTable: Label;
  readonly functionCount: Label;
  readonly imageBase: Label;
  /** Also walks every stack with the unwinder and counts where the two differ: for tests. */
  readonly checked: boolean;
  /** See unwind-check.ts. */
  readonly foreseeUnwind: Label;
}

/** One step of the hash: `hash = (hash ^ value) * multiplier; hash ^= hash >> 32`. Clobbers `scratch`. */
export function emitHashStep(assembler: Assembler, hash: Register, value: Register, multiplier: Register, scratch: Register): void {
  assembler.xor(hash, value);
  assembler.imul(hash, multiplier);
  assembler.mov(scratch, hash);
  assembler.shr(scratch, 32);
  assembler.xor(hash, scratch);
}

const BUFFER_SIZE_BYTES = MAXIMUM_FRAMES * 8;

/** The frame of `captureStack`: it keeps every non-volatile register where `fullWalk` finds them. */
const captureFrame: FrameShape = {
  pushes: [rbx, rbp, rsi, rdi, r12, r13, r14, r15],
  sizeBytes: 0x28 + 2 * BUFFER_SIZE_BYTES,
};
const FRAMES = 0x20;
const CHECK_FRAMES = FRAMES + BUFFER_SIZE_BYTES;

/**
 * Emits `u32 captureStack(u64* returnAddress)`: walks the stack from the given return address up and returns the id of
 * the stack in the pool (0 if it found no room). The caller and its callers in the agent must not have changed any
 * non-volatile register since the hook was entered. `intern` emits the look-up: frames at `rcx`, count in `edx`, hash in
 * `r8`, id expected in `eax`.
 */
export function emitCaptureStack(assembler: Assembler, begin: Label, fullWalk: Label, intern: Label, environment: WalkEnvironment): FramedFunction {
  return framedFunction(assembler, begin, captureFrame, (epilogue) => {
    const [
      next, done, slow, hashAgain, hashAgainLoop, known, rbpKept,
    ] = assembler.labels(
      'next', 'done', 'slow', 'hashAgain', 'hashAgainLoop', 'known', 'rbpKept',
    ); // prettier-ignore

    assembler.mov(rsi, rcx); // where the return address lies
    assembler.mov(rbx, rcx); // kept for the slow walk
    assembler.mov(rdi, environment.words.walkCache);
    assembler.mov(r12, teb(tebField.stackBase));
    assembler.sub(r12, 8);
    assembler.mov(r13, HASH_SEED);
    assembler.mov(r15, HASH_MULTIPLIER);
    assembler.xor(low32(r14), low32(r14)); // frames so far
    // A thread may run on a stack that its TEB does not know: then the return address is all that is safe to read.
    assembler.cmp(rsi, teb(tebField.stackLimit));
    assembler.j('b', slow);
    assembler.cmp(rsi, r12);
    assembler.j('a', slow);

    assembler.bind(next);
    assembler.mov(rax, at(rsi));
    assembler.test(rax, rax);
    assembler.j('e', done);
    assembler.mov(indexed(rsp, r14, 8, FRAMES), rax);
    assembler.add(r14, 1);
    emitHashStep(assembler, r13, rax, r15, rdx);
    assembler.cmp(r14, MAXIMUM_FRAMES);
    assembler.j('ae', done);
    assembler.mov(low32(rdx), low32(rax));
    assembler.and(low32(rdx), WALK_CACHE_COUNT - 1);
    assembler.mov(rdx, indexed(rdi, rdx, 8));
    assembler.shr(rax, INDEX_BITS);
    assembler.mov(rcx, rdx);
    assembler.shr(rcx, TAG_SHIFT);
    assembler.cmp(rcx, rax);
    assembler.j('ne', slow);
    assembler.test(low32(rdx), HAS_DISTANCE);
    assembler.j('e', slow);
    assembler.mov(low32(rcx), low32(rdx));
    assembler.shr(low32(rcx), DISTANCE_SHIFT);
    assembler.and(low32(rcx), DISTANCE_MASK);
    assembler.lea(r8, at(rsi, 8));
    assembler.test(low32(rdx), foreseen.fromRbp);
    assembler.j('e', known);
    assembler.mov(r8, rbp);
    assembler.bind(known);
    assembler.lea(r8, indexed(r8, rcx, 8, -8)); // where the caller's return address lies
    assembler.cmp(r8, rsi);
    assembler.j('be', slow);
    assembler.cmp(r8, r12);
    assembler.j('a', slow);
    assembler.shl(low32(rdx), 32 - DISTANCE_SHIFT);
    assembler.sar(low32(rdx), 32 - DISTANCE_SHIFT);
    assembler.cmp(low32(rdx), RBP_NOT_SAVED);
    assembler.j('e', rbpKept);
    assembler.movsxd(rdx, low32(rdx));
    assembler.lea(rdx, indexed(r8, rdx, 8, 8));
    assembler.cmp(rdx, rsi);
    assembler.j('be', slow);
    assembler.cmp(rdx, r12);
    assembler.j('a', slow);
    assembler.mov(rbp, at(rdx));
    assembler.bind(rbpKept);
    assembler.mov(rsi, r8);
    assembler.jmp(next);

    assembler.bind(slow);
    emitFullWalkCall(assembler, fullWalk, FRAMES);
    assembler.mov(low32(r14), low32(rax));
    assembler.bind(hashAgain);
    assembler.mov(r13, HASH_SEED);
    assembler.mov(r15, HASH_MULTIPLIER);
    assembler.xor(low32(rcx), low32(rcx));
    assembler.bind(hashAgainLoop);
    assembler.mov(rax, indexed(rsp, rcx, 8, FRAMES));
    emitHashStep(assembler, r13, rax, r15, rdx);
    assembler.add(rcx, 1);
    assembler.cmp(rcx, r14);
    assembler.j('b', hashAgainLoop);
    const interned = assembler.label('interned');
    if (environment.checked) assembler.jmp(interned);

    assembler.bind(done);
    if (environment.checked) emitCheck(assembler, fullWalk, environment);
    assembler.bind(interned);
    assembler.lea(rcx, at(rsp, FRAMES));
    assembler.mov(low32(rdx), low32(r14));
    assembler.mov(r8, r13);
    assembler.call(intern);
    epilogue();
  });
}

/** `fullWalk(frames, returnAddress, our frame)`. */
function emitFullWalkCall(assembler: Assembler, fullWalk: Label, frames: number): void {
  assembler.lea(rcx, at(rsp, frames));
  assembler.mov(rdx, rbx);
  assembler.mov(r8, rsp);
  assembler.call(fullWalk);
}

/** Compares what the cache yielded with what the unwinder yields, and counts a difference. */
function emitCheck(assembler: Assembler, fullWalk: Label, environment: WalkEnvironment): void {
  const [compare, mismatch, same] = assembler.labels('compare', 'mismatch', 'same');
  emitFullWalkCall(assembler, fullWalk, CHECK_FRAMES);
  assembler.cmp(low32(rax), low32(r14));
  assembler.j('ne', mismatch);
  assembler.xor(low32(rcx), low32(rcx));
  assembler.bind(compare);
  assembler.mov(rax, indexed(rsp, rcx, 8, FRAMES));
  assembler.cmp(rax, indexed(rsp, rcx, 8, CHECK_FRAMES));
  assembler.j('ne', mismatch);
  assembler.add(rcx, 1);
  assembler.cmp(rcx, r14);
  assembler.j('b', compare);
  assembler.jmp(same);
  assembler.bind(mismatch);
  assembler.mov(rax, environment.words.ledger);
  assembler.lockInc32(at(rax, header.walkMismatches));
  assembler.bind(same);
}

const walk = {
  // 0x00 home space, 0x20 four stack arguments of RtlVirtualUnwind
  imageBase: 0x40,
  handlerData: 0x48,
  establisherFrame: 0x50,
  lastError: 0x58,
  memoryInformation: 0x60, // MEMORY_BASIC_INFORMATION, 0x30 bytes
  contextPointers: 0x90, // KNONVOLATILE_CONTEXT_POINTERS, 0x100 bytes
  context: 0x190, // 16-byte aligned
} as const;
const fullWalkFrame: FrameShape = {
  pushes: [rbx, rbp, rsi, rdi, r12, r13, r14, r15],
  sizeBytes: walk.context + context.sizeBytes + 8,
};
const SAVED_RBP_POINTER = walk.contextPointers + 0x80 + 5 * 8; // PDWORD64 IntegerContext[5]
const MEM_IMAGE = 0x100_0000;

/**
 * Emits `u32 fullWalk(u64* frames, u64* returnAddress, captureStack's rsp)`: walks with the documented unwinder, fills
 * the walk cache, and returns the number of frames, at least 1.
 */
export function emitFullWalk(assembler: Assembler, begin: Label, environment: WalkEnvironment): FramedFunction {
  return framedFunction(assembler, begin, fullWalkFrame, (epilogue) => {
    const [
      nested, unguarded, registered, loop, hasEntry, finish, released, notCacheable, rbpStays, store, measuredFromRsp,
      measured,
    ] = assembler.labels(
      'nested', 'unguarded', 'registered', 'loop', 'hasEntry', 'finish', 'released', 'notCacheable', 'rbpStays',
      'store', 'measuredFromRsp', 'measured',
    ); // prettier-ignore
    const ctx = (field: number) => at(rsp, walk.context + field);

    assembler.mov(rdi, rcx); // frames
    assembler.mov(rax, at(rdx));
    assembler.mov(at(rdi), rax);
    assembler.mov(low32(rsi), 1); // frames so far
    assembler.mov(r14, environment.words.ledger);

    // The unwinder may wait for a lock, and the wait may be a hooked call: a thread that is already here goes back.
    assembler.mov(low32(r9), teb(tebField.threadId));
    assembler.mov(low32(rax), low32(r9));
    assembler.shr(low32(rax), 2);
    assembler.and(low32(rax), WALKER_COUNT - 1);
    assembler.lea(r15, indexed(r14, rax, 4, header.walkers));
    assembler.cmp(low32(r9), at(r15));
    assembler.j('e', nested);
    assembler.xor(low32(rax), low32(rax));
    assembler.lockCmpxchg(at(r15), low32(r9));
    assembler.j('e', unguarded);
    assembler.xor(low32(r15), low32(r15)); // another thread's mark is there: go without
    assembler.bind(unguarded);
    assembler.lockInc32(at(r14, header.slowWalks));
    assembler.mov(low32(rax), teb(tebField.lastErrorValue));
    assembler.mov(at(rsp, walk.lastError), low32(rax));

    // The registers as they were when the hook was entered.
    assembler.movImmediate32(ctx(context.contextFlags), CONTEXT_FULL);
    for (const [register, field] of [
      [rbx, context.rbx], [rbp, context.rbp], [rsi, context.rsi], [rdi, context.rdi],
      [r12, context.r12], [r13, context.r13], [r14, context.r14], [r15, context.r15],
    ] as const) { // prettier-ignore
      assembler.mov(rax, at(r8, savedRegisterOffset(captureFrame, register)));
      assembler.mov(ctx(field), rax);
    }
    assembler.mov(rax, at(rdx));
    assembler.mov(ctx(context.rip), rax);
    assembler.lea(rax, at(rdx, 8));
    assembler.mov(ctx(context.rsp), rax);

    // Our own frames become known to the unwinder as soon as the process has a heap to note them in.
    assembler.mov(rax, teb(tebField.peb));
    assembler.cmp(at(rax, PEB_PROCESS_HEAP), 0);
    assembler.j('e', registered);
    assembler.xor(low32(rax), low32(rax));
    assembler.mov(low32(rcx), 1);
    assembler.lockCmpxchg(at(r14, header.unwindRegistered), low32(rcx));
    assembler.j('ne', registered);
    assembler.lea(rcx, relative(environment.functionTable));
    assembler.mov(low32(rdx), relative(environment.functionCount));
    assembler.lea(r8, relative(environment.imageBase));
    assembler.call(environment.native('RtlAddFunctionTable'));
    assembler.bind(registered);

    assembler.bind(loop);
    assembler.mov(rbx, ctx(context.rsp));
    assembler.cmp(rbx, teb(tebField.stackLimit));
    assembler.j('b', finish);
    assembler.mov(rax, teb(tebField.stackBase));
    assembler.sub(rax, 8);
    assembler.cmp(rbx, rax);
    assembler.j('a', finish);
    assembler.mov(rcx, ctx(context.rip));
    assembler.lea(rdx, at(rsp, walk.imageBase));
    assembler.xor(low32(r8), low32(r8));
    assembler.call(environment.native('RtlLookupFunctionEntry'));
    assembler.mov(r12, rax); // PRUNTIME_FUNCTION
    assembler.mov(r13, ctx(context.rip));
    assembler.mov(rbp, ctx(context.rbp));
    assembler.test(rax, rax);
    assembler.j('ne', hasEntry);
    // No entry: a leaf, whose return address is on top of the stack.
    assembler.mov(rax, at(rbx));
    assembler.mov(ctx(context.rip), rax);
    assembler.add(rbx, 8);
    assembler.mov(ctx(context.rsp), rbx);
    assembler.jmp(measured);

    assembler.bind(hasEntry);
    assembler.mov(rcx, at(rsp, walk.imageBase));
    assembler.mov(rdx, r12);
    assembler.lea(r8, ctx(0));
    assembler.call(environment.foreseeUnwind);
    assembler.test(low32(rax), low32(rax));
    assembler.j('e', finish);
    assembler.xor(low32(rcx), low32(rcx)); // UNW_FLAG_NHANDLER
    assembler.mov(at(rsp, SAVED_RBP_POINTER), rcx);
    assembler.mov(rdx, at(rsp, walk.imageBase));
    assembler.mov(r8, r13);
    assembler.mov(r9, r12);
    assembler.lea(rax, ctx(0));
    assembler.mov(at(rsp, 0x20), rax);
    assembler.lea(rax, at(rsp, walk.handlerData));
    assembler.mov(at(rsp, 0x28), rax);
    assembler.lea(rax, at(rsp, walk.establisherFrame));
    assembler.mov(at(rsp, 0x30), rax);
    assembler.lea(rax, at(rsp, walk.contextPointers));
    assembler.mov(at(rsp, 0x38), rax);
    assembler.call(environment.native('RtlVirtualUnwind'));
    // The walk goes up, and stays inside the stack.
    assembler.mov(r9, ctx(context.rsp));
    assembler.cmp(r9, rbx);
    assembler.j('be', finish);
    assembler.cmp(r9, teb(tebField.stackBase));
    assembler.j('a', finish);

    // r10: the cache entry of the address that was just left; r11: its tag.
    assembler.mov(low32(rax), low32(r13));
    assembler.and(low32(rax), WALK_CACHE_COUNT - 1);
    assembler.mov(r10, environment.words.walkCache);
    assembler.lea(r10, indexed(r10, rax, 8));
    assembler.mov(r11, r13);
    assembler.shr(r11, INDEX_BITS);
    assembler.mov(rax, at(r10));
    assembler.shr(rax, TAG_SHIFT);
    assembler.cmp(rax, r11);
    assembler.j('e', measured); // known already, one way or the other
    assembler.shl(r11, TAG_SHIFT);

    // What the frame is measured from is known only if its unwind data, and nothing else, led the unwinder to where it came.
    assembler.cmp(r9, ctx(foreseen.callerRsp));
    assembler.j('ne', notCacheable);
    assembler.mov(rax, ctx(foreseen.measuredFrom));
    assembler.cmp(low32(rax), foreseen.fromElsewhere);
    assembler.j('e', notCacheable);
    assembler.or(r11, rax);
    assembler.test(low32(rax), low32(rax));
    assembler.j('e', measuredFromRsp);
    assembler.mov(rbx, rbp);
    assembler.bind(measuredFromRsp);
    // A plain frame: the caller's rip was on top of the caller's stack (not so for a machine frame).
    assembler.mov(rax, at(r9, -8));
    assembler.cmp(rax, ctx(context.rip));
    assembler.j('ne', notCacheable);
    assembler.mov(rax, r9);
    assembler.sub(rax, rbx);
    assembler.j('be', notCacheable);
    assembler.test(low32(rax), 7);
    assembler.j('ne', notCacheable);
    assembler.shr(rax, 3);
    assembler.cmp(rax, DISTANCE_MASK);
    assembler.j('a', notCacheable);
    assembler.shl(rax, DISTANCE_SHIFT);
    assembler.or(rax, HAS_DISTANCE);
    assembler.or(r11, rax);
    assembler.mov(low32(rdx), RBP_NOT_SAVED);
    assembler.movsxd(rdx, low32(rdx));
    assembler.mov(rcx, at(rsp, SAVED_RBP_POINTER));
    assembler.test(rcx, rcx);
    assembler.j('e', rbpStays);
    assembler.sub(rcx, r9);
    assembler.test(low32(rcx), 7);
    assembler.j('ne', notCacheable);
    assembler.sar(rcx, 3);
    assembler.cmp(rcx, 1023);
    assembler.j('g', notCacheable);
    assembler.cmp(rcx, -1023);
    assembler.j('l', notCacheable);
    assembler.mov(rdx, rcx);
    assembler.jmp(store);
    assembler.bind(rbpStays);
    assembler.cmp(rbp, ctx(context.rbp)); // changed, and nobody says from where
    assembler.j('ne', notCacheable);
    assembler.bind(store);
    assembler.and(low32(rdx), (1 << DISTANCE_SHIFT) - 1);
    assembler.or(r11, rdx);
    // The agent's own code stays as it is: a hooked function's stacks lead through its hook.
    const keep = assembler.label('keep');
    assembler.lea(rax, relative(environment.imageBase));
    assembler.cmp(at(rsp, walk.imageBase), rax);
    assembler.j('e', keep);
    // Else only an image keeps its code for as long as it is mapped (and its unmapping empties the cache).
    assembler.mov(r12, r10);
    assembler.mov(rbx, r11);
    assembler.mov(rcx, -1n);
    assembler.mov(rdx, r13);
    assembler.xor(low32(r8), low32(r8)); // MemoryBasicInformation
    assembler.lea(r9, at(rsp, walk.memoryInformation));
    assembler.movImmediate64(at(rsp, 0x20), 0x30);
    assembler.movImmediate64(at(rsp, 0x28), 0);
    assembler.call(environment.native('NtQueryVirtualMemory'));
    assembler.mov(r10, r12);
    assembler.mov(r11, rbx);
    assembler.test(low32(rax), low32(rax));
    assembler.j('ne', notCacheable);
    assembler.cmpImmediate32(at(rsp, walk.memoryInformation + 0x28), MEM_IMAGE); // DWORD Type
    assembler.j('ne', notCacheable);
    assembler.bind(keep);
    assembler.mov(at(r10), r11);
    assembler.jmp(measured);
    assembler.bind(notCacheable);
    assembler.shr(r11, TAG_SHIFT);
    assembler.shl(r11, TAG_SHIFT);
    assembler.mov(at(r10), r11);

    assembler.bind(measured);
    assembler.mov(rax, ctx(context.rip));
    assembler.test(rax, rax);
    assembler.j('e', finish);
    assembler.mov(indexed(rdi, rsi, 8), rax);
    assembler.add(low32(rsi), 1);
    assembler.cmp(low32(rsi), MAXIMUM_FRAMES);
    assembler.j('b', loop);

    assembler.bind(finish);
    assembler.mov(low32(rax), at(rsp, walk.lastError));
    assembler.mov(teb(tebField.lastErrorValue), low32(rax));
    assembler.test(r15, r15);
    assembler.j('e', released);
    assembler.movImmediate32(at(r15), 0);
    assembler.bind(released);
    assembler.mov(low32(rax), low32(rsi));
    epilogue();

    assembler.bind(nested);
    assembler.lockInc32(at(r14, header.nestedWalks));
    assembler.mov(low32(rax), low32(rsi));
    epilogue();
  });
}

/** KUSER_SHARED_DATA.SystemTime: the FILETIME of now, to the clock tick, without a call. */
export const SYSTEM_TIME: Memory = absolute(0x7ffe_0014);
