import { type Struct, struct } from './struct.ts';

const earlierLifeFields = {
  /** The slot's fields of these names, as the next opening of the value found them. */
  openedStack: 'u32',
  openedGeneration: 'u32',
  closedStack: 'u32',
  closedGeneration: 'u32',
} as const;

const earlierLifeStruct: Struct<typeof earlierLifeFields> = struct(earlierLifeFields);

/** A life that a handle value had before its last one. */
export const earlierLife: Struct<typeof earlierLifeFields>['offsets'] = earlierLifeStruct.offsets;
export const EARLIER_LIFE_SIZE_BYTES: number = earlierLifeStruct.sizeBytes;
/** Earlier lives of one value, by the low bits of their generation; a power of two. */
export const EARLIER_LIFE_COUNT = 4;
export const EARLIER_LIVES_SIZE_BYTES: number = EARLIER_LIFE_COUNT * EARLIER_LIFE_SIZE_BYTES;
/** So many slots, from the first, have earlier lives: 4 MiB. A program that leaks has more slots. */
export const EARLIER_LIVES_SLOT_COUNT: number = 1 << 16;
