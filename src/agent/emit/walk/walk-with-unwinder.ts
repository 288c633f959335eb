import { header, MAXIMUM_FRAMES, WALK_CACHE_COUNT, WALKER_COUNT } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, relative, teb } from '../../asm/operands.ts';
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
  rsi,
  rsp,
} from '../../asm/registers.ts';
import { type FramedFunction, framedFunction, type FrameShape, savedRegisterOffset } from '../abi/framed-function.ts';
import { MEM_IMAGE, memoryInformation, PAGE_EXECUTE_ANY } from '../abi/memory-information.ts';
import { tebField } from '../abi/teb.ts';
import { captureFrame } from './capture-frame.ts';
import { context, prediction } from './context.ts';
import { emitRegisterFrames, type FramesEnvironment } from './register-frames.ts';
import { CACHE_INDEX_BITS, cacheEntry } from './walk-cache.ts';

const PEB_PROCESS_HEAP = 0x30; // PVOID ProcessHeap

const CONTEXT_FULL = 0x10_000b;

/** Labels and options of the code that walks stacks. */
export interface WalkEnvironment extends FramesEnvironment {
  /** Every stack is walked with the unwinder too, and differences are counted: for tests. */
  readonly checked: boolean;
  /** {@link emitPredictUnwind} */
  readonly predictUnwind: Label;
  /** {@link emitNoteBytecode} */
  readonly noteBytecode: Label;
  /** {@link emitWalkGoFrames} */
  readonly walkGoFrames: Label;
}

const walk = {
  // 0x00 home space, 0x20 four stack arguments of RtlVirtualUnwind
  imageBase: 0x40,
  handlerData: 0x48,
  establisherFrame: 0x50,
  lastError: 0x58,
  memoryInformation: 0x60, // MEMORY_BASIC_INFORMATION
  contextPointers: 0x90, // KNONVOLATILE_CONTEXT_POINTERS, 0x100 bytes
  context: 0x190, // 16-byte aligned
} as const;
const unwinderFrame: FrameShape = {
  pushes: [rbx, rbp, rsi, rdi, r12, r13, r14, r15],
  sizeBytes: walk.context + context.sizeBytes + 8,
};
const SAVED_RBP_POINTER = walk.contextPointers + 0x80 + 5 * 8; // PDWORD64 IntegerContext[5]

/**
 * Emits `u32 walkWithUnwinder(u64* frames, u64* returnAddress, captureStack's rsp)`: walks with the documented
 * unwinder, fills the walk cache, and returns the number of frames, at least 1.
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
      noCode,
      go,
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
      'noCode',
      'go',
    );
    const ctx = (field: number) => at(rsp, walk.context + field);
    /** Asks for the region around the address that is left, r13. The status is in eax. */
    const queryMemory = () => {
      asm.mov(rcx, -1n);
      asm.mov(rdx, r13);
      asm.xor(r8d, r8d); // MemoryBasicInformation
      asm.lea(r9, at(rsp, walk.memoryInformation));
      asm.movImmediate64(at(rsp, 0x20), memoryInformation.sizeBytes);
      asm.movImmediate64(at(rsp, 0x28), 0);
      asm.call(environment.ntdllImport('NtQueryVirtualMemory'));
    };

    asm.mov(rdi, rcx); // frames
    asm.mov(rax, at(rdx));
    asm.mov(at(rdi), rax);
    asm.mov(esi, 1); // frames so far
    asm.mov(r14, environment.linkSlots.ledger);

    // The unwinder may wait for a lock, and the wait may be a hooked call. A thread that is already here goes back.
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
    asm.xor(r15d, r15d); // another thread's mark is in the place: walk without a mark
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

    // The agent's frames are registered with the unwinder as soon as the process has a heap for it.
    asm.mov(rax, teb(tebField.peb));
    asm.cmp(at(rax, PEB_PROCESS_HEAP), 0);
    asm.j('e', registered);
    asm.xor(eax, eax);
    asm.mov(ecx, 1);
    asm.lockCmpxchg(at(r14, header.unwindRegistered), ecx);
    asm.j('ne', registered);
    emitRegisterFrames(asm, at(rsp, walk.handlerData), environment);
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
    asm.mov(rax, rcx);
    asm.sub(rax, environment.linkSlots.goCode);
    asm.cmp(rax, environment.linkSlots.goCodeSizeBytes);
    asm.j('b', go);
    const bytecodeNoted = asm.label('bytecodeNoted');
    asm.cmp(environment.linkSlots.notesBytecode, 0);
    asm.j('e', bytecodeNoted);
    asm.mov(rcx, rdi);
    asm.mov(edx, esi);
    asm.mov(r8, rbx);
    asm.mov(r9, ctx(context.rbp));
    asm.call(environment.noteBytecode);
    asm.mov(esi, eax);
    asm.cmp(esi, MAXIMUM_FRAMES);
    asm.j('ae', finish);
    asm.bind(bytecodeNoted);
    asm.mov(rcx, ctx(context.rip));
    asm.lea(rdx, at(rsp, walk.imageBase));
    asm.xor(r8d, r8d);
    asm.call(environment.ntdllImport('RtlLookupFunctionEntry'));
    asm.mov(r12, rax); // PRUNTIME_FUNCTION
    asm.mov(r13, ctx(context.rip));
    asm.mov(rbp, ctx(context.rbp));
    asm.test(rax, rax);
    asm.j('ne', hasEntry);
    // No entry: a leaf, whose return address is on top of the stack. Below code that breaks the rules for unwind data,
    // the address may be any word of the stack: it is no frame if no code is there.
    queryMemory();
    asm.test(eax, eax);
    asm.j('ne', noCode);
    asm.mov(eax, at(rsp, walk.memoryInformation + memoryInformation.protect));
    asm.test(eax, PAGE_EXECUTE_ANY);
    asm.j('e', noCode);
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
    asm.shr(r11, CACHE_INDEX_BITS);
    asm.mov(rax, at(r10));
    asm.shr(rax, cacheEntry.tagShift);
    asm.cmp(rax, r11);
    asm.j('e', measured); // known already, one way or the other
    asm.shl(r11, cacheEntry.tagShift);

    // The prediction holds only if the unwinder came out where the unwind data led it. Then it is known what the frame
    // is measured from.
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
    asm.cmp(rax, cacheEntry.distanceMask);
    asm.j('a', notCacheable);
    asm.shl(rax, cacheEntry.distanceShift);
    asm.or(rax, cacheEntry.hasDistance);
    asm.or(r11, rax);
    asm.mov(edx, cacheEntry.rbpNotSaved);
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
    asm.cmp(rbp, ctx(context.rbp)); // it changed, and the unwinder does not say from where
    asm.j('ne', notCacheable);
    asm.bind(store);
    asm.and(edx, (1 << cacheEntry.distanceShift) - 1);
    asm.or(r11, rdx);
    // The agent's own code stays as it is, and the stacks of a hooked function lead through its hook.
    const keep = asm.label('keep');
    asm.lea(rax, relative(environment.imageBase));
    asm.cmp(at(rsp, walk.imageBase), rax);
    asm.j('e', keep);
    // Other code stays only in an image that is mapped, and unmapping an image clears the cache.
    asm.mov(r12, r10);
    asm.mov(rbx, r11);
    queryMemory();
    asm.mov(r10, r12);
    asm.mov(r11, rbx);
    asm.test(eax, eax);
    asm.j('ne', notCacheable);
    asm.cmpImmediate32(at(rsp, walk.memoryInformation + memoryInformation.type), MEM_IMAGE);
    asm.j('ne', notCacheable);
    asm.bind(keep);
    asm.mov(at(r10), r11);
    asm.jmp(measured);
    asm.bind(notCacheable);
    asm.shr(r11, cacheEntry.tagShift);
    asm.shl(r11, cacheEntry.tagShift);
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

    asm.bind(go);
    asm.mov(rcx, rdi);
    asm.mov(edx, esi);
    asm.mov(r8, ctx(context.rbp));
    asm.call(environment.walkGoFrames);
    asm.mov(esi, eax);
    asm.jmp(finish);

    asm.bind(noCode);
    asm.sub(esi, 1);
    asm.j('ne', finish);
    asm.mov(esi, 1); // the first was called from, whatever it is
    asm.jmp(finish);

    asm.bind(nested);
    asm.lockInc32(at(r14, header.nestedWalks));
    asm.mov(eax, esi);
    epilogue();
  });
}
