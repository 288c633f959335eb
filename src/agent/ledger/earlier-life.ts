/*
 * The earlier lives of a handle value: its last ones before the one in its slot, in a ring. Each is a copy of the slot
 * as the next opening of the value found it, without the state and the last word. Both calls carry the generation that
 * they belong to.
 */

/** An earlier life is laid out as a slot is. */
export const EARLIER_LIFE_SIZE_BYTES = 64;
/** So many slots, from the first, have earlier lives. A program that leaks has more slots. */
export const EARLIER_LIVES_SLOT_COUNT: number = 1 << 16;
/** Earlier lives of one value unless the user chooses another number; 16 MiB of address space in all. */
export const DEFAULT_HISTORY = 4;
/** 128 MiB of address space in all. */
export const MAX_HISTORY = 32;

/** Where a generation's life lies from the beginning of its value's earlier lives. */
export function earlierLifeOffset(generation: bigint, history: number): number {
  return Number(generation & BigInt(history - 1)) * EARLIER_LIFE_SIZE_BYTES;
}
