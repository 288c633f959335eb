import { header, MAXIMUM_FRAMES, WALKER_COUNT } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, teb } from '../../asm/operands.ts';
import {
  eax,
  ecx,
  edx,
  esi,
  r12,
  r13,
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
import { type FramedFunction, framedFunction, savedRegisterOffset } from '../abi/framed-function.ts';
import { emitQueryMemory, memoryInformation, PAGE_EXECUTE_ANY } from '../abi/memory-information.ts';
import { tebField } from '../abi/teb.ts';
import { emitCacheFrame } from './cache-frame.ts';
import { captureFrame } from './capture-frame.ts';
import { context } from './context.ts';
import { emitRegisterFrames, type FramesEnvironment } from './register-frames.ts';
import { contextField, savedRbpPointer, unwinderFrame, walk } from './unwinder-frame.ts';

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
  /** {@link emitIsBeingDone} */
  readonly isBeingDone: Label;
}

/**
 * Emits `u32 walkWithUnwinder(u64* frames, u64* returnAddress, captureStack's rsp)`: walks with the documented
 * unwinder, fills the walk cache, and returns the number of frames, at least 1. unwinder-frame.ts lists the registers
 * that the stages share.
 */
export function emitWalkWithUnwinder(asm: Assembler, begin: Label, environment: WalkEnvironment): FramedFunction {
  return framedFunction(asm, begin, unwinderFrame, (epilogue) => {
    const [nested, step, hasEntry, caller, finish, go, noCode] = asm.labels(
      'nested',
      'step',
      'hasEntry',
      'caller',
      'finish',
      'go',
      'noCode',
    );
    emitTakeFirstFrame(asm);
    asm.mov(r14, environment.linkSlots.ledger);
    emitMarkWalker(asm, nested);
    asm.lockInc32(at(r14, header.slowWalks));
    asm.mov(eax, teb(tebField.lastErrorValue));
    asm.mov(at(rsp, walk.lastError), eax);
    emitLoadContext(asm);
    emitRegisterFramesOnce(asm, environment);

    asm.bind(step);
    emitUnlessOnStack(asm, finish);
    emitWhenInGo(asm, go, environment);
    emitNoteBytecodeWhereAsked(asm, finish, environment);
    emitLookUpEntry(asm, environment);
    asm.j('ne', hasEntry);
    emitLeaveLeaf(asm, noCode, environment);
    asm.jmp(caller);
    asm.bind(hasEntry);
    emitUnlessSafe(asm, finish, environment);
    emitCallUnwinder(asm, environment);
    emitUnlessUpwards(asm, finish);
    emitCacheFrame(asm, caller, environment);
    asm.bind(caller);
    asm.mov(rax, contextField(context.rip));
    asm.test(rax, rax);
    asm.j('e', finish);
    asm.mov(indexed(rdi, rsi, 8), rax);
    asm.add(esi, 1);
    asm.cmp(esi, MAXIMUM_FRAMES);
    asm.j('b', step);

    asm.bind(finish);
    asm.mov(eax, at(rsp, walk.lastError));
    asm.mov(teb(tebField.lastErrorValue), eax);
    emitUnmarkWalker(asm);
    asm.mov(eax, esi);
    epilogue();

    asm.bind(go);
    emitWalkGo(asm, environment);
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

/** The first frame is the return address at rdx. The frames go to rcx. Keeps rdx and r8. */
function emitTakeFirstFrame(asm: Assembler): void {
  asm.mov(rdi, rcx);
  asm.mov(rax, at(rdx));
  asm.mov(at(rdi), rax);
  asm.mov(esi, 1);
}

/**
 * Marks the thread as one that walks. The unwinder may wait for a lock, and the wait may be a hooked call: a thread
 * that has its mark already goes back by `nested`. Another thread's mark may be in the place; then this one walks
 * without a mark. Keeps rdx and r8.
 */
function emitMarkWalker(asm: Assembler, nested: Label): void {
  const marked = asm.label('marked');
  asm.mov(r9d, teb(tebField.threadId));
  asm.mov(eax, r9d);
  asm.shr(eax, 2);
  asm.and(eax, WALKER_COUNT - 1);
  asm.lea(r15, indexed(r14, rax, 4, header.walkers));
  asm.cmp(r9d, at(r15));
  asm.j('e', nested);
  asm.xor(eax, eax);
  asm.lockCmpxchg(at(r15), r9d);
  asm.j('e', marked);
  asm.xor(r15d, r15d);
  asm.bind(marked);
}

/** Takes the mark back, if there is one. */
function emitUnmarkWalker(asm: Assembler): void {
  const unmarked = asm.label('unmarked');
  asm.test(r15, r15);
  asm.j('e', unmarked);
  asm.movImmediate32(at(r15), 0);
  asm.bind(unmarked);
}

/**
 * Fills the CONTEXT with the registers as they were when the hook was entered: captureStack has saved the non-volatile
 * ones in its frame at r8, and its caller goes on behind the return address at rdx. Clobbers rax.
 */
function emitLoadContext(asm: Assembler): void {
  asm.movImmediate32(contextField(context.contextFlags), CONTEXT_FULL);
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
    asm.mov(contextField(field), rax);
  }
  asm.mov(rax, at(rdx));
  asm.mov(contextField(context.rip), rax);
  asm.lea(rax, at(rdx, 8));
  asm.mov(contextField(context.rsp), rax);
}

/** Registers the agent's frames with the unwinder, once, as soon as the process has a heap for that. */
function emitRegisterFramesOnce(asm: Assembler, environment: FramesEnvironment): void {
  const registered = asm.label('registered');
  asm.mov(rax, teb(tebField.peb));
  asm.cmp(at(rax, PEB_PROCESS_HEAP), 0);
  asm.j('e', registered);
  asm.xor(eax, eax);
  asm.mov(ecx, 1);
  asm.lockCmpxchg(at(r14, header.unwindRegistered), ecx);
  asm.j('ne', registered);
  emitRegisterFrames(asm, at(rsp, walk.handlerData), environment);
  asm.bind(registered);
}

/** `rbx = the frame's rsp`. Jumps to `outside` unless it lies in the stack that the TEB knows. Clobbers rax. */
function emitUnlessOnStack(asm: Assembler, outside: Label): void {
  asm.mov(rbx, contextField(context.rsp));
  asm.cmp(rbx, teb(tebField.stackLimit));
  asm.j('b', outside);
  asm.mov(rax, teb(tebField.stackBase));
  asm.sub(rax, 8);
  asm.cmp(rbx, rax);
  asm.j('a', outside);
}

/** Jumps to `go` where the frame's address lies in the program's Go code. Clobbers rax, rcx. */
function emitWhenInGo(asm: Assembler, go: Label, { linkSlots }: WalkEnvironment): void {
  asm.mov(rcx, contextField(context.rip));
  asm.mov(rax, rcx);
  asm.sub(rax, linkSlots.goCode);
  asm.cmp(rax, linkSlots.goCodeSizeBytes);
  asm.j('b', go);
}

/** Adds all callers of a frame in Go's code, which have no unwind data. */
function emitWalkGo(asm: Assembler, environment: WalkEnvironment): void {
  asm.mov(rcx, rdi);
  asm.mov(edx, esi);
  asm.mov(r8, contextField(context.rbp));
  asm.call(environment.walkGoFrames);
  asm.mov(esi, eax);
}

/**
 * Notes the instruction of an interpreted function behind its frame, in a program of which that is asked. Jumps to
 * `full` when there are as many frames as a stack may have.
 */
function emitNoteBytecodeWhereAsked(asm: Assembler, full: Label, environment: WalkEnvironment): void {
  const noted = asm.label('noted');
  asm.cmp(environment.linkSlots.notesBytecode, 0);
  asm.j('e', noted);
  asm.mov(rcx, rdi);
  asm.mov(edx, esi);
  asm.mov(r8, rbx);
  asm.mov(r9, contextField(context.rbp));
  asm.call(environment.noteBytecode);
  asm.mov(esi, eax);
  asm.cmp(esi, MAXIMUM_FRAMES);
  asm.j('ae', full);
  asm.bind(noted);
}

/** Loads r12, r13 and rbp for the step. The flags are those of a test of r12: 0 where there are no unwind data. */
function emitLookUpEntry(asm: Assembler, environment: WalkEnvironment): void {
  asm.mov(rcx, contextField(context.rip));
  asm.lea(rdx, at(rsp, walk.imageBase));
  asm.xor(r8d, r8d);
  asm.call(environment.ntdllImport('RtlLookupFunctionEntry'));
  asm.mov(r12, rax);
  asm.mov(r13, contextField(context.rip));
  asm.mov(rbp, contextField(context.rbp));
  asm.test(rax, rax);
}

/**
 * Steps out of a leaf: a function without unwind data, whose return address is on top of the stack. Below code that
 * breaks the rules for unwind data, the address in r13 may be any word of the stack. Jumps to `noCode` unless code is
 * there.
 */
function emitLeaveLeaf(asm: Assembler, noCode: Label, environment: WalkEnvironment): void {
  emitQueryMemory(asm, environment, r13, walk.memoryInformation);
  asm.test(eax, eax);
  asm.j('ne', noCode);
  asm.mov(eax, at(rsp, walk.memoryInformation + memoryInformation.protect));
  asm.test(eax, PAGE_EXECUTE_ANY);
  asm.j('e', noCode);
  asm.mov(rax, at(rbx));
  asm.mov(contextField(context.rip), rax);
  asm.add(rbx, 8);
  asm.mov(contextField(context.rsp), rbx);
}

/** Jumps to `unsafe` where the unwinder would read beyond the stack, and predicts where it should come out. */
function emitUnlessSafe(asm: Assembler, unsafe: Label, environment: WalkEnvironment): void {
  asm.mov(rcx, at(rsp, walk.imageBase));
  asm.mov(rdx, r12);
  asm.lea(r8, contextField(0));
  asm.call(environment.predictUnwind);
  asm.test(eax, eax);
  asm.j('e', unsafe);
}

/** Calls RtlVirtualUnwind, which steps to the caller and says from where it took the caller's registers. */
function emitCallUnwinder(asm: Assembler, environment: WalkEnvironment): void {
  asm.xor(ecx, ecx); // UNW_FLAG_NHANDLER
  asm.mov(savedRbpPointer, rcx);
  asm.mov(rdx, at(rsp, walk.imageBase));
  asm.mov(r8, r13);
  asm.mov(r9, r12);
  asm.lea(rax, contextField(0));
  asm.mov(at(rsp, 0x20), rax);
  asm.lea(rax, at(rsp, walk.handlerData));
  asm.mov(at(rsp, 0x28), rax);
  asm.lea(rax, at(rsp, walk.establisherFrame));
  asm.mov(at(rsp, 0x30), rax);
  asm.lea(rax, at(rsp, walk.contextPointers));
  asm.mov(at(rsp, 0x38), rax);
  asm.call(environment.ntdllImport('RtlVirtualUnwind'));
}

/** `r9 = the caller's rsp`. Jumps to `astray` unless the step went up, and stayed inside the stack. */
function emitUnlessUpwards(asm: Assembler, astray: Label): void {
  asm.mov(r9, contextField(context.rsp));
  asm.cmp(r9, rbx);
  asm.j('be', astray);
  asm.cmp(r9, teb(tebField.stackBase));
  asm.j('a', astray);
}
