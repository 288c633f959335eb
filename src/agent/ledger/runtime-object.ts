import { type Struct, struct } from './struct.ts';

const runtimeObjectFields = {
  /** A {@link slot} for its life. */
  life: 'u64[8]',
  /** The program's name for it: a number with {@link DESCRIPTOR_KEY}, or an address. Zero: free. */
  key: 'u64',
  /** Value of the handle beneath; 0 where that is not known. */
  handle: 'u64',
  /** For a FILE: index of its descriptor's runtime object, plus 1. */
  descriptor: 'u32',
  /** For a FILE: the descriptor's number. */
  descriptorNumber: 'u32',
  padding: 'u64[5]',
} as const;

const runtimeObjectStruct: Struct<typeof runtimeObjectFields> = struct(runtimeObjectFields);

/**
 * A runtime object: a descriptor or a FILE of a C runtime, the search that FindFirstFile returns, or a pseudo console.
 * A library hands it out in place of a handle.
 */
export const runtimeObject: Struct<typeof runtimeObjectFields>['offsets'] = runtimeObjectStruct.offsets;
export const RUNTIME_OBJECT_SIZE_BYTES: number = runtimeObjectStruct.sizeBytes;

/**
 * The key of a C runtime's descriptor: this bit, the number of the runtime above bit 32, and the descriptor's number.
 */
export const DESCRIPTOR_KEY: bigint = 1n << 62n;
/** C runtimes have fewer descriptors (ucrtbase and msvcrt: 8,192 [`_setmaxstdio`]; Wine 8: 2,048). */
export const DESCRIPTOR_COUNT_MAX = 8192;

/** The key of a change notification: this bit, and the value of its handle. */
export const NOTIFICATION_KEY: bigint = 1n << 61n;

/** Positions that a key's hash can name, a power of two; and how many positions behind that one its key may lie. */
const RUNTIME_OBJECT_HASH_COUNT = 8192;
export const RUNTIME_OBJECT_HASH_BITS: number = Math.log2(RUNTIME_OBJECT_HASH_COUNT);
export const RUNTIME_OBJECT_PROBE_COUNT = 64;
/** All positions: a search that begins at the last hash never has to go on at the first. */
export const RUNTIME_OBJECT_COUNT: number = RUNTIME_OBJECT_HASH_COUNT + RUNTIME_OBJECT_PROBE_COUNT;
