import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory, teb } from '../../asm/operands.ts';
import { eax, edx, r10, r10d, r11, r11d, r8, r9, r9d, rax, rcx, rdx, type Register } from '../../asm/registers.ts';
import { tebField } from '../abi/teb.ts';
import { context, prediction } from './context.ts';

const RUNTIME_FUNCTION_INDIRECT = 1;
const UNW_FLAG_CHAININFO = 4;
const RBP = 5;
/** UNWIND_OP_CODES, winnt.h. UWOP_EPILOG is new in version 2. */
const UWOP_PUSH_NONVOL = 0;
const UWOP_ALLOC_LARGE = 1;
const UWOP_ALLOC_SMALL = 2;
const UWOP_SET_FPREG = 3;
const UWOP_SAVE_NONVOL = 4;
const UWOP_SAVE_NONVOL_FAR = 5;
const UWOP_EPILOG = 6;
const UWOP_SAVE_XMM128 = 8;
const UWOP_SAVE_XMM128_FAR = 9;
const UWOP_PUSH_MACHFRAME = 10;
/** Chained unwind data that are followed. A function has one or two; a ring would never end. */
const MAXIMUM_CHAIN = 32;
/** Versions 1 and 2 have the same layout. Version 3 has another one, which only the system's unwinder knows. */
const KNOWN_VERSION_MAX = 2;
/** Rip, CS, EFLAGS, Rsp and SS; below them there may be an error code. */
const MACHINE_FRAME_SIZE_BYTES = 0x28;
/** More than any offset in a prologue: all codes apply. */
const PAST_PROLOGUE = 0x100;

/*
 * The stages share these registers:
 *
 * rcx  the image that the unwind data count from
 * rdx  the next unwind data to read: a RUNTIME_FUNCTION, then its UNWIND_INFO, then the codes in that
 * r8   the CONTEXT
 *
 * Both of the following are distances from the frame's own rsp.
 */
const [frame, frame32] = [r9, r9d]; // saved registers are measured from here: rsp, or the frame register
const [top, top32] = [r10, r10d]; // rsp after the codes so far

function field(offset: number): Memory {
  return at(r8, offset);
}

/**
 * Emits `u32 predictUnwind(void* imageBase, RUNTIME_FUNCTION*, CONTEXT*)`: follows the unwind data of a frame as
 * RtlVirtualUnwind is going to, and returns whether all that it is going to read lies in the stack. The CONTEXT then
 * holds the expected rsp of the caller, and what it was measured from (see {@link prediction}). A leaf function.
 *
 * RtlVirtualUnwind checks nothing. At the bottom of a Go program's stack the frame register is 0, and the unwind data
 * call it the frame; below code without unwind data any return address is a guess. Either may lead out of the stack,
 * and the agent would cause an access violation in the middle of the program.
 *
 * It predicts nothing of unwind data of a version that is not known, and lets RtlVirtualUnwind decide.
 *
 * https://learn.microsoft.com/cpp/build/exception-handling-x64#struct-unwind_info
 */
export function emitPredictUnwind(asm: Assembler, begin: Label): void {
  const [entry, readCodes, done, unknown, unsafe] = asm.labels('entry', 'readCodes', 'done', 'unknown', 'unsafe');
  asm.align(16);
  asm.bind(begin);
  emitMeasureRoom(asm);
  asm.movImmediate64(field(prediction.chainLeft), MAXIMUM_CHAIN);
  asm.movImmediate64(field(prediction.measuredFrom), prediction.fromRsp);
  asm.xor(frame32, frame32);
  asm.xor(top32, top32);

  asm.bind(entry);
  emitFindUnwindInfo(asm, { entry, unknown, unsafe });
  emitFindCodeOffset(asm, readCodes);
  emitFollowEpilogue(asm, { readCodes, done, unsafe });
  asm.bind(readCodes);
  emitLoadFrame(asm);
  emitFollowCodes(asm, unsafe);
  emitFollowChain(asm, entry, done);

  asm.bind(done);
  emitPop(asm, unsafe); // the return address
  asm.add(top, field(context.rsp));
  asm.mov(field(prediction.callerRsp), top);
  asm.mov(eax, 1);
  asm.ret();
  asm.bind(unknown);
  asm.movImmediate64(field(prediction.measuredFrom), prediction.fromElsewhere);
  asm.movImmediate64(field(prediction.callerRsp), 0);
  asm.mov(eax, 1);
  asm.ret();
  asm.bind(unsafe);
  asm.xor(eax, eax);
  asm.ret();
}

/** Notes how far above the frame's rsp the last word of the stack lies. Clobbers rax. */
function emitMeasureRoom(asm: Assembler): void {
  asm.mov(rax, teb(tebField.stackBase));
  asm.sub(rax, 8);
  asm.sub(rax, field(context.rsp));
  asm.mov(field(prediction.room), rax);
}

/** Goes on only if the word at this distance above rsp is still in the stack. */
function emitCheckRead(asm: Assembler, distance: Register, unsafe: Label): void {
  asm.cmp(distance, field(prediction.room));
  asm.j('a', unsafe);
}

/** Takes one word from the top of the stack. */
function emitPop(asm: Assembler, unsafe: Label): void {
  emitCheckRead(asm, top, unsafe);
  asm.add(top, 8);
}

/**
 * From the RUNTIME_FUNCTION at rdx, or the one that it stands for, to its UNWIND_INFO. Leaves that in rdx, and in r11
 * how far behind the function's beginning the address is. Goes back to `entry` for each step. Clobbers rax.
 */
function emitFindUnwindInfo(
  asm: Assembler,
  { entry, unknown, unsafe }: Record<'entry' | 'unknown' | 'unsafe', Label>,
): void {
  const direct = asm.label('direct');
  asm.sub(field(prediction.chainLeft), 1);
  asm.j('s', unsafe);
  asm.mov(r11, field(context.rip));
  asm.sub(r11, rcx);
  asm.mov(eax, at(rdx, 0)); // ULONG BeginAddress
  asm.sub(r11, rax);
  asm.mov(eax, at(rdx, 8)); // ULONG UnwindData
  asm.test(eax, RUNTIME_FUNCTION_INDIRECT);
  asm.j('e', direct);
  asm.sub(rax, RUNTIME_FUNCTION_INDIRECT);
  asm.lea(rdx, indexed(rcx, rax, 1));
  asm.jmp(entry);
  asm.bind(direct);
  asm.lea(rdx, indexed(rcx, rax, 1)); // UNWIND_INFO
  asm.mov(field(prediction.unwindInfo), rdx);
  asm.movzx8(rax, at(rdx, 0)); // UBYTE Version : 3, Flags : 5
  asm.and(eax, 7);
  asm.cmp(eax, KNOWN_VERSION_MAX);
  asm.j('a', unknown);
}

/**
 * Notes up to which offset, of r11, the codes apply. Jumps to `inPrologue` where that is not all of them, and there is
 * no epilogue to look for. Clobbers rax.
 */
function emitFindCodeOffset(asm: Assembler, inPrologue: Label): void {
  asm.mov(field(prediction.codeOffset), r11);
  asm.movzx8(rax, at(rdx, 1)); // UBYTE SizeOfProlog
  asm.cmp(r11, rax);
  asm.j('b', inPrologue);
  asm.movImmediate64(field(prediction.codeOffset), PAST_PROLOGUE);
}

/**
 * Among the pops before a `ret` the code says what is left of the frame, and the unwind data do not. Follows them to
 * `done`. Where there are none, in the body of the function, `readCodes` comes next, with rdx and `top` as they were.
 * Chained unwind data are the same function's: only the first look counts. Clobbers rax, r11.
 */
function emitFollowEpilogue(
  asm: Assembler,
  { readCodes, done, unsafe }: Record<'readCodes' | 'done' | 'unsafe', Label>,
): void {
  const [pops, unprefixed, inBody] = asm.labels('pops', 'unprefixed', 'inBody');
  asm.cmp(field(prediction.chainLeft), MAXIMUM_CHAIN - 1);
  asm.j('ne', readCodes);
  asm.mov(r11, field(context.rip));
  asm.bind(pops);
  asm.movzx8(rax, at(r11, 0));
  asm.mov(edx, eax);
  asm.and(edx, 0xf0);
  asm.cmp(edx, 0x40); // REX
  asm.j('ne', unprefixed);
  asm.add(r11, 1);
  asm.movzx8(rax, at(r11, 0));
  asm.bind(unprefixed);
  asm.cmp(eax, 0xc3); // ret
  asm.j('e', done);
  asm.and(eax, 0xf8);
  asm.cmp(eax, 0x58); // pop
  asm.j('ne', inBody);
  emitPop(asm, unsafe);
  asm.add(r11, 1);
  asm.jmp(pops);
  asm.bind(inBody);
  asm.xor(top32, top32);
  asm.mov(rdx, field(prediction.unwindInfo));
}

/**
 * Loads `frame` where the UNWIND_INFO at rdx names a frame register. Leaves its codes at rdx, and the number of their
 * slots in r11. Clobbers rax.
 */
function emitLoadFrame(asm: Assembler): void {
  const noFrameRegister = asm.label('noFrameRegister');
  asm.movzx8(rax, at(rdx, 3)); // UBYTE FrameRegister : 4, FrameOffset : 4
  asm.mov(r11d, eax);
  asm.and(r11d, 0xf);
  asm.j('e', noFrameRegister);
  asm.mov(frame, indexed(r8, r11, 8, context.rax));
  asm.and(eax, 0xf0); // FrameOffset * 16
  asm.sub(frame, rax);
  asm.sub(frame, field(context.rsp));
  asm.bind(noFrameRegister);
  asm.movzx8(r11, at(rdx, 2)); // UBYTE CountOfCodes
  asm.add(rdx, 4);
}

/**
 * Follows the codes that apply. r11 slots are left of them, and rdx points to the next: UBYTE CodeOffset, UBYTE
 * UnwindOp : 4, OpInfo : 4. In the end it points behind the last one. Clobbers rax.
 */
function emitFollowCodes(asm: Assembler, unsafe: Label): void {
  const [next, one, two, three, far, otherRegister, end] = asm.labels(
    'next',
    'one',
    'two',
    'three',
    'far',
    'otherRegister',
    'end',
  );
  asm.bind(next);
  asm.test(r11d, r11d);
  asm.j('e', end);
  asm.j('s', unsafe);
  emitWhenOperation(asm, UWOP_PUSH_NONVOL, one, () => emitPop(asm, unsafe));
  emitWhenOperation(asm, UWOP_ALLOC_LARGE, two, () => {
    asm.test(eax, eax);
    asm.j('ne', far);
    asm.movzx16(rax, at(rdx, 2)); // the size in eights
    asm.shl(rax, 3);
    asm.add(top, rax);
  });
  emitWhenOperation(asm, UWOP_ALLOC_SMALL, one, () => {
    asm.shl(eax, 3);
    asm.lea(top, indexed(top, rax, 1, 8));
  });
  emitWhenOperation(asm, UWOP_SET_FPREG, one, () => emitTakeFrame(asm, otherRegister));
  for (const [operation, sizeBytes] of [
    [UWOP_SAVE_NONVOL, 8],
    [UWOP_SAVE_XMM128, 16],
  ] as const) {
    emitWhenOperation(asm, operation, two, () => {
      asm.movzx16(rax, at(rdx, 2)); // the distance, in multiples of the size
      asm.shl(rax, Math.log2(sizeBytes));
      emitCheckSaved(asm, sizeBytes, unsafe);
    });
  }
  for (const [operation, sizeBytes] of [
    [UWOP_SAVE_NONVOL_FAR, 8],
    [UWOP_SAVE_XMM128_FAR, 16],
  ] as const) {
    emitWhenOperation(asm, operation, three, () => {
      asm.mov(eax, at(rdx, 2));
      emitCheckSaved(asm, sizeBytes, unsafe);
    });
  }
  emitWhenOperation(asm, UWOP_EPILOG, two, () => {});
  emitWhenOperation(asm, UWOP_PUSH_MACHFRAME, one, () => {
    asm.lea(top, indexed(top, rax, 8, MACHINE_FRAME_SIZE_BYTES)); // with an error code, or without
    asm.movImmediate64(field(prediction.measuredFrom), prediction.fromElsewhere);
  });
  for (const [label, slots] of [
    [one, 1],
    [two, 2],
    [three, 3],
  ] as const) {
    asm.bind(label);
    asm.add(rdx, slots * 2);
    asm.sub(r11d, slots);
    asm.jmp(next);
  }
  asm.bind(far); // UWOP_ALLOC_LARGE with its whole size
  asm.mov(eax, at(rdx, 2));
  asm.add(top, rax);
  asm.jmp(three);
  asm.bind(otherRegister);
  asm.movImmediate64(field(prediction.measuredFrom), prediction.fromElsewhere);
  asm.jmp(one);
  asm.bind(end);
}

/** Follows the code at rdx by `body`, with OpInfo in eax, if it is this operation. Jumps to `slots` then. */
function emitWhenOperation(asm: Assembler, operation: number, slots: Label, body: () => void): void {
  const other = asm.label('other');
  asm.movzx8(rax, at(rdx, 1));
  asm.and(eax, 0xf);
  asm.cmp(eax, operation);
  asm.j('ne', other);
  // In the middle of a prologue, the codes of its later instructions do not apply yet.
  asm.movzx8(rax, at(rdx, 0));
  asm.cmp(rax, field(prediction.codeOffset));
  asm.j('a', slots);
  asm.movzx8(rax, at(rdx, 1));
  asm.shr(eax, 4); // OpInfo
  body();
  asm.jmp(slots);
  asm.bind(other);
}

/**
 * The frame register was set here, so later allocations do not matter. Jumps to `otherRegister` unless it is rbp.
 * Clobbers rax.
 */
function emitTakeFrame(asm: Assembler, otherRegister: Label): void {
  asm.mov(top, frame);
  asm.mov(rax, field(prediction.unwindInfo));
  asm.movzx8(rax, at(rax, 3)); // UBYTE FrameRegister : 4, FrameOffset : 4
  asm.and(eax, 0xf);
  asm.cmp(eax, RBP);
  asm.j('ne', otherRegister);
  asm.movImmediate64(field(prediction.measuredFrom), prediction.fromRbp);
}

/**
 * A register was saved at the distance in rax from `frame`, in so many bytes: the last eight must be in the stack, too.
 * Clobbers rax.
 */
function emitCheckSaved(asm: Assembler, sizeBytes: 8 | 16, unsafe: Label): void {
  if (sizeBytes > 8) asm.add(rax, sizeBytes - 8);
  asm.add(rax, frame);
  emitCheckRead(asm, rax, unsafe);
}

/** Goes on with the chained RUNTIME_FUNCTION behind the codes, or to `end` where there is none. Clobbers rax, r11. */
function emitFollowChain(asm: Assembler, entry: Label, end: Label): void {
  asm.mov(rax, field(prediction.unwindInfo));
  asm.movzx8(r11, at(rax, 0)); // UBYTE Version : 3, Flags : 5
  asm.test(r11d, UNW_FLAG_CHAININFO << 3);
  asm.j('e', end);
  asm.movzx8(r11, at(rax, 2)); // the codes are padded to an even number
  asm.and(r11d, 1);
  asm.lea(rdx, indexed(rdx, r11, 2));
  asm.jmp(entry);
}
