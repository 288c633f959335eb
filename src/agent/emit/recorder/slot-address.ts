import { SLOT_SIZE_BYTES } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import type { Label } from '../../asm/operands.ts';
import type { Register } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

/**
 * Turns the handle value in `value` into the address of its slot. Jumps to `none` for pseudo handles and for values
 * beyond the ledger. The two low bits of a handle value do not count: they are tag bits of the application.
 */
export function emitSlotAddress(
  asm: Assembler,
  value: Register,
  none: Label,
  { linkSlots }: Pick<LinkedEnvironment, 'linkSlots'>,
): void {
  asm.shr(value, 2);
  asm.cmp(value, linkSlots.slotCount);
  asm.j('ae', none);
  asm.shl(value, Math.log2(SLOT_SIZE_BYTES));
  asm.add(value, linkSlots.slots);
}
