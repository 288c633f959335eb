import { slot } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label } from '../../asm/operands.ts';
import { eax, edx, r10, r8, r8d, r9, rax, rcx } from '../../asm/registers.ts';
import type { RecorderEnvironment } from './recorder-environment.ts';
import { emitSlotAddress } from './slot-address.ts';

/**
 * Emits `HANDLE findUnknownHandle(HANDLE* handles, u32 count)`: the first of a refused call's handles that the ledger
 * does not know as open, or the first of all if it knows them all. A leaf function.
 */
export function emitFindUnknownHandle(asm: Assembler, begin: Label, environment: RecorderEnvironment): void {
  const [next, skip, chosen, first] = asm.labels('next', 'skip', 'chosen', 'first');
  asm.align(16);
  asm.bind(begin);
  asm.xor(r8d, r8d);
  asm.bind(next);
  asm.cmp(r8d, edx);
  asm.j('ae', first);
  asm.mov(r9, indexed(rcx, r8, 8));
  asm.test(r9, r9); // an optional handle that the caller left out
  asm.j('e', skip);
  asm.mov(r10, r9);
  emitSlotAddress(asm, r10, chosen, environment);
  asm.mov(rax, at(r10, slot.state));
  asm.test(eax, 1);
  asm.j('e', chosen);
  asm.bind(skip);
  asm.add(r8d, 1);
  asm.jmp(next);
  asm.bind(chosen);
  asm.mov(rax, r9);
  asm.ret();
  asm.bind(first);
  asm.mov(rax, at(rcx));
  asm.ret();
}
