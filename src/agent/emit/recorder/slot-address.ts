import { SLOT_SIZE_BYTES } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import type { Label } from '../../asm/operands.ts';
import type { Register } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

export type SlotEnvironment = Pick<LinkedEnvironment, 'linkSlots' | 'grown'>;

/**
 * Turns the handle value in `value` into the address of its slot. Jumps to `none` for pseudo handles and for values
 * beyond the slots that have memory, which were never seen. The two low bits of a handle value do not count: they are
 * tag bits of the application.
 */
export function emitSlotAddress(asm: Assembler, value: Register, none: Label, environment: SlotEnvironment): void {
  asm.shr(value, 2);
  emitSlotOfIndex(asm, value, none, environment);
}

/** The same for what a handle value is without its low bits: the index of its slot. `none` finds it unchanged. */
export function emitSlotOfIndex(
  asm: Assembler,
  index: Register,
  none: Label,
  { linkSlots, grown }: SlotEnvironment,
): void {
  asm.cmp(index, grown.slotsCommitted);
  asm.j('ae', none);
  asm.shl(index, Math.log2(SLOT_SIZE_BYTES));
  asm.add(index, linkSlots.slots);
}
