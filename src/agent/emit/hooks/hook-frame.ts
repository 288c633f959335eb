import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory, relative } from '../../asm/operands.ts';
import { r10, r10d, r11, r8, r9, rax, rcx, rdx, type Register, rsp } from '../../asm/registers.ts';
import { type FramePlaces, framePlaces } from '../abi/frame-places.ts';
import { callerArgument, type FrameShape, returnAddressOffset } from '../abi/framed-function.ts';

// The frame of every hook of a system call or of a Winsock function, and the way through to the real call.

/** Offset of the places: behind home space, and the stack arguments of the widest call (NtCreateTokenEx: 17). */
export const PLACES_OFFSET: number = 0x20 + 13 * 8;
const PLACE_COUNT = 8;
export const hookFrame: FrameShape = { pushes: [], sizeBytes: PLACES_OFFSET + PLACE_COUNT * 8 };

/** How many arguments a hook can pass on: four in registers, the others on the stack. */
export const HOOK_ARGUMENT_COUNT_MAX: number = 4 + (PLACES_OFFSET - 0x20) / 8;

function place(index: number): Memory {
  return at(rsp, PLACES_OFFSET + index * 8);
}

/**
 * Names the places of a hook that is its row's own. The result has the last place.
 *
 * @throws Error when there are not enough
 */
export function hookPlaces<const Names extends readonly string[]>(...names: Names): FramePlaces<Names> {
  return namePlaces(PLACE_COUNT - 1, names);
}

/**
 * Names the places of a body that several rows share. {@link ROW}, {@link TRAMPOLINE} and the result have the last
 * three.
 *
 * @throws Error when there are not enough
 */
export function sharedPlaces<const Names extends readonly string[]>(...names: Names): FramePlaces<Names> {
  return namePlaces(PLACE_COUNT - 3, names);
}

function namePlaces<const Names extends readonly string[]>(freeCount: number, names: Names): FramePlaces<Names> {
  if (names.length > freeCount) throw new Error(`a hook has ${freeCount} places, and not ${names.length}`);
  return framePlaces(hookFrame, PLACES_OFFSET, ...names);
}

/** The handles that a call works on: {@link HookRow.uses}. */
export const usedHandles: readonly [Memory, Memory, Memory] = [place(0), place(1), place(2)];

/** The OBJECT_ATTRIBUTES pointer of a call that opens. */
export const ATTRIBUTES: Memory = place(3);

/** The pointers through which a call stores new handles: {@link HookRow.opens}. A shared body has only the first. */
export const receivers: readonly [Memory, Memory] = [place(4), place(5)];

/**
 * A shared body keeps here what {@link emitThunk} left in r10 and r11. A row that is a number has the type of the
 * handle that the call opens in its upper half.
 */
export const ROW: Memory = place(5);
export const TRAMPOLINE: Memory = place(6);

/** Free in every hook that opens once the call has been made. */
export const SPARE: Memory = place(6);

/** The real call's result. */
export const RESULT: Memory = place(7);

/**
 * Emits the hook of one row that shares its body with others: `r10 = row, r11 = trampoline, jmp body`. By the calling
 * convention a function may change both registers.
 *
 * @param row a number, or the row's data
 * @param trampoline its place, or the slot that holds its address
 */
export function emitThunk(
  asm: Assembler,
  begin: Label,
  row: number | Label,
  trampoline: Label | Memory,
  body: Label,
): void {
  asm.bind(begin);
  if (typeof row === 'number') asm.mov(r10d, row);
  else asm.lea(r10, relative(row));
  if (trampoline.kind === 'label') asm.lea(r11, relative(trampoline));
  else asm.mov(r11, trampoline);
  asm.jmp(body);
}

/** Keeps the row and the trampoline at the entry of a shared body. */
export function emitKeepRow(asm: Assembler): void {
  asm.mov(ROW, r10);
  asm.mov(TRAMPOLINE, r11);
}

/** Copies the stack arguments, makes the call, and keeps its result. Clobbers rax before the call. */
export function emitPassThrough(asm: Assembler, trampoline: Label | Memory, argumentCount: number): void {
  for (let index = 4; index < argumentCount; index++) {
    asm.mov(rax, callerArgument(hookFrame, index));
    asm.mov(at(rsp, 0x20 + (index - 4) * 8), rax);
  }
  asm.call(trampoline);
  asm.mov(RESULT, rax);
}

const argumentRegisters = [rcx, rdx, r8, r9] as const;

function argument(index: number): Register | Memory {
  return argumentRegisters[index] ?? callerArgument(hookFrame, index);
}

/** Copies an argument of the call into a place, at the hook's entry. Clobbers rax. */
export function emitSaveArgument(asm: Assembler, index: number, place: Memory): void {
  const source = argument(index);
  if (source.kind === 'register') return asm.mov(place, source);
  asm.mov(rax, source);
  asm.mov(place, rax);
}

/** `r8 = address of the return address with which the hook was entered`. */
export function emitReturnAddress(asm: Assembler): void {
  asm.lea(r8, at(rsp, returnAddressOffset(hookFrame)));
}
