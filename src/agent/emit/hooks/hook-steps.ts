import { slot } from '../../ledger/layout.ts';
import {
  type MISUSE_CLOSE,
  type MISUSE_CLOSED_AS_HANDLE,
  MISUSE_USE,
  type MISUSE_WRONG_CLOSER,
} from '../../ledger/misuse.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory } from '../../asm/operands.ts';
import { eax, edx, r9d, rax, rcx, rdx, type Register } from '../../asm/registers.ts';
import { STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH } from '../abi/status.ts';
import type { Quarantine } from '../recorder/recorder-environment.ts';
import { emitSlotAddress } from '../recorder/slot-address.ts';
import type { Hook, HookBody } from './hook-environment.ts';
import { emitReturnAddress, emitSaveArgument, RESULT, usedHandles } from './hook-frame.ts';

// Steps that several hooks take: they report misuses, and refuse quarantined values.

/** Keeps the handles that the call works on in {@link usedHandles}. A call with a quarantined one ends here. */
export function emitSaveUses(hook: HookBody): void {
  const { asm, row, environment } = hook;
  const { quarantine } = environment;
  const handles = row.uses.map((argument, index) => ({ argument, handle: usedHandles[index]! }));
  for (const { argument, handle } of handles) emitSaveArgument(asm, argument, handle);
  if (quarantine === undefined) return;
  for (const { handle } of handles) {
    const fine = asm.label('fine');
    emitLoadState(hook, handle);
    asm.test(rax, rax);
    asm.j('ns', fine);
    emitUnlessQuarantined(asm, quarantine, handle, fine);
    emitRefusal(hook, handle, MISUSE_USE);
    asm.bind(fine);
  }
}

/**
 * Jumps to `free` unless the value must be refused. Its slot says that it is quarantined. Keeps the argument registers.
 */
export function emitUnlessQuarantined(asm: Assembler, { isQuarantined }: Quarantine, value: Memory, free: Label): void {
  asm.mov(rax, value);
  asm.call(isQuarantined);
  asm.test(eax, eax);
  asm.j('e', free);
}

/** Counts the misuse of the value and returns STATUS_INVALID_HANDLE, without the call. */
export function emitRefusal(hook: HookBody, value: Memory, kind: typeof MISUSE_CLOSE | typeof MISUSE_USE): void {
  const { asm } = hook;
  asm.mov(eax, STATUS_INVALID_HANDLE);
  asm.mov(RESULT, rax);
  asm.mov(rcx, value);
  emitMisuse(hook, kind);
  hook.return();
}

/**
 * Loads into rcx the handle that the call has stored at `pointer`. With a quarantine the object is moved first if it
 * has a quarantined value, and its new value is stored. Keeps rdx, by way of `spare`.
 */
export function emitLoadOpened(hook: HookBody, pointer: Memory, spare: Memory): void {
  const { asm, environment } = hook;
  asm.mov(rcx, pointer);
  asm.mov(rcx, at(rcx));
  if (environment.quarantine === undefined) return;
  const fine = asm.label('fine');
  emitLoadState(hook, rcx);
  asm.test(rax, rax);
  asm.j('ns', fine);
  asm.mov(spare, rdx);
  asm.call(environment.quarantine.moveOutOfQuarantine);
  asm.mov(rcx, pointer);
  asm.mov(at(rcx), rax);
  asm.mov(rcx, rax);
  asm.mov(rdx, spare);
  asm.bind(fine);
}

/** Counts the misuse of the value in rcx; eax holds the status. */
export function emitMisuse(
  { asm, rowNumber, environment }: Pick<HookBody, 'asm' | 'rowNumber' | 'environment'>,
  kind: typeof MISUSE_CLOSE | typeof MISUSE_USE | typeof MISUSE_CLOSED_AS_HANDLE | typeof MISUSE_WRONG_CLOSER,
): void {
  asm.mov(r9d, eax);
  if (typeof rowNumber === 'number') asm.mov(edx, rowNumber);
  else asm.movzx16(rdx, rowNumber);
  asm.or(edx, kind << 16);
  emitReturnAddress(asm);
  asm.call(environment.countMisuse);
}

/** Counts a misuse if the call was refused because of one of its handles. eax holds the status. */
export function emitReportUses(hook: HookBody): void {
  const { asm, row, environment } = hook;
  if (row.uses.length === 0) return;
  const [refused, fine, choose] = asm.labels('refused', 'fine', 'choose');
  asm.cmp(eax, STATUS_INVALID_HANDLE);
  asm.j('e', choose);
  asm.cmp(eax, STATUS_OBJECT_TYPE_MISMATCH);
  asm.j('ne', fine);
  asm.mov(rcx, usedHandles[0]); // the object that the call works on
  asm.jmp(refused);
  asm.bind(choose);
  asm.mov(rcx, usedHandles[0]);
  if (row.uses.length > 1) {
    asm.lea(rcx, usedHandles[0]);
    asm.mov(edx, row.uses.length);
    asm.call(environment.findUnknownHandle);
    asm.mov(rcx, rax);
    asm.mov(rax, RESULT);
  }
  asm.bind(refused);
  emitMisuse(hook, MISUSE_USE);
  asm.bind(fine);
}

/** Copies the state of a value's slot into a place, 0 where the value has no slot. Clobbers rax. */
export function emitReadState(hook: Pick<Hook, 'asm' | 'environment'>, value: Register | Memory, place: Memory): void {
  emitLoadState(hook, value);
  hook.asm.mov(place, rax);
}

/** Loads the state of a value's slot into rax, 0 where the value has no slot. */
export function emitLoadState({ asm, environment }: Pick<Hook, 'asm' | 'environment'>, value: Register | Memory): void {
  const [none, read] = asm.labels('none', 'read');
  asm.mov(rax, value);
  emitSlotAddress(asm, rax, none, environment);
  asm.mov(rax, at(rax, slot.state));
  asm.jmp(read);
  asm.bind(none);
  asm.xor(eax, eax);
  asm.bind(read);
}
