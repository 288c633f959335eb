import { type Assembler, at, indexed, type Label, low32, r10, r11, r8, r9, rax, rcx, rdx, rsp, teb } from './assembler.ts';
import { context, tebField } from './stack-walk.ts';

const RUNTIME_FUNCTION_INDIRECT = 1;
const UNW_FLAG_CHAININFO = 4;
/** A function has one or two; a ring of them would never end. */
const MAXIMUM_CHAIN = 32;
/** Rip, CS, EFLAGS, Rsp and SS, and perhaps an error code. */
const MACHINE_FRAME_SIZE_BYTES = 0x30;

/**
 * Emits `u32 isSafeToUnwind(void* imageBase, RUNTIME_FUNCTION*, CONTEXT*)`: whether all that RtlVirtualUnwind is going to read of
 * the stack lies in it. A leaf function.
 *
 * RtlVirtualUnwind trusts what it is given. At the bottom of a Go program's stack the frame register is 0 where the unwind data
 * call it the frame, and below code without unwind data any return address is a guess: either may lead out of the stack, into an
 * access violation that would be ours, in the middle of the program.
 *
 * https://learn.microsoft.com/cpp/build/exception-handling-x64#struct-unwind_info
 */
export function emitIsSafeToUnwind(assembler: Assembler, begin: Label): void {
  const [entry, direct, noFrameRegister, next, two, three, far, allocates, codesEnd, unsafe] = assembler.labels(
    'entry', 'direct', 'noFrameRegister', 'next', 'two', 'three', 'far', 'allocates', 'codesEnd', 'unsafe',
  ); // prettier-ignore
  // The caller's home space.
  const chainLeft = at(rsp, 0x08);
  const flags = at(rsp, 0x10);
  const codeCount = at(rsp, 0x18);
  const base = r9; // of the frame: rsp, or the frame register
  const size = r10; // of what was pushed and allocated

  /** `base + rax + 8` must not lie behind the stack. Clobbers rax. */
  const checkRead = () => {
    assembler.add(rax, base);
    assembler.add(rax, 8);
    assembler.cmp(rax, teb(tebField.stackBase));
    assembler.j('a', unsafe);
  };

  assembler.align(16);
  assembler.bind(begin);
  assembler.mov(base, at(r8, context.rsp));
  assembler.xor(low32(size), low32(size));
  assembler.movImmediate64(chainLeft, MAXIMUM_CHAIN);

  assembler.bind(entry);
  assembler.sub(chainLeft, 1);
  assembler.j('s', unsafe);
  assembler.mov(low32(rax), at(rdx, 8)); // ULONG UnwindData
  assembler.test(low32(rax), RUNTIME_FUNCTION_INDIRECT);
  assembler.j('e', direct);
  assembler.sub(rax, RUNTIME_FUNCTION_INDIRECT);
  assembler.lea(rdx, indexed(rcx, rax, 1));
  assembler.jmp(entry);
  assembler.bind(direct);
  assembler.lea(rdx, indexed(rcx, rax, 1)); // UNWIND_INFO
  assembler.movzx8(rax, at(rdx, 0)); // UBYTE Version : 3, Flags : 5
  assembler.shr(low32(rax), 3);
  assembler.mov(flags, rax);
  assembler.movzx8(rax, at(rdx, 3)); // UBYTE FrameRegister : 4, FrameOffset : 4
  assembler.mov(low32(r11), low32(rax));
  assembler.and(low32(r11), 0xf);
  assembler.j('e', noFrameRegister);
  assembler.mov(r11, indexed(r8, r11, 8, context.rax));
  assembler.and(low32(rax), 0xf0); // FrameOffset * 16
  assembler.sub(r11, rax);
  assembler.cmp(r11, at(r8, context.rsp));
  assembler.j('b', unsafe);
  assembler.mov(base, r11);
  assembler.bind(noFrameRegister);
  assembler.movzx8(r11, at(rdx, 2)); // UBYTE CountOfCodes
  assembler.mov(codeCount, r11);
  assembler.add(rdx, 4);

  // r11 slots are left of the codes, rdx points to the next: UBYTE CodeOffset, UBYTE UnwindOp : 4, OpInfo : 4.
  assembler.bind(next);
  assembler.test(low32(r11), low32(r11));
  assembler.j('e', codesEnd);
  assembler.j('s', unsafe);
  const skip = (slots: number) => {
    assembler.add(rdx, slots * 2);
    assembler.sub(low32(r11), slots);
    assembler.jmp(next);
  };
  const whenOperation = (operation: number, body: () => void) => {
    const other = assembler.label('other');
    assembler.movzx8(rax, at(rdx, 1));
    assembler.and(low32(rax), 0xf);
    assembler.cmp(low32(rax), operation);
    assembler.j('ne', other);
    assembler.movzx8(rax, at(rdx, 1));
    assembler.shr(low32(rax), 4); // OpInfo
    body();
    assembler.bind(other);
  };
  whenOperation(0, () => {
    // UWOP_PUSH_NONVOL
    assembler.add(size, 8);
    skip(1);
  });
  whenOperation(1, () => {
    // UWOP_ALLOC_LARGE: the size in eights, or whole
    assembler.test(low32(rax), low32(rax));
    assembler.j('ne', far);
    assembler.movzx16(rax, at(rdx, 2));
    assembler.shl(rax, 3);
    assembler.add(size, rax);
    assembler.bind(two);
    skip(2);
    assembler.bind(far);
    assembler.mov(low32(rax), at(rdx, 2));
    assembler.add(size, rax);
    assembler.bind(three);
    skip(3);
  });
  whenOperation(2, () => {
    // UWOP_ALLOC_SMALL
    assembler.shl(low32(rax), 3);
    assembler.add(size, rax);
    assembler.add(size, 8);
    skip(1);
  });
  for (const [operation, shift] of [[4, 3], [8, 4]] as const) {
    whenOperation(operation, () => {
      // UWOP_SAVE_NONVOL, UWOP_SAVE_XMM128
      assembler.movzx16(rax, at(rdx, 2));
      assembler.shl(rax, shift);
      if (operation === 8) assembler.add(rax, 8);
      checkRead();
      assembler.jmp(two);
    });
  }
  for (const operation of [5, 9]) {
    whenOperation(operation, () => {
      // UWOP_SAVE_NONVOL_FAR, UWOP_SAVE_XMM128_FAR
      assembler.mov(low32(rax), at(rdx, 2));
      if (operation === 9) assembler.add(rax, 8);
      checkRead();
      assembler.jmp(three);
    });
  }
  whenOperation(10, () => {
    // UWOP_PUSH_MACHFRAME
    assembler.add(size, MACHINE_FRAME_SIZE_BYTES);
    skip(1);
  });
  skip(1); // UWOP_SET_FPREG, UWOP_EPILOG

  assembler.bind(codesEnd);
  assembler.mov(rax, flags);
  assembler.test(low32(rax), UNW_FLAG_CHAININFO);
  assembler.j('e', allocates);
  assembler.mov(rax, codeCount);
  assembler.and(low32(rax), 1);
  assembler.lea(rdx, indexed(rdx, rax, 2)); // the codes are padded to an even number
  assembler.jmp(entry);
  assembler.bind(allocates);
  assembler.mov(rax, size);
  checkRead(); // the return address
  assembler.mov(low32(rax), 1);
  assembler.ret();
  assembler.bind(unsafe);
  assembler.xor(low32(rax), low32(rax));
  assembler.ret();
}
