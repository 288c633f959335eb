import { EARLIER_LIFE_SIZE_BYTES, EARLIER_LIVES_SLOT_COUNT } from '../../ledger/earlier-life.ts';
import { header, slot, SLOT_SIZE_BYTES } from '../../ledger/layout.ts';
import { misuse, MISUSE_COUNT } from '../../ledger/misuse.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label } from '../../asm/operands.ts';
import { eax, low32, r10, r11, r8, rax, rcx, rdx, type Register } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitCommitAt } from './grow-ledger.ts';

/*
 * The earlier lives of a handle value. A stale close hits whatever has the value by then, and the owner of that is the
 * one whose next call is refused. The lives before tell who may have closed it.
 */

/** The words of a slot that a life keeps: both calls, without the state before them and the word behind. */
const keptWords: readonly number[] = [
  slot.openedStack,
  slot.openedTime,
  slot.openedThread,
  slot.closedStack,
  slot.closedTime,
  slot.closedThread,
];

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
  asm.sub(register, linkSlots.slots);
  asm.cmp(register, EARLIER_LIVES_SLOT_COUNT * SLOT_SIZE_BYTES);
  asm.j('ae', none);
  asm.shr(register, Math.log2(SLOT_SIZE_BYTES));
  asm.imul(register, linkSlots.earlierLivesSizeBytes);
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
  asm.mov(r10, state);
  asm.and(r10, environment.linkSlots.earlierLivesMask); // the low bits of the generation, which stands above bit 0
  asm.shl(low32(r10), Math.log2(EARLIER_LIFE_SIZE_BYTES) - 1);
  asm.add(scratch, r10);
  for (const offset of keptWords) {
    asm.mov(r10, at(slotAddress, offset));
    asm.mov(at(scratch, offset), r10);
  }
  asm.bind(none);
}

const frame: FrameShape = { pushes: [], sizeBytes: 0x68 };
const { record, source, index, target } = framePlaces(frame, 0x30, 'record', 'source', 'index', 'target');

/**
 * Emits `void* keepMisuseLives(void* misuse, void* earlierLives)`: copies the earlier lives of a misused value, unless
 * they are NULL, to a place of the misuse's own, and returns the misuse. Where there is no memory, it has none.
 */
export function emitKeepMisuseLives(
  asm: Assembler,
  begin: Label,
  environment: Pick<LinkedEnvironment, 'linkSlots' | 'ntdllImport'>,
): FramedFunction {
  const { linkSlots } = environment;
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [none, next] = asm.labels('none', 'next');
    asm.mov(record, rcx);
    asm.mov(source, rdx);
    asm.test(rdx, rdx);
    asm.j('e', none);
    asm.mov(r8, linkSlots.ledger);
    asm.mov(eax, 1);
    asm.lockXadd(at(r8, header.misuseLives), eax);
    asm.cmp(eax, MISUSE_COUNT); // each misuse comes once, but the target may have overwritten the number
    asm.j('ae', none);
    asm.mov(index, rax);
    asm.mov(rcx, linkSlots.earlierLivesSizeBytes);
    asm.imul(rax, rcx);
    asm.add(rax, linkSlots.misuseLives);
    asm.mov(target, rax);
    asm.mov(rdx, rax);
    emitCommitAt(asm, none, framePlaces(frame, 0x50, 'address', 'size'), environment);
    asm.mov(r10, source);
    asm.mov(r11, target);
    asm.mov(rcx, linkSlots.earlierLivesSizeBytes);
    // From the end on: a life's generation comes after its calls, and tells whether they were overwritten meanwhile.
    asm.bind(next);
    asm.sub(rcx, 8);
    asm.mov(rax, indexed(r10, rcx, 1));
    asm.mov(indexed(r11, rcx, 1), rax);
    asm.j('ne', next);
    asm.mov(rcx, record);
    asm.mov(rax, index);
    asm.add(eax, 1);
    asm.mov(at(rcx, misuse.earlierLives), eax);
    asm.bind(none);
    asm.mov(rax, record);
    epilogue();
  });
}
