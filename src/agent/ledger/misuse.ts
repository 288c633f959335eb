import { type Struct, struct } from './struct.ts';

const misuseFields = {
  /** Hash of everything that tells one misuse from another. Zero: free. */
  key: 'u64',
  /** How often it happened. */
  count: 'u32',
  /** NTSTATUS. */
  status: 'u32',
  /** Stack id of the refused call. */
  offendingStack: 'u32',
  offendingThread: 'u32',
  /** FILETIME. */
  offendingTime: 'u64',
  /** Number of the call's row. */
  offendingCall: 'u16',
  /** {@link MISUSE_CLOSE} and the others. */
  kind: 'u16',
  /** Number of values that were appended to {@link values}; it may exceed their room. */
  valueCount: 'u32',
  /** The slot (layout.ts), or the life of the runtime object, as it was. */
  life: 'u64[8]',
  /**
   * For a quarantined value: stack id of the first handle that was opened after its close, and that would have it now.
   * 0: too long ago.
   */
  victimStack: 'u32',
  /** VICTIM (layout.ts) | object type of that handle. */
  victim: 'u32',
  /** Threads that are inside such a call and have not come back from it. */
  pending: 'u32',
  /** 1 once the record is complete. */
  ready: 'u32',
  /** Key of the runtime object that stood for the handle; 0 when none did. */
  runtimeObjectKey: 'u64',
  /** The first values, {@link MISUSE_VALUE_COUNT} at most. */
  values: 'u64[8]',
  /** For a swept FILE: the number of the first one's descriptor, plus 1; 0 for none. */
  descriptor: 'u32',
  /** For {@link MISUSE_WRONG_CLOSER}: how many of the calls closed the object all the same. */
  closedCount: 'u32',
  /** Index plus 1 of the earlier lives that the first value had; 0: none (LedgerLayout.misuseLivesOffset). */
  earlierLives: 'u32',
  paddingBeforeEnd: 'u32',
  padding: 'u64[38]',
} as const;

const misuseStruct: Struct<typeof misuseFields> = struct(misuseFields);

/** A misuse: one call that was refused or that closed in the wrong way, with the life that its value had before. */
export const misuse: Struct<typeof misuseFields>['offsets'] = misuseStruct.offsets;
export const MISUSE_SIZE_BYTES: number = misuseStruct.sizeBytes;
export const MISUSE_COUNT = 4096;
export const MISUSE_VALUE_COUNT = 8;

/** Kinds of misuse: a close that was refused. */
export const MISUSE_CLOSE = 1;
/** A use that was refused. */
export const MISUSE_USE = 2;
/**
 * CloseHandle closes a socket, a registry key or a runtime object's handle: the call is not refused. The stack tells
 * whether it should have closed it.
 */
export const MISUSE_CLOSED_AS_HANDLE = 3;
/**
 * A child process was started and inherited the handle: the call is not refused. The status is 0, or
 * {@link INHERITED_BY_NAME} (see inherited-handles.ts).
 */
export const MISUSE_INHERITED = 4;
/** The child was given the handle as one of a C runtime's file descriptors. */
export const INHERITED_BY_NAME = 1;
/** Limit of misuses of that kind: they are no mistakes, and must leave room for mistakes. */
export const INHERITED_COUNT = 512;
/**
 * A function was given an open object of a kind that it does not close. {@link misuse.closedCount} says what came of
 * it.
 */
export const MISUSE_WRONG_CLOSER = 5;
/** A function that closes what the program has left open closed the handle; the call is that function's. */
export const MISUSE_SWEPT = 6;
/** Limit of misuses of that kind: they must leave room for mistakes. */
export const SWEPT_COUNT = 512;
