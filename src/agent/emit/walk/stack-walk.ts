import { header, MAXIMUM_FRAMES, WALK_CACHE_COUNT, WALKER_COUNT } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { absolute, at, indexed, type Label, type Memory, relative, teb } from '../../asm/operands.ts';
import {
  eax,
  ecx,
  edx,
  esi,
  r10,
  r11,
  r12,
  r13,
  r13d,
  r14,
  r14d,
  r15,
  r15d,
  r8,
  r8d,
  r9,
  r9d,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  type Register,
  rsi,
  rsp,
} from '../../asm/registers.ts';
import { type FramedFunction, framedFunction, type FrameShape, savedRegisterOffset } from './unwind-info.ts';
import type { LinkedEnvironment } from '../linkage.ts';

/**
 * Walking the target's stack from inside a hook.
 *
 * The documented unwinder (RtlLookupFunctionEntry, RtlVirtualUnwind) is right but costs up to 3 µs for 11 frames. In
 * the Windows x64 ABI a return address alone fixes how far the caller's frame reaches (there are no pushes outside of a
 * prologue), either from rsp or, in functions with a frame pointer, from rbp. So the first walk through a return
 * address asks the unwinder and remembers the distance in the *walk cache*; later walks read one 64-bit word a frame.
 * What the cache cannot express (machine frames, frame registers other than rbp, code outside of images but the agent's
 * own, which may be replaced) is walked by the unwinder every time.
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
  rax: 0x78,
  rbx: 0x90,
  rsp: 0x98,
  rbp: 0xa0,
  rsi: 0xa8,
  rdi: 0xb0,
  r12: 0xd8,
  r13: 0xe0,
  r14: 0xe8,
  r15: 0xf0,
  rip: 0xf8,
} as const;
const CONTEXT_FULL = 0x10_000b;

/**
 * What `predictUnwind` (unwind-check.ts) leaves in the CONTEXT, in DWORD64 P1Home to P6Home, which the unwinder neither
 * reads nor writes; and what a frame may be measured from.
 */
export const prediction = {
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
  readonly predictUnwind: Label;
}

/** One step of the hash: `hash = (hash ^ value) * multiplier; hash ^= hash >> 32`. Clobbers `scratch`. */
export function emitHashStep(
  asm: Assembler,
  hash: Register,
  value: Register,
  multiplier: Register,
  scratch: Register,
): void {
  asm.xor(hash, value);
  asm.imul(hash, multiplier);
  asm.mov(scratch, hash);
  asm.shr(scratch, 32);
  asm.xor(hash, scratch);
}

const BUFFER_SIZE_BYTES = MAXIMUM_FRAMES * 8;

/** The frame of `captureStack`: it keeps every non-volatile register where `walkWithUnwinder` finds them. */
const captureFrame: FrameShape = {
  pushes: [rbx, rbp, rsi, rdi, r12, r13, r14, r15],
  sizeBytes: 0x28 + 2 * BUFFER_SIZE_BYTES,
};
const FRAMES = 0x20;
const CHECK_FRAMES = FRAMES + BUFFER_SIZE_BYTES;

/**
 * Emits `u32 captureStack(u64* returnAddress)`: walks the stack from the given return address up and returns the id of
 * the stack in the pool (0 if it found no room). The caller and its callers in the agent must not have changed any
 * non-volatile register since the hook was entered. `intern` emits the look-up: frames at `rcx`, count in `edx`, hash
 * in `r8`, id expected in `eax`.
 */
export function emitCaptureStack(
  asm: Assembler,
  begin: Label,
  walkWithUnwinder: Label,
  intern: Label,
  environment: WalkEnvironment,
): FramedFunction {
  return framedFunction(asm, begin, captureFrame, (epilogue) => {
    const [next, done, slow, hashAgain, hashAgainLoop, known, rbpKept] = asm.labels(
      'next',
      'done',
      'slow',
      'hashAgain',
      'hashAgainLoop',
      'known',
      'rbpKept',
    );

    asm.mov(rsi, rcx); // where the return address lies
    asm.mov(rbx, rcx); // kept for the slow walk
    asm.mov(rdi, environment.linkSlots.walkCache);
    asm.mov(r12, teb(tebField.stackBase));
    asm.sub(r12, 8);
    asm.mov(r13, HASH_SEED);
    asm.mov(r15, HASH_MULTIPLIER);
    asm.xor(r14d, r14d); // frames so far
    // A thread may run on a stack that its TEB does not know: then the return address is all that is safe to read.
    asm.cmp(rsi, teb(tebField.stackLimit));
    asm.j('b', slow);
    asm.cmp(rsi, r12);
    asm.j('a', slow);

    asm.bind(next);
    asm.mov(rax, at(rsi));
    asm.test(rax, rax);
    asm.j('e', done);
    asm.mov(indexed(rsp, r14, 8, FRAMES), rax);
    asm.add(r14, 1);
    emitHashStep(asm, r13, rax, r15, rdx);
    asm.cmp(r14, MAXIMUM_FRAMES);
    asm.j('ae', done);
    asm.mov(edx, eax);
    asm.and(edx, WALK_CACHE_COUNT - 1);
    asm.mov(rdx, indexed(rdi, rdx, 8));
    asm.shr(rax, INDEX_BITS);
    asm.mov(rcx, rdx);
    asm.shr(rcx, TAG_SHIFT);
    asm.cmp(rcx, rax);
    asm.j('ne', slow);
    asm.test(edx, HAS_DISTANCE);
    asm.j('e', slow);
    asm.mov(ecx, edx);
    asm.shr(ecx, DISTANCE_SHIFT);
    asm.and(ecx, DISTANCE_MASK);
    asm.lea(r8, at(rsi, 8));
    asm.test(edx, prediction.fromRbp);
    asm.j('e', known);
    asm.mov(r8, rbp);
    asm.bind(known);
    asm.lea(r8, indexed(r8, rcx, 8, -8)); // where the caller's return address lies
    asm.cmp(r8, rsi);
    asm.j('be', slow);
    asm.cmp(r8, r12);
    asm.j('a', slow);
    asm.shl(edx, 32 - DISTANCE_SHIFT);
    asm.sar(edx, 32 - DISTANCE_SHIFT);
    asm.cmp(edx, RBP_NOT_SAVED);
    asm.j('e', rbpKept);
    asm.movsxd(rdx, edx);
    asm.lea(rdx, indexed(r8, rdx, 8, 8));
    asm.cmp(rdx, rsi);
    asm.j('be', slow);
    asm.cmp(rdx, r12);
    asm.j('a', slow);
    asm.mov(rbp, at(rdx));
    asm.bind(rbpKept);
    asm.mov(rsi, r8);
    asm.jmp(next);

    asm.bind(slow);
    emitCallWalkWithUnwinder(asm, walkWithUnwinder, FRAMES);
    asm.mov(r14d, eax);
    asm.bind(hashAgain);
    asm.mov(r13, HASH_SEED);
    asm.mov(r15, HASH_MULTIPLIER);
    asm.xor(ecx, ecx);
    asm.bind(hashAgainLoop);
    asm.mov(rax, indexed(rsp, rcx, 8, FRAMES));
    emitHashStep(asm, r13, rax, r15, rdx);
    asm.add(rcx, 1);
    asm.cmp(rcx, r14);
    asm.j('b', hashAgainLoop);
    const interned = asm.label('interned');
    if (environment.checked) asm.jmp(interned);

    asm.bind(done);
    if (environment.checked) emitCheck(asm, walkWithUnwinder, environment);
    asm.bind(interned);
    asm.lea(rcx, at(rsp, FRAMES));
    asm.mov(edx, r14d);
    asm.mov(r8, r13);
    asm.call(intern);
    epilogue();
  });
}

/** `walkWithUnwinder(frames, returnAddress, our frame)`. */
function emitCallWalkWithUnwinder(asm: Assembler, walkWithUnwinder: Label, frames: number): void {
  asm.lea(rcx, at(rsp, frames));
  asm.mov(rdx, rbx);
  asm.mov(r8, rsp);
  asm.call(walkWithUnwinder);
}

/** Compares what the cache yielded with what the unwinder yields, and counts a difference. */
function emitCheck(asm: Assembler, walkWithUnwinder: Label, environment: WalkEnvironment): void {
  const [compare, mismatch, same] = asm.labels('compare', 'mismatch', 'same');
  emitCallWalkWithUnwinder(asm, walkWithUnwinder, CHECK_FRAMES);
  asm.cmp(eax, r14d);
  asm.j('ne', mismatch);
  asm.xor(ecx, ecx);
  asm.bind(compare);
  asm.mov(rax, indexed(rsp, rcx, 8, FRAMES));
  asm.cmp(rax, indexed(rsp, rcx, 8, CHECK_FRAMES));
  asm.j('ne', mismatch);
  asm.add(rcx, 1);
  asm.cmp(rcx, r14);
  asm.j('b', compare);
  asm.jmp(same);
  asm.bind(mismatch);
  asm.mov(rax, environment.linkSlots.ledger);
  asm.lockInc32(at(rax, header.walkMismatches));
  asm.bind(same);
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
const unwinderFrame: FrameShape = {
  pushes: [rbx, rbp, rsi, rdi, r12, r13, r14, r15],
  sizeBytes: walk.context + context.sizeBytes + 8,
};
const SAVED_RBP_POINTER = walk.contextPointers + 0x80 + 5 * 8; // PDWORD64 IntegerContext[5]
const MEM_IMAGE = 0x100_0000;

/**
 * Emits `u32 walkWithUnwinder(u64* frames, u64* returnAddress, captureStack's rsp)`: walks with the documented unwinder, fills
 * the walk cache, and returns the number of frames, at least 1.
 */
export function emitWalkWithUnwinder(asm: Assembler, begin: Label, environment: WalkEnvironment): FramedFunction {
  return framedFunction(asm, begin, unwinderFrame, (epilogue) => {
    const [
      nested,
      unguarded,
      registered,
      loop,
      hasEntry,
      finish,
      released,
      notCacheable,
      rbpStays,
      store,
      measuredFromRsp,
      measured,
    ] = asm.labels(
      'nested',
      'unguarded',
      'registered',
      'loop',
      'hasEntry',
      'finish',
      'released',
      'notCacheable',
      'rbpStays',
      'store',
      'measuredFromRsp',
      'measured',
    );
    const ctx = (field: number) => at(rsp, walk.context + field);

    asm.mov(rdi, rcx); // frames
    asm.mov(rax, at(rdx));
    asm.mov(at(rdi), rax);
    asm.mov(esi, 1); // frames so far
    asm.mov(r14, environment.linkSlots.ledger);

    // The unwinder may wait for a lock, and the wait may be a hooked call: a thread that is already here goes back.
    asm.mov(r9d, teb(tebField.threadId));
    asm.mov(eax, r9d);
    asm.shr(eax, 2);
    asm.and(eax, WALKER_COUNT - 1);
    asm.lea(r15, indexed(r14, rax, 4, header.walkers));
    asm.cmp(r9d, at(r15));
    asm.j('e', nested);
    asm.xor(eax, eax);
    asm.lockCmpxchg(at(r15), r9d);
    asm.j('e', unguarded);
    asm.xor(r15d, r15d); // another thread's mark is there: go without
    asm.bind(unguarded);
    asm.lockInc32(at(r14, header.slowWalks));
    asm.mov(eax, teb(tebField.lastErrorValue));
    asm.mov(at(rsp, walk.lastError), eax);

    // The registers as they were when the hook was entered.
    asm.movImmediate32(ctx(context.contextFlags), CONTEXT_FULL);
    for (const [register, field] of [
      [rbx, context.rbx],
      [rbp, context.rbp],
      [rsi, context.rsi],
      [rdi, context.rdi],
      [r12, context.r12],
      [r13, context.r13],
      [r14, context.r14],
      [r15, context.r15],
    ] as const) {
      asm.mov(rax, at(r8, savedRegisterOffset(captureFrame, register)));
      asm.mov(ctx(field), rax);
    }
    asm.mov(rax, at(rdx));
    asm.mov(ctx(context.rip), rax);
    asm.lea(rax, at(rdx, 8));
    asm.mov(ctx(context.rsp), rax);

    // Our own frames become known to the unwinder as soon as the process has a heap to note them in.
    asm.mov(rax, teb(tebField.peb));
    asm.cmp(at(rax, PEB_PROCESS_HEAP), 0);
    asm.j('e', registered);
    asm.xor(eax, eax);
    asm.mov(ecx, 1);
    asm.lockCmpxchg(at(r14, header.unwindRegistered), ecx);
    asm.j('ne', registered);
    asm.lea(rcx, relative(environment.functionTable));
    asm.mov(edx, relative(environment.functionCount));
    asm.lea(r8, relative(environment.imageBase));
    asm.call(environment.ntdllImport('RtlAddFunctionTable'));
    asm.bind(registered);

    asm.bind(loop);
    asm.mov(rbx, ctx(context.rsp));
    asm.cmp(rbx, teb(tebField.stackLimit));
    asm.j('b', finish);
    asm.mov(rax, teb(tebField.stackBase));
    asm.sub(rax, 8);
    asm.cmp(rbx, rax);
    asm.j('a', finish);
    asm.mov(rcx, ctx(context.rip));
    asm.lea(rdx, at(rsp, walk.imageBase));
    asm.xor(r8d, r8d);
    asm.call(environment.ntdllImport('RtlLookupFunctionEntry'));
    asm.mov(r12, rax); // PRUNTIME_FUNCTION
    asm.mov(r13, ctx(context.rip));
    asm.mov(rbp, ctx(context.rbp));
    asm.test(rax, rax);
    asm.j('ne', hasEntry);
    // No entry: a leaf, whose return address is on top of the stack.
    asm.mov(rax, at(rbx));
    asm.mov(ctx(context.rip), rax);
    asm.add(rbx, 8);
    asm.mov(ctx(context.rsp), rbx);
    asm.jmp(measured);

    asm.bind(hasEntry);
    asm.mov(rcx, at(rsp, walk.imageBase));
    asm.mov(rdx, r12);
    asm.lea(r8, ctx(0));
    asm.call(environment.predictUnwind);
    asm.test(eax, eax);
    asm.j('e', finish);
    asm.xor(ecx, ecx); // UNW_FLAG_NHANDLER
    asm.mov(at(rsp, SAVED_RBP_POINTER), rcx);
    asm.mov(rdx, at(rsp, walk.imageBase));
    asm.mov(r8, r13);
    asm.mov(r9, r12);
    asm.lea(rax, ctx(0));
    asm.mov(at(rsp, 0x20), rax);
    asm.lea(rax, at(rsp, walk.handlerData));
    asm.mov(at(rsp, 0x28), rax);
    asm.lea(rax, at(rsp, walk.establisherFrame));
    asm.mov(at(rsp, 0x30), rax);
    asm.lea(rax, at(rsp, walk.contextPointers));
    asm.mov(at(rsp, 0x38), rax);
    asm.call(environment.ntdllImport('RtlVirtualUnwind'));
    // The walk goes up, and stays inside the stack.
    asm.mov(r9, ctx(context.rsp));
    asm.cmp(r9, rbx);
    asm.j('be', finish);
    asm.cmp(r9, teb(tebField.stackBase));
    asm.j('a', finish);

    // r10: the cache entry of the address that was just left; r11: its tag.
    asm.mov(eax, r13d);
    asm.and(eax, WALK_CACHE_COUNT - 1);
    asm.mov(r10, environment.linkSlots.walkCache);
    asm.lea(r10, indexed(r10, rax, 8));
    asm.mov(r11, r13);
    asm.shr(r11, INDEX_BITS);
    asm.mov(rax, at(r10));
    asm.shr(rax, TAG_SHIFT);
    asm.cmp(rax, r11);
    asm.j('e', measured); // known already, one way or the other
    asm.shl(r11, TAG_SHIFT);

    // What the frame is measured from is known only if its unwind data, and nothing else, led the unwinder to where it
    // came.
    asm.cmp(r9, ctx(prediction.callerRsp));
    asm.j('ne', notCacheable);
    asm.mov(rax, ctx(prediction.measuredFrom));
    asm.cmp(eax, prediction.fromElsewhere);
    asm.j('e', notCacheable);
    asm.or(r11, rax);
    asm.test(eax, eax);
    asm.j('e', measuredFromRsp);
    asm.mov(rbx, rbp);
    asm.bind(measuredFromRsp);
    // A plain frame: the caller's rip was on top of the caller's stack (not so for a machine frame).
    asm.mov(rax, at(r9, -8));
    asm.cmp(rax, ctx(context.rip));
    asm.j('ne', notCacheable);
    asm.mov(rax, r9);
    asm.sub(rax, rbx);
    asm.j('be', notCacheable);
    asm.test(eax, 7);
    asm.j('ne', notCacheable);
    asm.shr(rax, 3);
    asm.cmp(rax, DISTANCE_MASK);
    asm.j('a', notCacheable);
    asm.shl(rax, DISTANCE_SHIFT);
    asm.or(rax, HAS_DISTANCE);
    asm.or(r11, rax);
    asm.mov(edx, RBP_NOT_SAVED);
    asm.movsxd(rdx, edx);
    asm.mov(rcx, at(rsp, SAVED_RBP_POINTER));
    asm.test(rcx, rcx);
    asm.j('e', rbpStays);
    asm.sub(rcx, r9);
    asm.test(ecx, 7);
    asm.j('ne', notCacheable);
    asm.sar(rcx, 3);
    asm.cmp(rcx, 1023);
    asm.j('g', notCacheable);
    asm.cmp(rcx, -1023);
    asm.j('l', notCacheable);
    asm.mov(rdx, rcx);
    asm.jmp(store);
    asm.bind(rbpStays);
    asm.cmp(rbp, ctx(context.rbp)); // changed, and nobody says from where
    asm.j('ne', notCacheable);
    asm.bind(store);
    asm.and(edx, (1 << DISTANCE_SHIFT) - 1);
    asm.or(r11, rdx);
    // The agent's own code stays as it is: a hooked function's stacks lead through its hook.
    const keep = asm.label('keep');
    asm.lea(rax, relative(environment.imageBase));
    asm.cmp(at(rsp, walk.imageBase), rax);
    asm.j('e', keep);
    // Else only an image keeps its code for as long as it is mapped (and its unmapping empties the cache).
    asm.mov(r12, r10);
    asm.mov(rbx, r11);
    asm.mov(rcx, -1n);
    asm.mov(rdx, r13);
    asm.xor(r8d, r8d); // MemoryBasicInformation
    asm.lea(r9, at(rsp, walk.memoryInformation));
    asm.movImmediate64(at(rsp, 0x20), 0x30);
    asm.movImmediate64(at(rsp, 0x28), 0);
    asm.call(environment.ntdllImport('NtQueryVirtualMemory'));
    asm.mov(r10, r12);
    asm.mov(r11, rbx);
    asm.test(eax, eax);
    asm.j('ne', notCacheable);
    asm.cmpImmediate32(at(rsp, walk.memoryInformation + 0x28), MEM_IMAGE); // DWORD Type
    asm.j('ne', notCacheable);
    asm.bind(keep);
    asm.mov(at(r10), r11);
    asm.jmp(measured);
    asm.bind(notCacheable);
    asm.shr(r11, TAG_SHIFT);
    asm.shl(r11, TAG_SHIFT);
    asm.mov(at(r10), r11);

    asm.bind(measured);
    asm.mov(rax, ctx(context.rip));
    asm.test(rax, rax);
    asm.j('e', finish);
    asm.mov(indexed(rdi, rsi, 8), rax);
    asm.add(esi, 1);
    asm.cmp(esi, MAXIMUM_FRAMES);
    asm.j('b', loop);

    asm.bind(finish);
    asm.mov(eax, at(rsp, walk.lastError));
    asm.mov(teb(tebField.lastErrorValue), eax);
    asm.test(r15, r15);
    asm.j('e', released);
    asm.movImmediate32(at(r15), 0);
    asm.bind(released);
    asm.mov(eax, esi);
    epilogue();

    asm.bind(nested);
    asm.lockInc32(at(r14, header.nestedWalks));
    asm.mov(eax, esi);
    epilogue();
  });
}

/** KUSER_SHARED_DATA.SystemTime: the FILETIME of now, to the clock tick, without a call. */
export const SYSTEM_TIME: Memory = absolute(0x7ffe_0014);
