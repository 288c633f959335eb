import { header, MAXIMUM_FRAMES, WALK_CACHE_COUNT } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, teb } from '../../asm/operands.ts';
import {
  eax,
  ecx,
  edx,
  r12,
  r13,
  r14,
  r14d,
  r15,
  r8,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
} from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { type FramedFunction, framedFunction } from '../abi/framed-function.ts';
import { tebField } from '../abi/teb.ts';
import { emitAppendRequest } from './append-request.ts';
import { captureFrame, CHECK_FRAMES, FRAMES, OPENED_TYPE, POOL_MUST_GROW } from './capture-frame.ts';
import { emitHashStep, HASH_MULTIPLIER, HASH_SEED } from './stack-hash.ts';
import { CACHE_INDEX_BITS, cacheEntry } from './walk-cache.ts';
import type { WalkEnvironment } from './walk-with-unwinder.ts';

/** The routines that keep a stack: stack-pool.ts, grow-ledger.ts. */
interface Pools {
  readonly internStack: Label;
  readonly growStackPool: Label;
}

/*
 * The stages of the quick walk share these registers:
 *
 * rsi  where the return address lies
 * rbx  where the first one does: kept for the slow walk
 * rbp  as the frame's function has it
 * rdi  the walk cache
 * r12  the last word of the stack
 * r13  the hash so far
 * r14  how many frames there are so far, in the frame at FRAMES
 * r15  the multiplier of the hash
 */

/**
 * Emits `u32 captureStack(u64* returnAddress, u32 openedType)`: walks the stack from the given return address up, and
 * returns the stack's id in the pool, or 0 if the pool has no room. The type is the index of what the call opened, and
 * 0 for any other call. The caller and its callers in the agent must not have changed any non-volatile register since
 * the hook was entered.
 *
 * The documented unwinder (RtlLookupFunctionEntry, RtlVirtualUnwind) is right, but it takes up to 3 µs for 11 frames.
 * So the first walk through a return address asks the unwinder and remembers the frame's size in the walk cache. Later
 * walks read one 64-bit word a frame.
 */
export function emitCaptureStack(
  asm: Assembler,
  begin: Label,
  walkWithUnwinder: Label,
  { internStack, growStackPool }: Pools,
  environment: WalkEnvironment,
): FramedFunction {
  return framedFunction(asm, begin, captureFrame, (epilogue) => {
    const [next, slow, hashed, done, intern, grow] = asm.labels('next', 'slow', 'hashed', 'done', 'intern', 'grow');
    emitBegin(asm, environment);
    // On a stack that the thread's TEB does not know, only the return address is safe to read.
    asm.cmp(rsi, teb(tebField.stackLimit));
    asm.j('b', slow);
    asm.cmp(rsi, r12);
    asm.j('a', slow);
    asm.bind(next);
    emitAddFrame(asm, done);
    emitStepByCache(asm, slow);
    asm.jmp(next);

    asm.bind(slow);
    emitWalkSlowly(asm, walkWithUnwinder, environment);
    emitHashAgain(asm);
    if (environment.checked) asm.jmp(hashed);
    asm.bind(done);
    if (environment.checked) emitCheck(asm, walkWithUnwinder, environment);
    asm.bind(hashed);
    asm.cmp(at(rsp, OPENED_TYPE), 0);
    asm.j('e', intern);
    emitAppendRequest(asm, intern, environment);
    asm.bind(intern);
    asm.lea(rcx, at(rsp, FRAMES));
    asm.mov(rdx, at(rsp, OPENED_TYPE));
    asm.shl(edx, 16);
    asm.or(edx, r14d);
    asm.mov(r8, r13);
    asm.call(internStack);
    asm.cmp(eax, POOL_MUST_GROW | 0);
    asm.j('e', grow);
    emitErase(asm);
    epilogue();
    asm.bind(grow);
    asm.call(growStackPool);
    asm.jmp(intern);
  });
}

/** Loads the registers. The return address lies at rcx, and rdx has the opened type. */
function emitBegin(asm: Assembler, { linkSlots }: LinkedEnvironment): void {
  asm.mov(rsi, rcx);
  asm.mov(rbx, rcx);
  asm.mov(rdi, linkSlots.walkCache);
  asm.mov(r12, teb(tebField.stackBase));
  asm.sub(r12, 8);
  asm.mov(at(rsp, OPENED_TYPE), rdx);
  emitBeginHash(asm);
  asm.mov(r15, HASH_MULTIPLIER);
  asm.xor(r14d, r14d);
}

/**
 * Adds the return address at rsi to the frames and to the hash, and leaves it in rax. Jumps to `done` when the stack
 * ends there, or has as many frames as it may have. Clobbers rdx.
 */
function emitAddFrame(asm: Assembler, done: Label): void {
  asm.mov(rax, at(rsi));
  asm.test(rax, rax);
  asm.j('e', done);
  asm.mov(indexed(rsp, r14, 8, FRAMES), rax);
  asm.add(r14, 1);
  emitHashStep(asm, r13, rax, r15, rdx);
  asm.cmp(r14, MAXIMUM_FRAMES);
  asm.j('ae', done);
}

/**
 * Steps from the return address in rax to that of the caller, as the walk cache says. Jumps to `slow` where the cache
 * has no distance for the address, or one that leads out of the stack or not upwards. Clobbers rax, rcx, rdx, r8.
 */
function emitStepByCache(asm: Assembler, slow: Label): void {
  const [baseKnown, rbpKept] = asm.labels('baseKnown', 'rbpKept');
  asm.mov(edx, eax);
  asm.and(edx, WALK_CACHE_COUNT - 1);
  asm.mov(rdx, indexed(rdi, rdx, 8));
  asm.shr(rax, CACHE_INDEX_BITS);
  asm.mov(rcx, rdx);
  asm.shr(rcx, cacheEntry.tagShift);
  asm.cmp(rcx, rax);
  asm.j('ne', slow);
  asm.test(edx, cacheEntry.hasDistance);
  asm.j('e', slow);
  asm.mov(ecx, edx);
  asm.shr(ecx, cacheEntry.distanceShift);
  asm.and(ecx, cacheEntry.distanceMask);
  asm.lea(r8, at(rsi, 8));
  asm.test(edx, cacheEntry.fromRbp);
  asm.j('e', baseKnown);
  asm.mov(r8, rbp);
  asm.bind(baseKnown);
  asm.lea(r8, indexed(r8, rcx, 8, -8)); // where the caller's return address lies
  asm.cmp(r8, rsi);
  asm.j('be', slow);
  asm.cmp(r8, r12);
  asm.j('a', slow);
  asm.shl(edx, 32 - cacheEntry.distanceShift);
  asm.sar(edx, 32 - cacheEntry.distanceShift);
  asm.cmp(edx, cacheEntry.rbpNotSaved);
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
}

/**
 * Walks the stack with the unwinder, from its first return address on. The cache never has Go's code: where the quick
 * walk has come there, the callers are found without the unwinder. Leaves the number of frames in r14.
 */
function emitWalkSlowly(asm: Assembler, walkWithUnwinder: Label, environment: WalkEnvironment): void {
  const [unwind, walked] = asm.labels('unwind', 'walked');
  asm.test(r14d, r14d);
  asm.j('e', unwind);
  asm.mov(rax, indexed(rsp, r14, 8, FRAMES - 8));
  asm.sub(rax, environment.linkSlots.goCode);
  asm.cmp(rax, environment.linkSlots.goCodeSizeBytes);
  asm.j('ae', unwind);
  asm.lea(rcx, at(rsp, FRAMES));
  asm.mov(edx, r14d);
  asm.mov(r8, rbp);
  asm.call(environment.walkGoFrames);
  asm.jmp(walked);
  asm.bind(unwind);
  emitCallWalkWithUnwinder(asm, walkWithUnwinder, FRAMES);
  asm.bind(walked);
  asm.mov(r14d, eax);
}

/** Makes the hash of all r14 frames. Clobbers rax, rcx, rdx. */
function emitHashAgain(asm: Assembler): void {
  const next = asm.label('next');
  asm.mov(rdx, at(rsp, OPENED_TYPE));
  emitBeginHash(asm);
  asm.mov(r15, HASH_MULTIPLIER);
  asm.xor(ecx, ecx);
  asm.bind(next);
  asm.mov(rax, indexed(rsp, rcx, 8, FRAMES));
  emitHashStep(asm, r13, rax, r15, rdx);
  asm.add(rcx, 1);
  asm.cmp(rcx, r14);
  asm.j('b', next);
}

/** Begins the hash in r13 with the type in edx, in bits that no address of user space has. Clobbers rdx. */
function emitBeginHash(asm: Assembler): void {
  asm.mov(r13, HASH_SEED);
  asm.shl(rdx, 48);
  asm.xor(r13, rdx);
}

/** Addresses that are erased in one round; a part of {@link MAXIMUM_FRAMES}. */
const ERASED_AT_ONCE = 8;

/**
 * Erases the list of return addresses, r14 of them: on a stack that is searched for return addresses at the exit, it
 * would look like calls that have not returned. Keeps eax.
 */
function emitErase(asm: Assembler): void {
  const erase = asm.label('erase');
  asm.xor(ecx, ecx);
  asm.lea(rdx, at(rsp, FRAMES));
  asm.bind(erase);
  for (let index = 0; index < ERASED_AT_ONCE; index++) asm.mov(at(rdx, index * 8), rcx);
  asm.add(rdx, ERASED_AT_ONCE * 8);
  asm.sub(r14, ERASED_AT_ONCE);
  asm.j('a', erase);
}

/** `walkWithUnwinder(frames, returnAddress, our frame)`. */
function emitCallWalkWithUnwinder(asm: Assembler, walkWithUnwinder: Label, frames: number): void {
  asm.lea(rcx, at(rsp, frames));
  asm.mov(rdx, rbx);
  asm.mov(r8, rsp);
  asm.call(walkWithUnwinder);
}

/** Compares the frames from the cache with those from the unwinder, and counts a difference. */
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
