import { type Struct, struct } from './struct.ts';

/**
 * Calls by which the target opened or closed a handle of another process: NtDuplicateObject alone can do so. There is
 * one entry for each process, value and kind, that of the last such call.
 */
const elsewhereFields = {
  /** Process id << 32 | handle value | {@link OPENED_ELSEWHERE} or {@link CLOSED_ELSEWHERE}. Zero: free. */
  key: 'u64',
  /** FILETIME; 0 while the entry is written. */
  time: 'u64',
  stack: 'u32',
  threadId: 'u32',
  /** Number of the call's row. */
  call: 'u16',
  /** Index into the object types; 0 where the source is not this process's. */
  objectType: 'u16',
  padding: 'u32',
} as const;

const elsewhereStruct: Struct<typeof elsewhereFields> = struct(elsewhereFields);

/** An entry of the table. */
export const elsewhere: Struct<typeof elsewhereFields>['offsets'] = elsewhereStruct.offsets;
export const ELSEWHERE_SIZE_BYTES: number = elsewhereStruct.sizeBytes;
export const ELSEWHERE_COUNT = 4096;

/** Kinds, in the two bits that are 0 in every handle value. */
export const OPENED_ELSEWHERE = 1;
export const CLOSED_ELSEWHERE = 2;
export const ELSEWHERE_KIND_MASK = 3;
