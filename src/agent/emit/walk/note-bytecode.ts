import { BYTECODE_OFFSET_MARK } from '../../../call-ledger.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, teb } from '../../asm/operands.ts';
import { eax, ecx, edi, edx, r8, r8d, r9, r9d, rax, rbx, rcx, rdi, rdx, rsi, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitQueryMemory, MEM_IMAGE, memoryInformation, PAGE_EXECUTE_ANY } from '../abi/memory-information.ts';
import { tebField } from '../abi/teb.ts';

/**
 * The end of the entry to V8's interpreter: it loads the handler of the next bytecode, and calls it. With
 * `--interpreted-frames-native-stack` each function has a copy of the entry. The code is that of
 * Builtins::Generate_InterpreterEntryTrampoline in V8's src/builtins/x64/builtins-x64.cc.
 *
 * ```
 * 47 0f b6 14 0c   movzx r10d, byte [r12+r9]   ; r12: the bytecode, r9: the offset in it
 * 4b 8b 0c d7      mov   rcx, [r15+r10*8]      ; r15: the table of handlers
 * ff d1            call  rcx
 * ```
 */
const DISPATCH = [0x47, 0x0f, 0xb6, 0x14, 0x0c, 0x4b, 0x8b, 0x0c, 0xd7, 0xff, 0xd1] as const;

/**
 * The entry sets the offset to that of the first bytecode, which differs between versions, and saves it, so many bytes
 * before the call at most.
 *
 * ```
 * 41 b9 3f 00 00 00   mov  r9d, 0x3f
 * 41 54               push r12
 * ```
 */
const ENTRY_SIZE_BYTES = 0x100;
const BEGIN_MOVE = 0xb941;
const BEGIN_PUSH = 0x5441;

/**
 * Where a frame of the interpreter keeps that offset, as a Smi: InterpreterFrameConstants in V8's
 * src/execution/frame-constants.h.
 */
const BYTECODE_OFFSET_PLACE = -0x28;

const OFFSET = 0x60;
const INFORMATION = 0x30;
const frame: FrameShape = { pushes: [rbx, rsi, rdi], sizeBytes: 0x70 };

/**
 * Emits `u32 noteBytecode(u64* frames, u32 count, u64 rsp, u64 rbp)`: where the last of the frames is the call of a
 * function in V8's interpreter, notes behind it which instruction of the function made the call. The address alone does
 * not tell: all calls of an interpreted function are made from the same place. Returns the number of frames.
 */
export function emitNoteBytecode(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const none = asm.label('none');
    asm.mov(rsi, rcx); // frames
    asm.mov(edi, edx); // how many there are
    asm.mov(rbx, indexed(rcx, rdx, 8, -8)); // the last of them
    emitReadOffset(asm, none);
    emitUnlessDispatch(asm, none, environment);
    emitFindFirstOffset(asm, none);
    asm.mov(rax, at(rsp, OFFSET));
    asm.sub(rax, rcx);
    asm.j('b', none);
    asm.mov(rcx, BYTECODE_OFFSET_MARK);
    asm.or(rax, rcx);
    asm.mov(indexed(rsi, rdi, 8), rax);
    asm.add(edi, 1);
    asm.bind(none);
    asm.mov(eax, edi);
    epilogue();
  });
}

/**
 * Keeps the offset that the frame has if it is the interpreter's. Its rsp is in r8, and its rbp in r9. The place lies
 * in the stack then, and holds a Smi, whose lower half is 0. Jumps to `none` otherwise. Clobbers rax.
 */
function emitReadOffset(asm: Assembler, none: Label): void {
  asm.mov(rax, teb(tebField.stackBase));
  asm.sub(rax, 8);
  asm.cmp(r9, rax);
  asm.j('a', none);
  asm.test(r9d, 7);
  asm.j('ne', none);
  asm.cmp(r9, r8);
  asm.j('b', none); // a frame pointer of 0 has nothing below it
  asm.lea(rax, at(r9, BYTECODE_OFFSET_PLACE));
  asm.cmp(rax, r8);
  asm.j('b', none);
  asm.mov(rax, at(rax));
  asm.test(eax, eax);
  asm.j('ne', none);
  asm.shr(rax, 32);
  asm.mov(at(rsp, OFFSET), rax);
}

/**
 * Jumps to `none` unless {@link DISPATCH} lies before the address in rbx, in code outside of images that reaches
 * {@link ENTRY_SIZE_BYTES} farther back. Leaves the address of its first byte in rax. Clobbers the other volatile ones.
 */
function emitUnlessDispatch(asm: Assembler, none: Label, environment: LinkedEnvironment): void {
  const dispatch = Buffer.from(DISPATCH);
  emitQueryMemory(asm, environment, at(rbx, -ENTRY_SIZE_BYTES), INFORMATION);
  asm.test(eax, eax);
  asm.j('ne', none);
  asm.cmpImmediate32(at(rsp, INFORMATION + memoryInformation.type), MEM_IMAGE);
  asm.j('e', none);
  asm.mov(eax, at(rsp, INFORMATION + memoryInformation.protect));
  asm.test(eax, PAGE_EXECUTE_ANY);
  asm.j('e', none);
  asm.mov(rax, at(rsp, INFORMATION + memoryInformation.baseAddress));
  asm.add(rax, at(rsp, INFORMATION + memoryInformation.regionSize));
  asm.cmp(rax, rbx);
  asm.j('be', none);
  asm.lea(rax, at(rbx, -DISPATCH.length));
  asm.mov(rcx, dispatch.readBigUInt64LE(0));
  asm.cmp(rcx, at(rax));
  asm.j('ne', none);
  asm.mov(ecx, at(rax, DISPATCH.length - 4));
  asm.cmp(ecx, dispatch.readInt32LE(DISPATCH.length - 4));
  asm.j('ne', none);
}

/**
 * `ecx = the offset of the first bytecode`, as the entry that ends at rax loads it. Both offsets count from the
 * beginning of the object that the bytecode is in. Jumps to `none` where no such load is found. Clobbers rdx, r8.
 */
function emitFindFirstOffset(asm: Assembler, none: Label): void {
  const search = asm.label('search');
  asm.lea(rdx, at(rbx, -ENTRY_SIZE_BYTES));
  asm.sub(rdx, 1);
  asm.bind(search);
  asm.add(rdx, 1);
  asm.cmp(rdx, rax);
  asm.j('ae', none);
  asm.mov(r8, at(rdx));
  asm.mov(ecx, r8d);
  asm.and(ecx, 0xffff);
  asm.cmp(ecx, BEGIN_MOVE);
  asm.j('ne', search);
  asm.mov(rcx, r8);
  asm.shr(rcx, 48);
  asm.cmp(ecx, BEGIN_PUSH);
  asm.j('ne', search);
  asm.shr(r8, 16);
  asm.mov(ecx, r8d);
}
