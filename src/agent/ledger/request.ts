import { type Struct, struct } from './struct.ts';

const requestFields = {
  /** Address of the work that a thread of libuv's pool runs; 0: free, 1: a thread is writing the entry. */
  work: 'u64',
  /** Stack id of the call that asked for it, and from bit {@link WORK_SHIFT} on what kind of work it is. */
  stack: 'u32',
  /** The thread that asked. */
  threadId: 'u32',
} as const;

const requestStruct: Struct<typeof requestFields> = struct(requestFields);

/** Work that a thread has asked libuv for: see emit/hooks/functions/request-hook.ts. */
export const request: Struct<typeof requestFields>['offsets'] = requestStruct.offsets;
export const REQUEST_SIZE_BYTES: number = requestStruct.sizeBytes;

/** The stack pool ends long before an id has so many bits. */
export const WORK_SHIFT = 30;

/** Entries, a power of two. The hash of an address chooses a pair, whose first one is the later. */
export const REQUEST_COUNT = 4096;
