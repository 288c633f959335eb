import { type Assembler, at, indexed, type Label, low32, r10, r11, r8, r9, rax, rcx, rdx, teb } from './assembler.ts';
import { context, foreseen, tebField } from './stack-walk.ts';

const RUNTIME_FUNCTION_INDIRECT = 1;
const UNW_FLAG_CHAININFO = 4;
const RBP = 5;
/** A function has one or two; a ring of them would never end. */
const MAXIMUM_CHAIN = 32;
/** Rip, CS, EFLAGS, Rsp and SS; below them there may be an error code. */
const MACHINE_FRAME_SIZE_BYTES = 0x28;
/** More than any offset in a prologue: all of its codes hold. */
const PAST_PROLOGUE = 0x100;

/**
 * Emits `u32 foreseeUnwind(void* imageBase, RUNTIME_FUNCTION*, CONTEXT*)`: follows the unwind data of a frame as RtlVirtualUnwind is going
 * to, and returns whether all that it is going to read of the stack lies in it. Where the caller's rsp is then expected, and what it was
 * measured from, is left in the CONTEXT (see `foreseen`). A leaf function.
 *
 * RtlVirtualUnwind trusts what it is given. At the bottom of a Go program's stack the frame register is 0 where the unwind data
 * call it the frame, and below code without unwind data any return address is a guess: either may lead out of the stack, into an
 * access violation that would be ours, in the middle of the program.
 *
 * https://learn.microsoft.com/cpp/build/exception-handling-x64#struct-unwind_info
 */
export function emitForeseeUnwind(assembler: Assembler, begin: Label): void {
  const [
    entry, direct, pops, unprefixed, inBody, readCodes, noFrameRegister, next, one, two, three, far, otherRegister, codesEnd, done, unsafe,
  ] = assembler.labels(
    'entry', 'direct', 'pops', 'unprefixed', 'inBody', 'readCodes', 'noFrameRegister', 'next', 'one', 'two', 'three', 'far', 'otherRegister',
    'codesEnd', 'done', 'unsafe',
  ); // prettier-ignore
  const field = (offset: number) => at(r8, offset);
  // Both are distances from the frame's own rsp.
  const frame = r9; // what saved registers are measured from: rsp, or the frame register
  const top = r10; // where rsp is after the codes so far

  /** What lies so far above rsp must be in the stack. */
  const checkRead = (distance: typeof rax | typeof top) => {
    assembler.cmp(distance, field(foreseen.room));
    assembler.j('a', unsafe);
  };

  assembler.align(16);
  assembler.bind(begin);
  assembler.mov(rax, teb(tebField.stackBase));
  assembler.sub(rax, 8);
  assembler.sub(rax, field(context.rsp));
  assembler.mov(field(foreseen.room), rax);
  assembler.movImmediate64(field(foreseen.chainLeft), MAXIMUM_CHAIN);
  assembler.movImmediate64(field(foreseen.measuredFrom), foreseen.fromRsp);
  assembler.xor(low32(frame), low32(frame));
  assembler.xor(low32(top), low32(top));

  assembler.bind(entry);
  assembler.sub(field(foreseen.chainLeft), 1);
  assembler.j('s', unsafe);
  assembler.mov(r11, field(context.rip));
  assembler.sub(r11, rcx);
  assembler.mov(low32(rax), at(rdx, 0)); // ULONG BeginAddress
  assembler.sub(r11, rax);
  assembler.mov(low32(rax), at(rdx, 8)); // ULONG UnwindData
  assembler.test(low32(rax), RUNTIME_FUNCTION_INDIRECT);
  assembler.j('e', direct);
  assembler.sub(rax, RUNTIME_FUNCTION_INDIRECT);
  assembler.lea(rdx, indexed(rcx, rax, 1));
  assembler.jmp(entry);
  assembler.bind(direct);
  assembler.lea(rdx, indexed(rcx, rax, 1)); // UNWIND_INFO
  assembler.mov(field(foreseen.unwindInfo), rdx);
  assembler.mov(field(foreseen.codeOffset), r11);
  assembler.movzx8(rax, at(rdx, 1)); // UBYTE SizeOfProlog
  assembler.cmp(r11, rax);
  assembler.j('b', readCodes);
  assembler.movImmediate64(field(foreseen.codeOffset), PAST_PROLOGUE);

  // Among the pops before a `ret` it is the code and not the data that says what is left of the frame.
  assembler.cmp(field(foreseen.chainLeft), MAXIMUM_CHAIN - 1);
  assembler.j('ne', readCodes);
  assembler.mov(r11, field(context.rip));
  assembler.bind(pops);
  assembler.movzx8(rax, at(r11, 0));
  assembler.mov(low32(rdx), low32(rax));
  assembler.and(low32(rdx), 0xf0);
  assembler.cmp(low32(rdx), 0x40); // REX
  assembler.j('ne', unprefixed);
  assembler.add(r11, 1);
  assembler.movzx8(rax, at(r11, 0));
  assembler.bind(unprefixed);
  assembler.cmp(low32(rax), 0xc3); // ret
  assembler.j('e', done);
  assembler.and(low32(rax), 0xf8);
  assembler.cmp(low32(rax), 0x58); // pop
  assembler.j('ne', inBody);
  checkRead(top);
  assembler.add(top, 8);
  assembler.add(r11, 1);
  assembler.jmp(pops);
  assembler.bind(inBody);
  assembler.xor(low32(top), low32(top));
  assembler.mov(rdx, field(foreseen.unwindInfo));

  assembler.bind(readCodes);
  assembler.movzx8(rax, at(rdx, 3)); // UBYTE FrameRegister : 4, FrameOffset : 4
  assembler.mov(low32(r11), low32(rax));
  assembler.and(low32(r11), 0xf);
  assembler.j('e', noFrameRegister);
  assembler.mov(frame, indexed(r8, r11, 8, context.rax));
  assembler.and(low32(rax), 0xf0); // FrameOffset * 16
  assembler.sub(frame, rax);
  assembler.sub(frame, field(context.rsp));
  assembler.bind(noFrameRegister);
  assembler.movzx8(r11, at(rdx, 2)); // UBYTE CountOfCodes
  assembler.add(rdx, 4);

  // r11 slots are left of the codes, rdx points to the next: UBYTE CodeOffset, UBYTE UnwindOp : 4, OpInfo : 4.
  assembler.bind(next);
  assembler.test(low32(r11), low32(r11));
  assembler.j('e', codesEnd);
  assembler.j('s', unsafe);
  const whenOperation = (operation: number, slots: Label, body: () => void) => {
    const other = assembler.label('other');
    assembler.movzx8(rax, at(rdx, 1));
    assembler.and(low32(rax), 0xf);
    assembler.cmp(low32(rax), operation);
    assembler.j('ne', other);
    // In the middle of a prologue, what it has not come to yet does not hold.
    assembler.movzx8(rax, at(rdx, 0));
    assembler.cmp(rax, field(foreseen.codeOffset));
    assembler.j('a', slots);
    assembler.movzx8(rax, at(rdx, 1));
    assembler.shr(low32(rax), 4); // OpInfo
    body();
    assembler.jmp(slots);
    assembler.bind(other);
  };
  whenOperation(0, one, () => {
    // UWOP_PUSH_NONVOL
    checkRead(top);
    assembler.add(top, 8);
  });
  whenOperation(1, two, () => {
    // UWOP_ALLOC_LARGE: the size in eights, or whole
    assembler.test(low32(rax), low32(rax));
    assembler.j('ne', far);
    assembler.movzx16(rax, at(rdx, 2));
    assembler.shl(rax, 3);
    assembler.add(top, rax);
  });
  whenOperation(2, one, () => {
    // UWOP_ALLOC_SMALL
    assembler.shl(low32(rax), 3);
    assembler.lea(top, indexed(top, rax, 1, 8));
  });
  whenOperation(3, one, () => {
    // UWOP_SET_FPREG: what was allocated since does not matter
    assembler.mov(top, frame);
    assembler.mov(rax, field(foreseen.unwindInfo));
    assembler.movzx8(rax, at(rax, 3));
    assembler.and(low32(rax), 0xf);
    assembler.cmp(low32(rax), RBP);
    assembler.j('ne', otherRegister);
    assembler.movImmediate64(field(foreseen.measuredFrom), foreseen.fromRbp);
  });
  for (const [operation, shift] of [[4, 3], [8, 4]] as const) {
    whenOperation(operation, two, () => {
      // UWOP_SAVE_NONVOL, UWOP_SAVE_XMM128
      assembler.movzx16(rax, at(rdx, 2));
      assembler.shl(rax, shift);
      if (operation === 8) assembler.add(rax, 8);
      assembler.add(rax, frame);
      checkRead(rax);
    });
  }
  for (const operation of [5, 9]) {
    whenOperation(operation, three, () => {
      // UWOP_SAVE_NONVOL_FAR, UWOP_SAVE_XMM128_FAR
      assembler.mov(low32(rax), at(rdx, 2));
      if (operation === 9) assembler.add(rax, 8);
      assembler.add(rax, frame);
      checkRead(rax);
    });
  }
  whenOperation(6, two, () => {}); // UWOP_EPILOG
  whenOperation(10, one, () => {
    // UWOP_PUSH_MACHFRAME, with an error code or without
    assembler.lea(top, indexed(top, rax, 8, MACHINE_FRAME_SIZE_BYTES));
    assembler.movImmediate64(field(foreseen.measuredFrom), foreseen.fromElsewhere);
  });
  for (const [label, slots] of [[one, 1], [two, 2], [three, 3]] as const) {
    assembler.bind(label);
    assembler.add(rdx, slots * 2);
    assembler.sub(low32(r11), slots);
    assembler.jmp(next);
  }
  assembler.bind(far);
  assembler.mov(low32(rax), at(rdx, 2));
  assembler.add(top, rax);
  assembler.jmp(three);
  assembler.bind(otherRegister);
  assembler.movImmediate64(field(foreseen.measuredFrom), foreseen.fromElsewhere);
  assembler.jmp(one);

  assembler.bind(codesEnd);
  assembler.mov(rax, field(foreseen.unwindInfo));
  assembler.movzx8(r11, at(rax, 0)); // UBYTE Version : 3, Flags : 5
  assembler.test(low32(r11), UNW_FLAG_CHAININFO << 3);
  assembler.j('e', done);
  assembler.movzx8(r11, at(rax, 2)); // the codes are padded to an even number
  assembler.and(low32(r11), 1);
  assembler.lea(rdx, indexed(rdx, r11, 2));
  assembler.jmp(entry);
  assembler.bind(done);
  checkRead(top); // the return address
  assembler.add(top, 8);
  assembler.add(top, field(context.rsp));
  assembler.mov(field(foreseen.callerRsp), top);
  assembler.mov(low32(rax), 1);
  assembler.ret();
  assembler.bind(unsafe);
  assembler.xor(low32(rax), low32(rax));
  assembler.ret();
}
