import type { HookRow } from '../../tables/hook-row.ts';
import { header, MAY_BE_INHERITABLE, slot } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Memory } from '../../asm/operands.ts';
import { eax, edx, r10, r11d, r8, r9d, rax, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { emitSlotAddress } from './slot-address.ts';

/*
 * Whether a handle may be inheritable is known from its opening, and from the calls that change it. So a process that
 * starts another one need not ask about each of its handles (inherited-handles.ts).
 */

/** OBJECT_INFORMATION_CLASS; its data are {@link handleFlags}. */
export const ObjectHandleFlagInformation = 4;

/** OBJECT_HANDLE_FLAG_INFORMATION, phnt's ntobapi.h. */
export const handleFlags = {
  inherit: 0, // BOOLEAN Inherit
  protectFromClose: 1, // BOOLEAN ProtectFromClose
  sizeBytes: 2,
} as const;

/** OBJECT_ATTRIBUTES.Attributes, and the HandleAttributes of NtDuplicateObject. */
export const OBJ_INHERIT = 2;
const ATTRIBUTES_OFFSET = 0x18; // ULONG Attributes

/**
 * Adds {@link MAY_BE_INHERITABLE} to the row in edx, unless the OBJECT_ATTRIBUTES at the pointer `attributes` exclude
 * it. Clobbers rax.
 */
export function emitMayBeInheritable(
  { asm, row }: { readonly asm: Assembler; readonly row: Pick<HookRow, 'attributes'> },
  attributes: Memory,
): void {
  if (row.attributes === undefined) return asm.or(edx, MAY_BE_INHERITABLE);
  const none = asm.label('no attributes');
  asm.mov(rax, attributes);
  asm.test(rax, rax);
  asm.j('e', none);
  asm.mov(eax, at(rax, ATTRIBUTES_OFFSET));
  asm.and(eax, OBJ_INHERIT);
  asm.shl(eax, Math.log2(MAY_BE_INHERITABLE / OBJ_INHERIT));
  asm.or(edx, eax);
  asm.bind(none);
}

/**
 * Asks the kernel for the {@link handleFlags} of the handle in rcx. The status is in eax.
 *
 * @param flags place of the answer; the call has its stack argument at 0x20
 */
export function emitAskForFlags(
  asm: Assembler,
  { ntdllImport }: Pick<LinkedEnvironment, 'ntdllImport'>,
  flags: Memory,
): void {
  asm.mov(edx, ObjectHandleFlagInformation);
  asm.lea(r8, flags);
  asm.mov(r9d, handleFlags.sizeBytes);
  asm.movImmediate64(at(rsp, 0x20), 0);
  asm.call(ntdllImport('NtQueryObject'));
}

/**
 * Counts a change of whether a handle is inheritable, before it is made, and notes that the handle may be inheritable.
 * Clobbers rax, r10, r11.
 */
export function emitNoteChange(
  { asm, environment }: { readonly asm: Assembler; readonly environment: LinkedEnvironment },
  handle: Memory,
): void {
  const [again, none] = asm.labels('again', 'no slot');
  asm.mov(rax, environment.linkSlots.ledger);
  asm.lockInc32(at(rax, header.inheritanceChanges));
  asm.mov(r10, handle);
  emitSlotAddress(asm, r10, none, environment);
  asm.mov(eax, at(r10, slot.openedCall));
  asm.bind(again);
  asm.mov(r11d, eax);
  asm.or(r11d, MAY_BE_INHERITABLE);
  asm.lockCmpxchg(at(r10, slot.openedCall), r11d);
  asm.j('ne', again);
  asm.bind(none);
}
