import type { FastFailFunction } from '../../../tables/function-table.ts';
import { GATE_WAITING, header } from '../../../ledger/layout.ts';
import type { Assembler } from '../../../asm/assembler.ts';
import { at, type Label, type Memory } from '../../../asm/operands.ts';
import { eax, ecx, r8, r9, rax, rcx, rdx, rsp } from '../../../asm/registers.ts';
import { type FramedFunction, framedFunction, returnAddressOffset } from '../../abi/framed-function.ts';
import { STATUS_STACK_BUFFER_OVERRUN } from '../../abi/status.ts';
import { emitClaimExit, emitStop } from '../ending-hooks.ts';
import type { HookEnvironment } from '../hook-environment.ts';
import { emitKeepRow, emitPassThrough, hookFrame, RESULT, sharedPlaces, TRAMPOLINE } from '../hook-frame.ts';

/*
 * A fast fail (`int 29h`) ends a process past every handler and every system call. These hooks take the process to the
 * exit gate when one is certain to come.
 */

const PF_FASTFAIL_AVAILABLE = 23;

/** `nop dword ptr [rax + rax]`, by which newer compilers fill up a call of an import. */
const fillingNop = [0x0f, 0x1f, 0x44, 0x00, 0x00];

/** The jump leads over the fast fail, which takes its code in ecx: `mov ecx, ebx` is 2 bytes long. */
const SKIPPED_BYTES_MIN = 4;
const SKIPPED_BYTES_MAX = 16;

/** Emits the hook of a function that tells of a fast fail. */
export function emitFastFailHook(
  asm: Assembler,
  begin: Label,
  row: FastFailFunction,
  environment: HookEnvironment,
): FramedFunction {
  return framedFunction(asm, begin, hookFrame, (epilogue) => {
    const [done] = asm.labels('done');
    const { first, second, third, fourth } = sharedPlaces('first', 'second', 'third', 'fourth');
    emitKeepRow(asm);
    asm.mov(first, rcx);
    if (row.comes === 'inside') {
      asm.mov(second, rdx);
      asm.mov(third, r8);
      asm.mov(fourth, r9);
      emitGoToGate(asm, environment);
      asm.mov(rcx, first);
      asm.mov(rdx, second);
      asm.mov(r8, third);
      asm.mov(r9, fourth);
      emitPassThrough(asm, TRAMPOLINE, row.argumentCount);
    } else {
      emitPassThrough(asm, TRAMPOLINE, row.argumentCount);
      asm.movzx8(rax, RESULT); // BOOLEAN
      asm.mov(RESULT, rax);
      asm.test(eax, eax);
      asm.j('e', done);
      asm.mov(rcx, first);
      asm.cmp(ecx, PF_FASTFAIL_AVAILABLE);
      asm.j('ne', done);
      emitUnlessFailing(asm, at(rsp, returnAddressOffset(hookFrame)), done);
      emitGoToGate(asm, environment);
    }
    asm.bind(done);
    asm.mov(rax, RESULT);
    epilogue();
  });
}

/**
 * Jumps to `otherwise` unless the code at a return address is `test eax, eax; je behind; … int 29h; behind:`, as every
 * version of Microsoft's compiler has it. A program may ask the same without meaning to end. Reads no byte before those
 * in front of it have turned out to be such code. Clobbers rax, rcx, rdx.
 */
function emitUnlessFailing(asm: Assembler, returnAddress: Memory, otherwise: Label): void {
  const plain = asm.label('plain');
  const expect = (bytes: readonly number[], offset: number, unlike: Label) => {
    bytes.forEach((byte, index) => {
      asm.movzx8(rax, at(rdx, offset + index));
      asm.cmp(eax, byte);
      asm.j('ne', unlike);
    });
  };
  asm.mov(rdx, returnAddress);
  expect(fillingNop, 0, plain);
  asm.add(rdx, fillingNop.length);
  asm.bind(plain);
  expect([0x85, 0xc0, 0x74], 0, otherwise); // test eax, eax; je rel8
  asm.movzx8(rcx, at(rdx, 3));
  asm.mov(eax, ecx);
  asm.sub(eax, SKIPPED_BYTES_MIN);
  asm.cmp(eax, SKIPPED_BYTES_MAX - SKIPPED_BYTES_MIN);
  asm.j('a', otherwise);
  asm.add(rdx, rcx);
  expect([0xcd, 0x29], 2, otherwise); // int 29h, the last two of the bytes that the jump leads over
}

/** Notes the end, and waits at the gate. There is no walk: the stack may be what is broken. */
function emitGoToGate(asm: Assembler, environment: HookEnvironment): void {
  const noted = asm.label('noted');
  emitClaimExit({ asm, environment }, noted);
  asm.movImmediate32(at(rcx, header.exitByException), 1);
  asm.bind(noted);
  asm.mov(ecx, STATUS_STACK_BUFFER_OVERRUN);
  emitStop({ asm, environment }, GATE_WAITING, environment.judgedName);
}
