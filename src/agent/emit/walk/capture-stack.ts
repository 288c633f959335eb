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

/**
 * Emits `u32 captureStack(u64* returnAddress, u32 openedType)`: walks the stack from the given return address up, and
 * returns the stack's id in the pool, or 0 if the pool has no room. The type is the index of what the call opened, and
 * 0 for any other call. The caller and its callers in the agent must not have changed any non-volatile register since
 * the hook was entered.
 *
 * The documented unwinder (RtlLookupFunctionEntry, RtlVirtualUnwind) is right, but it takes up to 3 µs for 11 frames.
 * So the first walk through a return address asks the unwinder and remembers the frame's size in the walk cache. Later
 * walks read one 64-bit word a frame.
 *
 */
export function emitCaptureStack(
  asm: Assembler,
  begin: Label,
  walkWithUnwinder: Label,
  { internStack, growStackPool }: Pools,
  environment: WalkEnvironment,
): FramedFunction {
  return framedFunction(asm, begin, captureFrame, (epilogue) => {
    const [next, done, slow, hashAgain, hashAgainLoop, known, rbpKept, unwind, walked] = asm.labels(
      'next',
      'done',
      'slow',
      'hashAgain',
      'hashAgainLoop',
      'known',
      'rbpKept',
      'unwind',
      'walked',
    );

    asm.mov(rsi, rcx); // where the return address lies
    asm.mov(rbx, rcx); // kept for the slow walk
    asm.mov(rdi, environment.linkSlots.walkCache);
    asm.mov(r12, teb(tebField.stackBase));
    asm.sub(r12, 8);
    asm.mov(at(rsp, OPENED_TYPE), rdx);
    emitBeginHash(asm);
    asm.mov(r15, HASH_MULTIPLIER);
    asm.xor(r14d, r14d); // frames so far
    // On a stack that the thread's TEB does not know, only the return address is safe to read.
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
    asm.j('e', known);
    asm.mov(r8, rbp);
    asm.bind(known);
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
    asm.jmp(next);

    asm.bind(slow);
    // The cache never has Go's code, and its callers are found without the unwinder.
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
    asm.bind(hashAgain);
    asm.mov(rdx, at(rsp, OPENED_TYPE));
    emitBeginHash(asm);
    asm.mov(r15, HASH_MULTIPLIER);
    asm.xor(ecx, ecx);
    asm.bind(hashAgainLoop);
    asm.mov(rax, indexed(rsp, rcx, 8, FRAMES));
    emitHashStep(asm, r13, rax, r15, rdx);
    asm.add(rcx, 1);
    asm.cmp(rcx, r14);
    asm.j('b', hashAgainLoop);
    const [walkedTwice, interned, grow] = asm.labels('walkedTwice', 'interned', 'grow');
    if (environment.checked) asm.jmp(walkedTwice);

    asm.bind(done);
    if (environment.checked) emitCheck(asm, walkWithUnwinder, environment);
    asm.bind(walkedTwice);
    asm.cmp(at(rsp, OPENED_TYPE), 0);
    asm.j('e', interned);
    emitAppendRequest(asm, interned, environment);
    asm.bind(interned);
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
    asm.jmp(interned);
  });
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
