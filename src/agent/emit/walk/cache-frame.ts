import { WALK_CACHE_COUNT } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, relative } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r11, r12, r13, r13d, r9, rax, rbp, rbx, rcx, rdx, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { emitQueryMemory, MEM_IMAGE, memoryInformation } from '../abi/memory-information.ts';
import { context, prediction } from './context.ts';
import type { FramesEnvironment } from './register-frames.ts';
import { contextField, savedRbpPointer, walk } from './unwinder-frame.ts';
import { CACHE_INDEX_BITS, cacheEntry } from './walk-cache.ts';

/**
 * Emits the part of `walkWithUnwinder` that keeps a step of the unwinder in the walk cache (walk-cache.ts), so that
 * later walks through the address in r13 do without it. The caller's rsp is in r9. Jumps to `done`, or ends there, in
 * either case with an entry for the address. Clobbers rbx and r12, and the volatile registers.
 */
export function emitCacheFrame(asm: Assembler, done: Label, environment: FramesEnvironment): void {
  const notCacheable = asm.label('notCacheable');
  emitFindEntry(asm, done, environment);
  emitChooseBase(asm, notCacheable);
  emitPackDistance(asm, notCacheable);
  emitPackSavedRbp(asm, notCacheable);
  emitUnlessCodeStays(asm, notCacheable, environment);
  asm.mov(at(r10), r11);
  asm.jmp(done);
  asm.bind(notCacheable);
  // The tag alone says that only the unwinder can walk the frame.
  asm.shr(r11, cacheEntry.tagShift);
  asm.shl(r11, cacheEntry.tagShift);
  asm.mov(at(r10), r11);
}

/**
 * `r10 = the cache entry of the address in r13, r11 = an entry with its tag`, for the stages behind this one. Jumps to
 * `known` where the entry has the tag already, with a distance or without one. Clobbers rax.
 */
function emitFindEntry(asm: Assembler, known: Label, { linkSlots }: LinkedEnvironment): void {
  asm.mov(eax, r13d);
  asm.and(eax, WALK_CACHE_COUNT - 1);
  asm.mov(r10, linkSlots.walkCache);
  asm.lea(r10, indexed(r10, rax, 8));
  asm.mov(r11, r13);
  asm.shr(r11, CACHE_INDEX_BITS);
  asm.mov(rax, at(r10));
  asm.shr(rax, cacheEntry.tagShift);
  asm.cmp(rax, r11);
  asm.j('e', known);
  asm.shl(r11, cacheEntry.tagShift);
}

/**
 * `rbx = what the frame is measured from`: its rsp, as before, or its rbp. The prediction says which, but it holds only
 * if the unwinder came out where the unwind data led it. Clobbers rax.
 */
function emitChooseBase(asm: Assembler, notCacheable: Label): void {
  const measuredFromRsp = asm.label('measuredFromRsp');
  asm.cmp(r9, contextField(prediction.callerRsp));
  asm.j('ne', notCacheable);
  asm.mov(rax, contextField(prediction.measuredFrom));
  asm.cmp(eax, prediction.fromElsewhere);
  asm.j('e', notCacheable);
  asm.or(r11, rax);
  asm.test(eax, eax);
  asm.j('e', measuredFromRsp);
  asm.mov(rbx, rbp);
  asm.bind(measuredFromRsp);
}

/** Adds the distance from rbx to the caller's rsp. Clobbers rax. */
function emitPackDistance(asm: Assembler, notCacheable: Label): void {
  // A plain frame: the caller's rip was on top of the caller's stack (not so for a machine frame).
  asm.mov(rax, at(r9, -8));
  asm.cmp(rax, contextField(context.rip));
  asm.j('ne', notCacheable);
  asm.mov(rax, r9);
  asm.sub(rax, rbx);
  asm.j('be', notCacheable);
  asm.test(eax, 7);
  asm.j('ne', notCacheable);
  asm.shr(rax, 3);
  asm.cmp(rax, cacheEntry.distanceMask);
  asm.j('a', notCacheable);
  asm.shl(rax, cacheEntry.distanceShift);
  asm.or(rax, cacheEntry.hasDistance);
  asm.or(r11, rax);
}

/** Adds where the caller's rbp is saved, if the frame's function has saved it. Clobbers rcx, rdx. */
function emitPackSavedRbp(asm: Assembler, notCacheable: Label): void {
  const [rbpStays, pack] = asm.labels('rbpStays', 'pack');
  asm.mov(edx, cacheEntry.rbpNotSaved);
  asm.movsxd(rdx, edx);
  asm.mov(rcx, savedRbpPointer);
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
  asm.jmp(pack);
  asm.bind(rbpStays);
  asm.cmp(rbp, contextField(context.rbp)); // it changed, and the unwinder does not say from where
  asm.j('ne', notCacheable);
  asm.bind(pack);
  asm.and(edx, (1 << cacheEntry.distanceShift) - 1);
  asm.or(r11, rdx);
}

/**
 * Jumps to `replaceable` unless the code at the address in r13 stays as long as the entry does. Keeps r10 and r11, by
 * way of r12 and rbx.
 */
function emitUnlessCodeStays(asm: Assembler, replaceable: Label, environment: FramesEnvironment): void {
  const stays = asm.label('stays');
  // The agent's own code stays as it is, and the stacks of a hooked function lead through its hook.
  asm.lea(rax, relative(environment.imageBase));
  asm.cmp(at(rsp, walk.imageBase), rax);
  asm.j('e', stays);
  // Other code stays only in an image that is mapped, and unmapping an image clears the cache.
  asm.mov(r12, r10);
  asm.mov(rbx, r11);
  emitQueryMemory(asm, environment, r13, walk.memoryInformation);
  asm.mov(r10, r12);
  asm.mov(r11, rbx);
  asm.test(eax, eax);
  asm.j('ne', replaceable);
  asm.cmpImmediate32(at(rsp, walk.memoryInformation + memoryInformation.type), MEM_IMAGE);
  asm.j('ne', replaceable);
  asm.bind(stays);
}
