import { typeIndex } from '../../../tables/object-types.ts';
import { DESCRIPTOR_KEY, misuse, MISUSE_CLOSE, MISUSE_USE, runtimeObject, slot } from '../../../ledger/layout.ts';
import type { Assembler } from '../../../asm/assembler.ts';
import { at, indexed, type Label } from '../../../asm/operands.ts';
import { eax, ecx, edx, r10, r8, r9d, rax, rcx, rdx, rsp } from '../../../asm/registers.ts';
import { runtimeObjectRow } from '../../../linkage/runtime-object-row.ts';
import { returnAddressOffset } from '../../abi/framed-function.ts';
import { STATUS_INVALID_HANDLE } from '../../abi/status.ts';
import { emitRuntimeObjectAddress, emitUnlink } from '../../recorder/runtime-objects.ts';
import type { HookEnvironment } from '../hook-environment.ts';
import { ARGUMENTS, places, runtimeObjectFrame } from './runtime-object-frame.ts';

// How the hook of runtime objects notices the misuse and the close of an object, before the call.

/**
 * Loads the key and the address of the runtime object that the row's argument names: `rax = key, r10 = object`. Jumps
 * to `none` without one. Clobbers rcx, rdx, r11.
 */
function emitFindArgument(asm: Assembler, typeAt: number, none: Label, environment: HookEnvironment): void {
  const address = asm.label('address');
  asm.mov(rdx, places.row);
  asm.movzx8(rax, at(rdx, typeAt));
  asm.test(eax, eax);
  asm.j('e', none);
  asm.cmp(eax, typeIndex('Descriptor'));
  asm.movzx8(rcx, at(rdx, typeAt + 1)); // a mov keeps the flags
  asm.mov(rax, indexed(rsp, rcx, 8, ARGUMENTS));
  asm.j('ne', address);
  asm.mov(eax, eax);
  asm.or(rax, at(rdx, runtimeObjectRow.descriptorKey));
  asm.bind(address);
  asm.call(environment.findRuntimeObject);
  asm.test(r10, r10);
  asm.j('e', none);
}

/** Jumps to `otherwise` unless the runtime object at r10 was opened once and is closed now. Clobbers rcx. */
function emitUnlessClosed(asm: Assembler, otherwise: Label): void {
  asm.mov(rcx, at(r10, slot.state));
  asm.test(rcx, rcx);
  asm.j('e', otherwise);
  asm.test(ecx, 1);
  asm.j('ne', otherwise);
}

/** Makes the record of a misuse of the closed runtime object at r10. The misuse counts at the end of the call. */
function emitPend(asm: Assembler, kind: typeof MISUSE_CLOSE | typeof MISUSE_USE, environment: HookEnvironment): void {
  const [noted, address] = asm.labels('noted', 'address');
  asm.cmp(places.pending, 0);
  asm.j('ne', noted); // a call counts as one misuse
  asm.mov(rcx, at(r10, runtimeObject.key));
  asm.mov(rax, rcx);
  asm.shr(rax, Math.log2(Number(DESCRIPTOR_KEY)));
  asm.j('e', address);
  asm.mov(ecx, ecx); // the number alone
  asm.bind(address);
  asm.mov(rdx, places.row);
  asm.mov(edx, at(rdx, runtimeObjectRow.number));
  asm.or(edx, kind << 16);
  asm.lea(r8, at(rsp, returnAddressOffset(runtimeObjectFrame)));
  asm.mov(r9d, STATUS_INVALID_HANDLE);
  asm.call(environment.internMisuse);
  asm.mov(places.pending, rax);
  asm.test(rax, rax);
  asm.j('e', noted);
  asm.lockInc32(at(rax, misuse.pending));
  asm.bind(noted);
}

/** Before the call: it may use a closed runtime object. */
export function emitBeforeUse(asm: Assembler, environment: HookEnvironment): void {
  const [done] = asm.labels('done');
  emitFindArgument(asm, runtimeObjectRow.usesType, done, environment);
  emitUnlessClosed(asm, done);
  emitPend(asm, MISUSE_USE, environment);
  asm.bind(done);
}

/** Before the call: it may close or replace a runtime object. */
export function emitBeforeClose(asm: Assembler, environment: HookEnvironment): void {
  const [open, stranger, done] = asm.labels('open', 'stranger', 'done');
  emitFindArgument(asm, runtimeObjectRow.closesType, done, environment);
  asm.mov(rcx, at(r10, slot.state));
  asm.test(ecx, 1);
  asm.j('ne', open);
  emitUnlessClosed(asm, done);
  asm.mov(rdx, places.row);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.replaces));
  asm.test(eax, eax);
  asm.j('ne', done);
  emitPend(asm, MISUSE_CLOSE, environment);
  asm.jmp(done);

  asm.bind(open);
  asm.mov(places.closing, r10);
  asm.mov(places.closingState, rcx);
  emitUnlink(asm, environment);
  emitRuntimeObjectAddress(asm, rax, at(r10, runtimeObject.descriptor), done, environment);
  asm.mov(rdx, places.row);
  asm.mov(ecx, at(r10, runtimeObject.descriptorNumber));
  asm.or(rcx, at(rdx, runtimeObjectRow.descriptorKey));
  asm.mov(r10, rax);
  asm.cmp(rcx, at(r10, runtimeObject.key));
  asm.j('ne', done); // another key has taken its entry
  asm.mov(rcx, at(r10, slot.state));
  asm.test(ecx, 1);
  asm.j('e', stranger);
  asm.mov(places.descriptor, r10);
  asm.mov(places.descriptorState, rcx);
  emitUnlink(asm, environment);
  asm.jmp(done);
  asm.bind(stranger); // _close has closed the FILE's descriptor, and the FILE is going to close it again
  emitUnlessClosed(asm, done);
  emitPend(asm, MISUSE_CLOSE, environment);
  asm.bind(done);
}
