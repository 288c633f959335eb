import {
  EARLIER_LIFE_COUNT,
  EARLIER_LIFE_SIZE_BYTES,
  EARLIER_LIVES_SIZE_BYTES,
  EARLIER_LIVES_SLOT_COUNT,
  earlierLife,
} from '../../ledger/earlier-life.ts';
import { slot, SLOT_SIZE_BYTES } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory } from '../../asm/operands.ts';
import { low32, r10, rax, type Register } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

/*
 * The earlier lives of a handle value. A stale close hits whatever has the value by then, and the owner of that is the
 * one whose next call is refused. The life before tells who may have closed it.
 */

/**
 * Turns the address of a slot in `register` into that of its value's earlier lives. Jumps to `none` for what has none:
 * a slot behind the first {@link EARLIER_LIVES_SLOT_COUNT}, or a runtime object, which lies before the slots.
 */
export function emitEarlierLives(
  asm: Assembler,
  register: Register,
  none: Label,
  { linkSlots }: Pick<LinkedEnvironment, 'linkSlots'>,
): void {
  if (SLOT_SIZE_BYTES !== EARLIER_LIVES_SIZE_BYTES) throw new Error('slots and earlier lives differ in size');
  asm.sub(register, linkSlots.slots);
  asm.cmp(register, EARLIER_LIVES_SLOT_COUNT * EARLIER_LIVES_SIZE_BYTES);
  asm.j('ae', none);
  asm.add(register, linkSlots.earlierLives);
}

/**
 * Keeps the life in the slot at `slotAddress`, whose value is about to be opened again. A life carries its generations,
 * so what a racing close has not written yet counts as unknown. Keeps rax. Clobbers `scratch` and r10.
 *
 * @param state of the slot, without flags
 */
export function emitKeepLife(
  asm: Assembler,
  slotAddress: Register,
  state: Register,
  scratch: Register,
  environment: Pick<LinkedEnvironment, 'linkSlots'>,
): void {
  const [none] = asm.labels('noEarlierLife');
  asm.mov(scratch, slotAddress);
  emitEarlierLives(asm, scratch, none, environment);
  // Bits 1 and 2 of the state are the low bits of its generation.
  asm.mov(low32(r10), low32(state));
  asm.and(low32(r10), (EARLIER_LIFE_COUNT - 1) << 1);
  asm.shl(low32(r10), Math.log2(EARLIER_LIFE_SIZE_BYTES) - 1);
  asm.add(scratch, r10);
  asm.mov(r10, at(slotAddress, slot.openedStack));
  asm.mov(at(scratch, earlierLife.openedStack), r10);
  asm.mov(r10, at(slotAddress, slot.closedStack));
  asm.mov(at(scratch, earlierLife.closedStack), r10);
  asm.bind(none);
}

/** Copies the earlier lives at `source` to `target`; nothing where the place holds 0. Clobbers rax and r10. */
export function emitCopyEarlierLives(asm: Assembler, source: Memory, target: Register, offset: number): void {
  const [none] = asm.labels('noEarlierLives');
  asm.mov(r10, source);
  asm.test(r10, r10);
  asm.j('e', none);
  for (let field = 0; field < EARLIER_LIVES_SIZE_BYTES; field += 8) {
    asm.mov(rax, at(r10, field));
    asm.mov(at(target, offset + field), rax);
  }
  asm.bind(none);
}
