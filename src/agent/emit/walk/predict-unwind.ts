import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, teb } from '../../asm/operands.ts';
import { eax, edx, r10, r10d, r11, r11d, r8, r9, r9d, rax, rcx, rdx } from '../../asm/registers.ts';
import { tebField } from '../abi/teb.ts';
import { context, prediction } from './context.ts';

const RUNTIME_FUNCTION_INDIRECT = 1;
const UNW_FLAG_CHAININFO = 4;
const RBP = 5;
/** Chained unwind data that are followed. A function has one or two; a ring would never end. */
const MAXIMUM_CHAIN = 32;
/** Versions 1 and 2 have the same layout. Version 3 has another one, which only the system's unwinder knows. */
const KNOWN_VERSION_MAX = 2;
/** Rip, CS, EFLAGS, Rsp and SS; below them there may be an error code. */
const MACHINE_FRAME_SIZE_BYTES = 0x28;
/** More than any offset in a prologue: all codes apply. */
const PAST_PROLOGUE = 0x100;

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
  const [
    entry,
    direct,
    pops,
    unprefixed,
    inBody,
    readCodes,
    noFrameRegister,
    next,
    one,
    two,
    three,
    far,
    otherRegister,
    codesEnd,
    done,
    unknown,
    unsafe,
  ] = asm.labels(
    'entry',
    'direct',
    'pops',
    'unprefixed',
    'inBody',
    'readCodes',
    'noFrameRegister',
    'next',
    'one',
    'two',
    'three',
    'far',
    'otherRegister',
    'codesEnd',
    'done',
    'unknown',
    'unsafe',
  );
  const field = (offset: number) => at(r8, offset);
  // Both are distances from the frame's own rsp.
  const [frame, frame32] = [r9, r9d]; // saved registers are measured from here: rsp, or the frame register
  const [top, top32] = [r10, r10d]; // rsp after the codes so far

  /** Goes on only if this distance above rsp is still in the stack. */
  const checkRead = (distance: typeof rax | typeof top) => {
    asm.cmp(distance, field(prediction.room));
    asm.j('a', unsafe);
  };

  asm.align(16);
  asm.bind(begin);
  asm.mov(rax, teb(tebField.stackBase));
  asm.sub(rax, 8);
  asm.sub(rax, field(context.rsp));
  asm.mov(field(prediction.room), rax);
  asm.movImmediate64(field(prediction.chainLeft), MAXIMUM_CHAIN);
  asm.movImmediate64(field(prediction.measuredFrom), prediction.fromRsp);
  asm.xor(frame32, frame32);
  asm.xor(top32, top32);

  asm.bind(entry);
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
  asm.mov(field(prediction.codeOffset), r11);
  asm.movzx8(rax, at(rdx, 1)); // UBYTE SizeOfProlog
  asm.cmp(r11, rax);
  asm.j('b', readCodes);
  asm.movImmediate64(field(prediction.codeOffset), PAST_PROLOGUE);

  // Among the pops before a `ret` the code says what is left of the frame, and the unwind data do not.
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
  checkRead(top);
  asm.add(top, 8);
  asm.add(r11, 1);
  asm.jmp(pops);
  asm.bind(inBody);
  asm.xor(top32, top32);
  asm.mov(rdx, field(prediction.unwindInfo));

  asm.bind(readCodes);
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

  // r11 slots are left of the codes, rdx points to the next: UBYTE CodeOffset, UBYTE UnwindOp : 4, OpInfo : 4.
  asm.bind(next);
  asm.test(r11d, r11d);
  asm.j('e', codesEnd);
  asm.j('s', unsafe);
  const whenOperation = (operation: number, slots: Label, body: () => void) => {
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
  };
  whenOperation(0, one, () => {
    // UWOP_PUSH_NONVOL
    checkRead(top);
    asm.add(top, 8);
  });
  whenOperation(1, two, () => {
    // UWOP_ALLOC_LARGE: the size in eights, or whole
    asm.test(eax, eax);
    asm.j('ne', far);
    asm.movzx16(rax, at(rdx, 2));
    asm.shl(rax, 3);
    asm.add(top, rax);
  });
  whenOperation(2, one, () => {
    // UWOP_ALLOC_SMALL
    asm.shl(eax, 3);
    asm.lea(top, indexed(top, rax, 1, 8));
  });
  whenOperation(3, one, () => {
    // UWOP_SET_FPREG: later allocations do not matter
    asm.mov(top, frame);
    asm.mov(rax, field(prediction.unwindInfo));
    asm.movzx8(rax, at(rax, 3));
    asm.and(eax, 0xf);
    asm.cmp(eax, RBP);
    asm.j('ne', otherRegister);
    asm.movImmediate64(field(prediction.measuredFrom), prediction.fromRbp);
  });
  for (const [operation, shift] of [
    [4, 3],
    [8, 4],
  ] as const) {
    whenOperation(operation, two, () => {
      // UWOP_SAVE_NONVOL, UWOP_SAVE_XMM128
      asm.movzx16(rax, at(rdx, 2));
      asm.shl(rax, shift);
      if (operation === 8) asm.add(rax, 8);
      asm.add(rax, frame);
      checkRead(rax);
    });
  }
  for (const operation of [5, 9]) {
    whenOperation(operation, three, () => {
      // UWOP_SAVE_NONVOL_FAR, UWOP_SAVE_XMM128_FAR
      asm.mov(eax, at(rdx, 2));
      if (operation === 9) asm.add(rax, 8);
      asm.add(rax, frame);
      checkRead(rax);
    });
  }
  whenOperation(6, two, () => {}); // UWOP_EPILOG
  whenOperation(10, one, () => {
    // UWOP_PUSH_MACHFRAME, with an error code or without
    asm.lea(top, indexed(top, rax, 8, MACHINE_FRAME_SIZE_BYTES));
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
  asm.bind(far);
  asm.mov(eax, at(rdx, 2));
  asm.add(top, rax);
  asm.jmp(three);
  asm.bind(otherRegister);
  asm.movImmediate64(field(prediction.measuredFrom), prediction.fromElsewhere);
  asm.jmp(one);

  asm.bind(codesEnd);
  asm.mov(rax, field(prediction.unwindInfo));
  asm.movzx8(r11, at(rax, 0)); // UBYTE Version : 3, Flags : 5
  asm.test(r11d, UNW_FLAG_CHAININFO << 3);
  asm.j('e', done);
  asm.movzx8(r11, at(rax, 2)); // the codes are padded to an even number
  asm.and(r11d, 1);
  asm.lea(rdx, indexed(rdx, r11, 2));
  asm.jmp(entry);
  asm.bind(done);
  checkRead(top); // the return address
  asm.add(top, 8);
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
